-- Times are microseconds since 1970 in UTC; null: not set. States are the words
-- that people see.

-- +goose Up

CREATE TABLE workflows (
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    digest     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    model      TEXT    NOT NULL, -- flow.Workflow as JSON
    source     TEXT    NOT NULL,
    PRIMARY KEY (name, version)
);

-- A run has a short key of its own: it stands in every row of the two big
-- tables below.
CREATE TABLE runs (
    key         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    workflow    TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    params      TEXT,             -- JSON
    selected    TEXT,             -- flow.Select as JSON; null: all of it
    priority    INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    created_at  INTEGER,
    started_at  INTEGER,
    finished_at INTEGER
);

CREATE INDEX runs_workflow ON runs (workflow, id);

CREATE INDEX runs_unfinished ON runs (partition, id)
    WHERE state NOT IN ('stopped', 'failed', 'succeeded');

-- How many runs are in each state: counting them would read them all.
CREATE TABLE run_counts (
    state TEXT    PRIMARY KEY,
    runs  INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER runs_inserted AFTER INSERT ON runs BEGIN
    INSERT INTO run_counts (state, runs) VALUES (new.state, 1)
        ON CONFLICT (state) DO UPDATE SET runs = runs + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER runs_moved AFTER UPDATE OF state ON runs WHEN old.state <> new.state BEGIN
    UPDATE run_counts SET runs = runs - 1 WHERE state = old.state;
    INSERT INTO run_counts (state, runs) VALUES (new.state, 1)
        ON CONFLICT (state) DO UPDATE SET runs = runs + 1;
END;
-- +goose StatementEnd

CREATE TABLE task_runs (
    run         INTEGER NOT NULL REFERENCES runs (key),
    task        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    cause       TEXT,
    reason      TEXT,
    generation  INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    retries     INTEGER NOT NULL,
    lost        INTEGER NOT NULL,
    wake_at     INTEGER,
    round       INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (run, task)
) WITHOUT ROWID;

-- The ledger.
CREATE TABLE attempts (
    run           INTEGER NOT NULL REFERENCES runs (key),
    task          TEXT    NOT NULL,
    number        INTEGER NOT NULL,
    generation    INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    node          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    reason        TEXT,
    exit_code     INTEGER,
    outputs       TEXT,             -- JSON
    round         INTEGER NOT NULL,
    retries       INTEGER NOT NULL,
    lost          INTEGER NOT NULL,
    dispatched_at INTEGER,
    started_at    INTEGER,
    started_boot  INTEGER NOT NULL, -- nanoseconds of the node's CLOCK_BOOTTIME
    finished_at   INTEGER,
    finished_boot INTEGER NOT NULL,
    PRIMARY KEY (run, task, number)
) WITHOUT ROWID;

CREATE TABLE commands (
    sequence   INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    key        TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    partition  INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    args       TEXT,             -- JSON
    digest     TEXT    NOT NULL,
    created_at INTEGER,
    done_at    INTEGER,          -- null: not consumed
    refused    TEXT
);

CREATE INDEX commands_pending ON commands (partition, sequence) WHERE done_at IS NULL;

CREATE TABLE partitions (
    id    INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    owner TEXT                -- null: none
);

CREATE TABLE claims (
    partition INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    owner     TEXT    NOT NULL,
    at        INTEGER,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (partition, epoch)
) WITHOUT ROWID;

CREATE TABLE nodes (
    key         INTEGER PRIMARY KEY, -- in order of registration
    id          TEXT    NOT NULL UNIQUE,
    role        TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    slots       INTEGER NOT NULL,
    machine_id  TEXT    NOT NULL,
    boot_id     TEXT    NOT NULL,
    containment TEXT    NOT NULL,
    lease_ttl   INTEGER NOT NULL, -- nanoseconds
    started_at  INTEGER,
    ended_at    INTEGER
);

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    at       INTEGER,
    cause    TEXT    NOT NULL,
    run      TEXT,
    task     TEXT,
    node     TEXT,
    epoch    INTEGER NOT NULL,
    message  TEXT    NOT NULL
);

CREATE INDEX events_run ON events (run) WHERE run IS NOT NULL;

-- One row that is written to see whether the store can be written.
CREATE TABLE health (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    checked INTEGER NOT NULL
);

INSERT INTO health (id, checked) VALUES (1, 0);

-- +goose Down

DROP TABLE health;
DROP TABLE events;
DROP TABLE nodes;
DROP TABLE claims;
DROP TABLE partitions;
DROP TABLE commands;
DROP TABLE attempts;
DROP TABLE task_runs;
DROP TABLE run_counts;
DROP TABLE runs;
DROP TABLE workflows;

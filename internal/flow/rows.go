package flow

import (
	"encoding/json"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/param"
)

// RunID names a run: a UUIDv7 in its usual text form.
type RunID string

// Epoch counts the owners of a partition.
type Epoch uint64

// Generation counts the attempts of one task run, across reruns; it never
// falls. It is the task run's fencing token.
type Generation uint64

// Run is the stored row of one execution of a workflow version.
type Run struct {
	ID         RunID        `json:"id"`
	Workflow   string       `json:"workflow"`
	Version    int          `json:"version"`
	Partition  int          `json:"partition"`
	State      RunState     `json:"state"`
	Reason     string       `json:"reason,omitempty"`
	Params     param.Values `json:"params"` // resolved: defaults filled in, types checked
	Select     Select       `json:"select,omitzero"`
	Priority   int          `json:"priority,omitempty"` // higher goes first
	Round      int          `json:"round"`              // 0, and one more with each rerun
	CreatedAt  time.Time    `json:"created_at"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
}

// Select names the part of a workflow that a run, or a rerun, executes. The
// zero Select is all of it.
type Select struct {
	Tasks       []string `json:"tasks,omitempty"`
	Ancestors   bool     `json:"ancestors,omitempty"`   // and all they need, transitively
	Descendants bool     `json:"descendants,omitempty"` // and all that needs them, transitively
}

// TaskRun is the stored row of one task of one run. Most task runs have none:
// a task run that waits, is ready, or goes through one attempt to success
// follows from its needs and its attempts. A row is written only for what does
// not follow. A row and the last attempt are read together: see doc.go.
type TaskRun struct {
	Run        RunID      `json:"run"`
	Task       string     `json:"task"`
	State      TaskState  `json:"state"`
	Cause      Cause      `json:"cause,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Generation Generation `json:"generation"`        // of the last attempt when this row was written; 0: none
	Number     int        `json:"number"`            // of that attempt
	Retries    int        `json:"retries,omitempty"` // spent of the retry budget of this round
	Lost       int        `json:"lost,omitempty"`    // attempts lost or buried in a row
	WakeAt     time.Time  `json:"wake_at,omitzero"`  // end of a delay
	Round      int        `json:"round,omitempty"`   // the run's round that wrote it
	FinishedAt time.Time  `json:"finished_at,omitzero"`
}

// Attempt is the stored row of one try of a task run: the ledger. It is
// inserted when the attempt is dispatched and never overwritten once it is
// final.
type Attempt struct {
	Run          RunID         `json:"run"`
	Task         string        `json:"task"`
	Number       int           `json:"number"` // 1, 2, ... per task run
	Generation   Generation    `json:"generation"`
	Epoch        Epoch         `json:"epoch"` // of the partition when it was dispatched
	Node         fence.NodeID  `json:"node"`
	State        AttemptState  `json:"state"`
	Reason       string        `json:"reason,omitempty"`
	ExitCode     *int          `json:"exit_code,omitempty"`
	Outputs      Outputs       `json:"outputs,omitempty"`
	Round        int           `json:"round,omitempty"`   // the run's round that dispatched it
	Retries      int           `json:"retries,omitempty"` // budget spent before it
	Lost         int           `json:"lost,omitempty"`    // attempts lost or buried in a row before it
	DispatchedAt time.Time     `json:"dispatched_at"`     // master's wall clock
	Started      fence.Instant `json:"started,omitzero"`  // the worker's clocks, from just before exec
	Finished     fence.Instant `json:"finished,omitzero"` // the worker's clocks, once all its processes were dead; for a lost attempt, when that was certified
}

// Outputs are what an attempt wrote to the file named in SEMEL_OUTPUT.
type Outputs map[string]string

// Work is all a worker needs to carry out one attempt: no expression is left
// in it.
type Work struct {
	Run        RunID           `json:"run"`
	Task       string          `json:"task"`
	Generation Generation      `json:"generation"`
	Number     int             `json:"number"`
	Workflow   string          `json:"workflow"`
	Type       string          `json:"type"`
	Config     json.RawMessage `json:"config"`
	Env        []string        `json:"env,omitempty"` // NAME=value: parameters, env of workflow and task, values of ${{ }} in scripts
	Timeout    time.Duration   `json:"timeout,omitempty"`
	Grace      time.Duration   `json:"grace,omitempty"`
	Slots      int             `json:"slots"`
	Key        string          `json:"key"`               // SEMEL_IDEMPOTENCY_KEY: the same for every attempt of the task run
	Secrets    []string        `json:"secrets,omitempty"` // values to be masked in its log
}

// Result is how an attempt ended on its worker.
type Result string

// The results. Stopped: killed because somebody asked. Timed out and refused
// (it could not be started: bad directory, no such interpreter) count as
// failures. Expired: killed at the node's deadline; its outcome is unknown.
const (
	Succeeded Result = "succeeded"
	Failed    Result = "failed"
	TimedOut  Result = "timed_out"
	Refused   Result = "refused"
	Stopped   Result = "stopped"
	Expired   Result = "expired"
)

// Outcome is the end of an attempt as its runner saw it: no process of the
// attempt lives when it is written.
type Outcome struct {
	Result   Result        `json:"result"`
	ExitCode *int          `json:"exit_code,omitempty"`
	Reason   string        `json:"reason,omitempty"` // a sentence: "exit status 3", "killed by signal 9", "HTTP 503"
	Outputs  Outputs       `json:"outputs,omitempty"`
	Started  fence.Instant `json:"started,omitzero"`
	Finished fence.Instant `json:"finished,omitzero"`
}

package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Run is store.Reader.
func (s *Store) Run(ctx context.Context, id flow.RunID) (run flow.Run, err error) {
	err = s.readers.view(ctx, func(v *view) error {
		_, run, err = v.run(id)
		return err
	})
	return run, read(err, "run %s", id)
}

func (v *view) run(id flow.RunID) (key int64, run flow.Run, err error) {
	key, run, err = scanRun(v.row(`
		SELECT key, id, workflow, version, partition, state, reason, params, selected, priority, round,
			created_at, started_at, finished_at
		FROM runs WHERE id = ?`, string(id)))
	if noRows(err) {
		err = store.ErrNotFound
	}
	return key, run, err
}

// scanRun reads key, id, workflow, version, partition, state, reason, params,
// selected, priority, round, created_at, started_at, finished_at.
func scanRun(row scanner) (key int64, r flow.Run, err error) {
	var params, selected string
	err = row.Scan(&key, &r.ID, &r.Workflow, &r.Version, &r.Partition, &r.State, &r.Reason, wordTo(&params), wordTo(&selected),
		&r.Priority, &r.Round, stamp{&r.CreatedAt}, stamp{&r.StartedAt}, stamp{&r.FinishedAt})
	if err != nil {
		return 0, flow.Run{}, err
	}
	if selected != "" {
		if err := json.Unmarshal([]byte(selected), &r.Select); err != nil {
			return 0, flow.Run{}, err
		}
	}
	r.Params, err = decodeParams(params)
	return key, r, err
}

// Runs is store.Reader.
func (s *Store) Runs(ctx context.Context, f store.RunFilter) (list []flow.Run, err error) {
	where, args := filter(&f)
	err = s.readers.list(ctx, func(row scanner) error {
		_, run, err := scanRun(row)
		list = append(list, run)
		return err
	}, `
		SELECT key, id, workflow, version, partition, state, reason, params, selected, priority, round,
			created_at, started_at, finished_at
		FROM runs WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, store.Page(f.Limit))...)
	return list, read(err, "list runs")
}

// filter returns one of few conditions, so that each is compiled once: the
// states are a list in one argument.
func filter(f *store.RunFilter) (where string, args []any) {
	conditions := []string{"TRUE"}
	add := func(condition string, arg any) {
		conditions, args = append(conditions, condition), append(args, arg)
	}
	if f.Workflow != "" {
		add("workflow = ?", f.Workflow)
	}
	if len(f.States) > 0 {
		states := make([]string, len(f.States))
		for i, s := range f.States {
			states[i] = string(s)
		}
		// No state has a comma in it.
		add("instr(?, ',' || state || ',') > 0", ","+strings.Join(states, ",")+",")
	}
	if !f.CreatedFrom.IsZero() {
		add("created_at >= ?", micros(f.CreatedFrom))
	}
	if !f.CreatedBefore.IsZero() {
		add("created_at < ?", micros(f.CreatedBefore))
	}
	if f.After != "" {
		add("id < ?", string(f.After))
	}
	return strings.Join(conditions, " AND "), args
}

// TaskRows is store.Reader.
func (s *Store) TaskRows(ctx context.Context, id flow.RunID) (rows []flow.TaskRun, err error) {
	err = s.readers.view(ctx, func(v *view) error {
		key, _, err := v.run(id)
		if err != nil {
			return err
		}
		rows, err = v.taskRuns(key, id)
		return err
	})
	return rows, read(err, "task runs of run %s", id)
}

func (v *view) taskRuns(key int64, id flow.RunID) (rows []flow.TaskRun, err error) {
	err = v.list(func(row scanner) error {
		r := flow.TaskRun{Run: id}
		err := row.Scan(&r.Task, &r.State, wordTo(&r.Cause), wordTo(&r.Reason), &r.Generation, &r.Number,
			&r.Retries, &r.Lost, stamp{&r.WakeAt}, &r.Round, stamp{&r.FinishedAt})
		rows = append(rows, r)
		return err
	}, `
		SELECT task, state, cause, reason, generation, number, retries, lost, wake_at, round, finished_at
		FROM task_runs WHERE run = ? ORDER BY task`, key)
	return rows, err
}

// Attempts is store.Reader.
func (s *Store) Attempts(ctx context.Context, id flow.RunID, task string) (rows []flow.Attempt, err error) {
	err = s.readers.view(ctx, func(v *view) error {
		key, _, err := v.run(id)
		if err != nil {
			return err
		}
		if task == "" {
			return v.list(addAttempt(&rows, id), attemptsOfRun, key)
		}
		return v.list(addAttempt(&rows, id), attemptsOfTask, key, task)
	})
	return rows, read(err, "attempts of run %s", id)
}

// Two statements: one with an OR would read all attempts of a run for one task.
const (
	attemptColumns = `
		SELECT task, number, generation, epoch, node, state, reason, exit_code, outputs,
			round, retries, lost, dispatched_at, started_at, started_boot, finished_at, finished_boot
		FROM attempts `
	attemptsOfRun  = attemptColumns + `WHERE run = ? ORDER BY task, number`
	attemptsOfTask = attemptColumns + `WHERE run = ? AND task = ? ORDER BY number`
)

func addAttempt(rows *[]flow.Attempt, run flow.RunID) func(scanner) error {
	return func(row scanner) error {
		a, err := scanAttempt(run, row)
		*rows = append(*rows, a)
		return err
	}
}

// scanAttempt reads task, number, generation, epoch, node, state, reason,
// exit_code, outputs, round, retries, lost, dispatched_at, started_at,
// started_boot, finished_at, finished_boot.
func scanAttempt(run flow.RunID, row scanner) (flow.Attempt, error) {
	a := flow.Attempt{Run: run}
	var code sql.NullInt64
	var outputs string
	err := row.Scan(&a.Task, &a.Number, &a.Generation, &a.Epoch, &a.Node, &a.State, wordTo(&a.Reason), &code, wordTo(&outputs),
		&a.Round, &a.Retries, &a.Lost, stamp{&a.DispatchedAt}, stamp{&a.Started.Wall}, &a.Started.Boot, stamp{&a.Finished.Wall}, &a.Finished.Boot)
	if err != nil {
		return flow.Attempt{}, err
	}
	if code.Valid {
		n := int(code.Int64)
		a.ExitCode = &n
	}
	if outputs != "" {
		err = json.Unmarshal([]byte(outputs), &a.Outputs)
	}
	return a, err
}

// Claims is store.Reader.
func (s *Store) Claims(ctx context.Context) (list []store.Claimed, err error) {
	err = s.readers.list(ctx, func(row scanner) error {
		var c store.Claimed
		err := row.Scan(&c.Partition, &c.Epoch, &c.Owner, stamp{&c.At}, &c.Seq)
		list = append(list, c)
		return err
	}, `SELECT partition, epoch, owner, at, seq FROM claims ORDER BY partition, epoch`)
	return list, read(err, "list claims")
}

// Events is store.Reader.
func (s *Store) Events(ctx context.Context, run flow.RunID, limit int) (list []partition.Event, err error) {
	query, args := `
		SELECT at, cause, run, task, node, epoch, message
		FROM events ORDER BY sequence DESC LIMIT ?`, []any{store.Page(limit)}
	if run != "" {
		query, args = `
		SELECT at, cause, run, task, node, epoch, message
		FROM events WHERE run = ? ORDER BY sequence DESC LIMIT ?`, []any{string(run), store.Page(limit)}
	}
	err = s.readers.list(ctx, func(row scanner) error {
		var e partition.Event
		err := row.Scan(stamp{&e.At}, &e.Cause, wordTo(&e.Run), wordTo(&e.Task), wordTo(&e.Node), &e.Epoch, &e.Message)
		list = append(list, e)
		return err
	}, query, args...)
	return list, read(err, "list events")
}

// Stats is store.Reader.
func (s *Store) Stats(ctx context.Context) (stats store.Stats, err error) {
	stats.Runs = map[flow.RunState]int{}
	err = s.readers.view(ctx, func(v *view) error {
		err := v.list(func(row scanner) error {
			var state flow.RunState
			var n int
			err := row.Scan(&state, &n)
			stats.Runs[state] = n
			return err
		}, `SELECT state, runs FROM run_counts WHERE runs > 0`)
		if err != nil {
			return err
		}
		return v.row(`SELECT count(*) FROM commands WHERE done_at IS NULL`).Scan(&stats.Pending)
	})
	if err == nil {
		stats.Bytes, err = s.bytes()
	}
	return stats, read(err, "count what is stored")
}

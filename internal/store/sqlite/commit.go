package sqlite

import (
	"context"
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Commit is store.Partitions.
func (s *Store) Commit(ctx context.Context, b *partition.Batch) error {
	if err := s.writer.write(ctx, func(tx *tx) error { return tx.commit(b) }); err != nil {
		return fmt.Errorf("commit %d of partition %d at epoch %d: %w", b.Seq, b.Partition, b.Epoch, err)
	}
	s.changes.Tell()
	return nil
}

func (t *tx) commit(b *partition.Batch) error {
	moved, err := t.exec(`
		UPDATE partitions SET seq = ?3
		WHERE id = ?1 AND epoch = ?2 AND seq = ?3 - 1 AND owner IS NOT NULL`,
		b.Partition, int64(b.Epoch), int64(b.Seq))
	if err != nil {
		return err
	}
	if moved == 0 {
		stands, err := scanPosition(b.Partition, t.row(`SELECT epoch, seq, owner FROM partitions WHERE id = ?`, b.Partition))
		if err != nil && !noRows(err) {
			return err
		}
		_, err = store.CheckSeq(b, stands)
		return err
	}
	for i := range b.Runs {
		if err := t.putRun(&b.Runs[i]); err != nil {
			return err
		}
	}
	for i := range b.TaskRuns {
		if err := t.putTaskRun(&b.TaskRuns[i]); err != nil {
			return err
		}
	}
	for i := range b.Attempts {
		if err := t.putAttempt(&b.Attempts[i]); err != nil {
			return err
		}
	}
	for i := range b.Commands {
		if err := t.consume(b, &b.Commands[i]); err != nil {
			return err
		}
	}
	return t.putEvents(b.Events)
}

// keysMax is how many keys of runs are remembered: as many runs as are active
// at once, and more.
const keysMax = 100_000

// key returns the key of a run.
func (t *tx) key(id flow.RunID) (key int64, err error) {
	if key, ok := t.w.keys[id]; ok {
		return key, nil
	}
	err = t.row(`SELECT key FROM runs WHERE id = ?`, string(id)).Scan(&key)
	if noRows(err) {
		return 0, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	if err == nil {
		t.remember(id, key)
	}
	return key, err
}

func (t *tx) remember(id flow.RunID, key int64) {
	if len(t.w.keys) >= keysMax {
		clear(t.w.keys)
	}
	t.w.keys[id] = key
}

func (t *tx) putRun(r *flow.Run) error {
	params, err := encodeParams(r.Params)
	if err != nil {
		return fmt.Errorf("parameters of run %s: %w", r.ID, err)
	}
	selected, err := encodeSelect(r.Select)
	if err != nil {
		return err
	}
	var key int64
	err = t.row(`
		INSERT INTO runs (id, workflow, version, partition, state, reason, params, selected, priority, round,
			created_at, started_at, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			workflow = excluded.workflow, version = excluded.version, partition = excluded.partition,
			state = excluded.state, reason = excluded.reason, params = excluded.params, selected = excluded.selected,
			priority = excluded.priority, round = excluded.round,
			created_at = excluded.created_at, started_at = excluded.started_at, finished_at = excluded.finished_at
		RETURNING key`,
		string(r.ID), r.Workflow, r.Version, r.Partition, string(r.State), r.Reason, params, selected, r.Priority, r.Round,
		micros(r.CreatedAt), micros(r.StartedAt), micros(r.FinishedAt)).Scan(&key)
	if err == nil {
		t.remember(r.ID, key)
	}
	return err
}

func (t *tx) putTaskRun(r *flow.TaskRun) error {
	key, err := t.key(r.Run)
	if err != nil {
		return err
	}
	_, err = t.exec(`
		INSERT INTO task_runs (run, task, state, cause, reason, generation, number, retries, lost, wake_at, round, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, task) DO UPDATE SET
			state = excluded.state, cause = excluded.cause, reason = excluded.reason,
			generation = excluded.generation, number = excluded.number,
			retries = excluded.retries, lost = excluded.lost, wake_at = excluded.wake_at,
			round = excluded.round, finished_at = excluded.finished_at`,
		key, r.Task, string(r.State), text(string(r.Cause)), text(r.Reason), int64(r.Generation), r.Number,
		r.Retries, r.Lost, micros(r.WakeAt), r.Round, micros(r.FinishedAt))
	return err
}

// putAttempt leaves a final attempt alone, and sees by that whether there is
// one.
func (t *tx) putAttempt(a *flow.Attempt) error {
	key, err := t.key(a.Run)
	if err != nil {
		return err
	}
	outputs, err := encodeOutputs(a.Outputs)
	if err != nil {
		return err
	}
	var code any
	if a.ExitCode != nil {
		code = int64(*a.ExitCode)
	}
	changed, err := t.exec(`
		INSERT INTO attempts (run, task, number, generation, epoch, node, state, reason, exit_code, outputs,
			round, retries, lost, dispatched_at, started_at, started_boot, finished_at, finished_boot)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, task, number) DO UPDATE SET
			generation = excluded.generation, epoch = excluded.epoch, node = excluded.node,
			state = excluded.state, reason = excluded.reason, exit_code = excluded.exit_code, outputs = excluded.outputs,
			round = excluded.round, retries = excluded.retries, lost = excluded.lost, dispatched_at = excluded.dispatched_at,
			started_at = excluded.started_at, started_boot = excluded.started_boot,
			finished_at = excluded.finished_at, finished_boot = excluded.finished_boot
		WHERE state IN ('dispatched', 'running')`,
		key, a.Task, int64(a.Number), int64(a.Generation), int64(a.Epoch), string(a.Node), string(a.State),
		text(a.Reason), code, outputs, int64(a.Round), int64(a.Retries), int64(a.Lost),
		micros(a.DispatchedAt), micros(a.Started.Wall), int64(a.Started.Boot), micros(a.Finished.Wall), int64(a.Finished.Boot))
	if err != nil || changed == 1 {
		return err
	}
	stored, err := scanAttempt(a.Run, t.row(`
		SELECT task, number, generation, epoch, node, state, reason, exit_code, outputs,
			round, retries, lost, dispatched_at, started_at, started_boot, finished_at, finished_boot
		FROM attempts WHERE run = ? AND task = ? AND number = ?`, key, a.Task, a.Number))
	if err != nil {
		return err
	}
	comes, err := reread(a)
	if err != nil {
		return err
	}
	return store.CheckAttempt(&stored, &comes)
}

func (t *tx) consume(b *partition.Batch, c *partition.Consumed) error {
	done, err := t.exec(`
		UPDATE commands SET done_at = ?, refused = ?
		WHERE sequence = ? AND partition = ? AND done_at IS NULL`,
		b.At.UnixMicro(), text(c.Refused), int64(c.Sequence), b.Partition)
	if err != nil || done == 1 {
		return err
	}
	stored, err := scanCommand(t.row(`
		SELECT sequence, id, key, kind, partition, run, args, digest, created_at, done_at, refused
		FROM commands WHERE sequence = ? AND partition = ?`, int64(c.Sequence), b.Partition))
	if noRows(err) {
		return fmt.Errorf("command %d: %w", c.Sequence, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return store.CheckConsumed(&stored)
}

// putEvents drops as many old events as there are too many.
func (t *tx) putEvents(events []partition.Event) error {
	if len(events) == 0 {
		return nil
	}
	var last int64
	for i := range events {
		e := &events[i]
		err := t.row(`
			INSERT INTO events (at, cause, run, task, node, epoch, message)
			VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING sequence`,
			micros(e.At), e.Cause, text(string(e.Run)), text(e.Task), text(string(e.Node)), int64(e.Epoch), e.Message).Scan(&last)
		if err != nil {
			return err
		}
	}
	_, err := t.exec(`DELETE FROM events WHERE sequence <= ?`, last-store.EventsMax)
	return err
}

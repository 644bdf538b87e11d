package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

// Claim is store.Partitions.
func (s *Store) Claim(ctx context.Context, id int, owner fence.NodeID, now time.Time) (position store.Position, err error) {
	err = s.writer.write(ctx, func(tx *tx) (err error) {
		position, err = tx.claim(id, owner, now)
		return err
	})
	if err != nil {
		return store.Position{}, fmt.Errorf("claim partition %d for node %s: %w", id, owner, err)
	}
	return position, nil
}

func (t *tx) claim(id int, owner fence.NodeID, now time.Time) (store.Position, error) {
	stands, err := scanPosition(id, t.row(`SELECT epoch, seq, owner FROM partitions WHERE id = ?`, id))
	if err != nil && !noRows(err) {
		return stands, err
	}
	ended := map[fence.NodeID]bool{}
	for _, node := range []fence.NodeID{owner, stands.Owner} {
		if ended[node], err = t.ended(node); err != nil {
			return stands, err
		}
	}
	if err := store.CheckClaim(stands, owner, func(n fence.NodeID) bool { return ended[n] }); err != nil {
		return stands, err
	}
	stands.Epoch, stands.Owner = stands.Epoch+1, owner
	_, err = t.exec(`
		INSERT INTO partitions (id, epoch, seq, owner) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
		id, int64(stands.Epoch), int64(stands.Seq), string(owner))
	if err != nil {
		return stands, err
	}
	_, err = t.exec(`INSERT INTO claims (partition, epoch, owner, at, seq) VALUES (?, ?, ?, ?, ?)`,
		id, int64(stands.Epoch), string(owner), micros(now), int64(stands.Seq))
	return stands, err
}

// ended reports whether a node has ended. One that was never registered has
// not.
func (t *tx) ended(id fence.NodeID) (bool, error) {
	var state fence.State
	err := t.row(`SELECT state FROM nodes WHERE id = ?`, string(id)).Scan(&state)
	if noRows(err) {
		return false, nil
	}
	return state.Ended(), err
}

// scanPosition reads epoch, seq, owner.
func scanPosition(id int, row scanner) (store.Position, error) {
	position := store.Position{Partition: id}
	err := row.Scan(&position.Epoch, &position.Seq, wordTo(&position.Owner))
	return position, err
}

// Position is store.Partitions.
func (s *Store) Position(ctx context.Context, id int) (store.Position, error) {
	var position store.Position
	err := s.readers.view(ctx, func(v *view) (err error) {
		position, err = scanPosition(id, v.row(`SELECT epoch, seq, owner FROM partitions WHERE id = ?`, id))
		return err
	})
	if noRows(err) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Position{}, read(err, "position of partition %d", id)
	}
	return position, nil
}

// Load is store.Partitions.
func (s *Store) Load(ctx context.Context, id int) (snapshot store.Snapshot, err error) {
	err = s.readers.view(ctx, func(v *view) error {
		var keys []int64
		err := v.list(func(row scanner) error {
			key, run, err := scanRun(row)
			keys = append(keys, key)
			snapshot.Runs = append(snapshot.Runs, store.RunSnapshot{Run: run})
			return err
		}, `
			SELECT key, id, workflow, version, partition, state, reason, params, selected, priority, round,
				created_at, started_at, finished_at
			FROM runs
			WHERE partition = ? AND state NOT IN ('stopped', 'failed', 'succeeded')
			ORDER BY id`, id)
		for i := 0; i < len(keys) && err == nil; i++ {
			err = v.complete(keys[i], &snapshot.Runs[i])
		}
		return err
	})
	return snapshot, read(err, "load partition %d", id)
}

// LoadRun is store.Partitions.
func (s *Store) LoadRun(ctx context.Context, id flow.RunID) (snapshot store.RunSnapshot, err error) {
	err = s.readers.view(ctx, func(v *view) error {
		var key int64
		if key, snapshot.Run, err = v.run(id); err != nil {
			return err
		}
		return v.complete(key, &snapshot)
	})
	return snapshot, read(err, "load run %s", id)
}

// complete reads all rows of a run, of its attempts the last of each task.
func (v *view) complete(key int64, to *store.RunSnapshot) (err error) {
	if to.TaskRuns, err = v.taskRuns(key, to.Run.ID); err != nil {
		return err
	}
	// Beside max(), SQLite takes the other columns from the row that has it.
	return v.list(addAttempt(&to.Attempts, to.Run.ID), `
		SELECT task, max(number), generation, epoch, node, state, reason, exit_code, outputs,
			round, retries, lost, dispatched_at, started_at, started_boot, finished_at, finished_boot
		FROM attempts WHERE run = ? GROUP BY task ORDER BY task`, key)
}

package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

// Claim is store.Partitions.
func (s *Store) Claim(ctx context.Context, id int, owner fence.NodeID, now time.Time) (position store.Position, err error) {
	err = s.write(ctx, func(u *undo) error {
		position = s.partitions[id]
		if err := store.CheckClaim(position, owner, s.ended); err != nil {
			return err
		}
		position = store.Position{Partition: id, Epoch: position.Epoch + 1, Seq: position.Seq, Owner: owner}
		put(u, s.partitions, id, position)
		s.claims = append(s.claims, store.Claimed{
			Partition: id, Epoch: position.Epoch, Owner: owner, At: store.Time(now), Seq: position.Seq,
		})
		return nil
	})
	if err != nil {
		return store.Position{}, fmt.Errorf("claim partition %d for node %s: %w", id, owner, err)
	}
	return position, nil
}

// Load is store.Partitions.
func (s *Store) Load(ctx context.Context, id int) (snapshot store.Snapshot, err error) {
	err = s.read(ctx, func() error {
		for _, run := range slices.Sorted(maps.Keys(s.runs)) {
			if r := s.runs[run]; r.run.Partition == id && !r.run.State.Final() {
				snapshot.Runs = append(snapshot.Runs, r.snapshot())
			}
		}
		return nil
	})
	return snapshot, err
}

// LoadRun is store.Partitions.
func (s *Store) LoadRun(ctx context.Context, id flow.RunID) (snapshot store.RunSnapshot, err error) {
	err = s.read(ctx, func() error {
		r, err := s.find(id)
		if err != nil {
			return err
		}
		snapshot = r.snapshot()
		return nil
	})
	return snapshot, err
}

func (r *record) snapshot() store.RunSnapshot {
	snapshot := store.RunSnapshot{Run: store.CopyRun(&r.run), TaskRuns: r.taskRows()}
	all := r.attemptRows("")
	for i := range all {
		if i+1 == len(all) || all[i+1].Task != all[i].Task {
			snapshot.Attempts = append(snapshot.Attempts, all[i])
		}
	}
	return snapshot
}

func (r *record) taskRows() []flow.TaskRun {
	return slices.SortedFunc(maps.Values(r.taskRuns), func(a, b flow.TaskRun) int { return strings.Compare(a.Task, b.Task) })
}

// attemptRows returns the attempts of one task, or of all.
func (r *record) attemptRows(task string) (rows []flow.Attempt) {
	for id, a := range r.attempts {
		if task == "" || task == id.task {
			rows = append(rows, store.CopyAttempt(&a))
		}
	}
	slices.SortFunc(rows, func(a, b flow.Attempt) int {
		return cmp.Or(strings.Compare(a.Task, b.Task), cmp.Compare(a.Number, b.Number))
	})
	return rows
}

// Position is store.Partitions.
func (s *Store) Position(ctx context.Context, id int) (position store.Position, err error) {
	err = s.read(ctx, func() error {
		var ok bool
		if position, ok = s.partitions[id]; !ok {
			return fmt.Errorf("position of partition %d: %w", id, store.ErrNotFound)
		}
		return nil
	})
	return position, err
}

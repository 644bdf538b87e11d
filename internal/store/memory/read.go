package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Run is store.Reader.
func (s *Store) Run(ctx context.Context, id flow.RunID) (run flow.Run, err error) {
	err = s.read(ctx, func() error {
		r, err := s.find(id)
		if err != nil {
			return err
		}
		run = store.CopyRun(&r.run)
		return nil
	})
	return run, err
}

// Runs is store.Reader.
func (s *Store) Runs(ctx context.Context, f store.RunFilter) (list []flow.Run, err error) {
	err = s.read(ctx, func() error {
		for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.runs))) {
			if r := &s.runs[id].run; f.Matches(r) {
				list = append(list, store.CopyRun(r))
			}
			if len(list) == store.Page(f.Limit) {
				break
			}
		}
		return nil
	})
	return list, err
}

// TaskRows is store.Reader.
func (s *Store) TaskRows(ctx context.Context, id flow.RunID) (rows []flow.TaskRun, err error) {
	err = s.read(ctx, func() error {
		r, err := s.find(id)
		if err != nil {
			return err
		}
		rows = r.taskRows()
		return nil
	})
	return rows, err
}

// Attempts is store.Reader.
func (s *Store) Attempts(ctx context.Context, id flow.RunID, task string) (rows []flow.Attempt, err error) {
	err = s.read(ctx, func() error {
		r, err := s.find(id)
		if err != nil {
			return err
		}
		rows = r.attemptRows(task)
		return nil
	})
	return rows, err
}

// Claims is store.Reader.
func (s *Store) Claims(ctx context.Context) (list []store.Claimed, err error) {
	err = s.read(ctx, func() error {
		list = slices.Clone(s.claims)
		slices.SortFunc(list, func(a, b store.Claimed) int {
			return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Epoch, b.Epoch))
		})
		return nil
	})
	return list, err
}

// Events is store.Reader.
func (s *Store) Events(ctx context.Context, run flow.RunID, limit int) (list []partition.Event, err error) {
	err = s.read(ctx, func() error {
		kept := s.events[max(0, len(s.events)-store.EventsMax):]
		for _, e := range slices.Backward(kept) {
			if len(list) == store.Page(limit) {
				break
			}
			if run == "" || e.Run == run {
				list = append(list, e)
			}
		}
		return nil
	})
	return list, err
}

// Stats is store.Reader. A store in memory has no size.
func (s *Store) Stats(ctx context.Context) (stats store.Stats, err error) {
	err = s.read(ctx, func() error {
		stats.Runs = map[flow.RunState]int{}
		for _, r := range s.runs {
			stats.Runs[r.run.State]++
		}
		for i := range s.commands {
			if s.commands[i].DoneAt.IsZero() {
				stats.Pending++
			}
		}
		return nil
	})
	return stats, err
}

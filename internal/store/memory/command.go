package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Submit is store.Commands.
func (s *Store) Submit(ctx context.Context, c partition.Command, run *flow.Run) (stored partition.Command, repeated bool, err error) {
	err = s.write(ctx, func(u *undo) error {
		if err := store.CheckSubmit(&c, run); err != nil {
			return err
		}
		if place, ok := s.keys[c.Key]; ok {
			stored, repeated = store.CopyCommand(&s.commands[place]), true
			return store.CheckKey(&stored, &c)
		}
		if run != nil {
			if s.runs[run.ID] != nil {
				return store.KnownRun(run.ID)
			}
			put(u, s.runs, run.ID, newRecord(run))
		} else if _, err := s.find(c.Run); err != nil {
			return err
		}
		stored = store.CopyCommand(&c)
		stored.Sequence = uint64(len(s.commands)) + 1
		s.keys[c.Key] = len(s.commands)
		s.commands = append(s.commands, stored)
		stored = store.CopyCommand(&stored)
		return nil
	})
	if err != nil {
		return partition.Command{}, false, fmt.Errorf("submit %s of run %s: %w", c.Kind, c.Run, err)
	}
	s.changes.Tell()
	return stored, repeated, nil
}

func newRecord(run *flow.Run) *record {
	return &record{run: store.CopyRun(run), taskRuns: map[string]flow.TaskRun{}, attempts: map[attemptID]flow.Attempt{}}
}

// Command is store.Commands.
func (s *Store) Command(ctx context.Context, id string) (c partition.Command, err error) {
	err = s.read(ctx, func() error {
		place := slices.IndexFunc(s.commands, func(c partition.Command) bool { return c.ID == id })
		if place < 0 {
			return fmt.Errorf("command %s: %w", id, store.ErrNotFound)
		}
		c = store.CopyCommand(&s.commands[place])
		return nil
	})
	return c, err
}

// Pending is store.Commands.
func (s *Store) Pending(ctx context.Context, id int, after uint64, limit int) (list []partition.Command, err error) {
	err = s.read(ctx, func() error {
		for i := min(after, uint64(len(s.commands))); i < uint64(len(s.commands)) && len(list) < limit; i++ {
			if c := &s.commands[i]; c.Partition == id && c.DoneAt.IsZero() {
				list = append(list, store.CopyCommand(c))
			}
		}
		return nil
	})
	return list, err
}

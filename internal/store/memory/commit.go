package memory

import (
	"context"
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Commit is store.Partitions.
func (s *Store) Commit(ctx context.Context, b *partition.Batch) error {
	err := s.write(ctx, func(u *undo) error {
		position := s.partitions[b.Partition]
		if repeated, err := store.CheckSeq(b, position); repeated || err != nil {
			return err
		}
		position.Seq = b.Seq
		put(u, s.partitions, b.Partition, position)
		return s.commitRows(u, b)
	})
	if err != nil {
		return fmt.Errorf("commit %d of partition %d at epoch %d: %w", b.Seq, b.Partition, b.Epoch, err)
	}
	s.changes.Tell()
	return nil
}

func (s *Store) commitRows(u *undo, b *partition.Batch) error {
	for i := range b.Runs {
		s.commitRun(u, &b.Runs[i])
	}
	for i := range b.TaskRuns {
		r, err := s.find(b.TaskRuns[i].Run)
		if err != nil {
			return err
		}
		put(u, r.taskRuns, b.TaskRuns[i].Task, store.CopyTaskRun(&b.TaskRuns[i]))
	}
	for i := range b.Attempts {
		if err := s.commitAttempt(u, &b.Attempts[i]); err != nil {
			return err
		}
	}
	for _, c := range b.Commands {
		if err := s.consume(u, b, c); err != nil {
			return err
		}
	}
	s.commitEvents(b.Events)
	return nil
}

func (s *Store) commitRun(u *undo, run *flow.Run) {
	r := s.runs[run.ID]
	if r == nil {
		put(u, s.runs, run.ID, newRecord(run))
		return
	}
	before := r.run
	u.add(func() { r.run = before })
	r.run = store.CopyRun(run)
}

func (s *Store) commitAttempt(u *undo, a *flow.Attempt) error {
	r, err := s.find(a.Run)
	if err != nil {
		return err
	}
	id := attemptID{task: a.Task, number: a.Number}
	copied := store.CopyAttempt(a)
	if stored, ok := r.attempts[id]; ok {
		if err := store.CheckAttempt(&stored, &copied); err != nil {
			return err
		}
	}
	put(u, r.attempts, id, copied)
	return nil
}

func (s *Store) consume(u *undo, b *partition.Batch, consumed partition.Consumed) error {
	if consumed.Sequence == 0 || consumed.Sequence > uint64(len(s.commands)) || s.commands[consumed.Sequence-1].Partition != b.Partition {
		return fmt.Errorf("command %d: %w", consumed.Sequence, store.ErrNotFound)
	}
	c := &s.commands[consumed.Sequence-1]
	if err := store.CheckConsumed(c); err != nil {
		return err
	}
	before := *c
	u.add(func() { *c = before })
	c.DoneAt, c.Refused = store.Time(b.At), consumed.Refused
	return nil
}

// commitEvents comes last in a commit: nothing after it can fail.
func (s *Store) commitEvents(events []partition.Event) {
	for _, e := range events {
		e.At = store.Time(e.At)
		s.events = append(s.events, e)
	}
	if len(s.events) > 2*store.EventsMax {
		s.events = append([]partition.Event(nil), s.events[len(s.events)-store.EventsMax:]...)
	}
}

// Package memory is a store that forgets everything when it is closed: for
// tests and for simulated worlds. It passes the suite that every store passes.
package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

var _ store.Store = (*Store)(nil)

// Store keeps everything in maps, under one lock.
type Store struct {
	changes store.Changes

	mu         sync.RWMutex
	closed     bool
	workflows  map[string][]store.Definition // versions of a name, from 1
	runs       map[flow.RunID]*record
	commands   []partition.Command // the one with Sequence n at n-1
	keys       map[string]int      // to the place in commands
	partitions map[int]store.Position
	claims     []store.Claimed
	nodes      []fence.Node // oldest first
	events     []partition.Event
}

// record is all that is stored about one run.
type record struct {
	run      flow.Run
	taskRuns map[string]flow.TaskRun
	attempts map[attemptID]flow.Attempt
}

type attemptID struct {
	task   string
	number int
}

// Open returns an empty store.
func Open() *Store {
	return &Store{
		workflows:  map[string][]store.Definition{},
		runs:       map[flow.RunID]*record{},
		keys:       map[string]int{},
		partitions: map[int]store.Position{},
	}
}

// Changed is store.Store.
func (s *Store) Changed() (<-chan struct{}, func()) { return s.changes.Watch() }

// Health is store.Store.
func (s *Store) Health(ctx context.Context) error {
	return s.read(ctx, func() error { return nil })
}

// Close is store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

var errClosed = errors.New("the store is closed")

// read calls f while nothing is written.
func (s *Store) read(ctx context.Context, f func() error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f()
}

// undo takes back, newest first, what a write did before it failed.
type undo []func()

func (u *undo) add(f func()) { *u = append(*u, f) }

// put stores a value in a map so that it can be taken back.
func put[K comparable, V any](u *undo, m map[K]V, key K, v V) {
	before, had := m[key]
	u.add(func() {
		if had {
			m[key] = before
		} else {
			delete(m, key)
		}
	})
	m[key] = v
}

// write calls f alone; if f fails, what it put is as before.
func (s *Store) write(ctx context.Context, f func(u *undo) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var u undo
	err := f(&u)
	if err != nil {
		for i := len(u) - 1; i >= 0; i-- {
			u[i]()
		}
	}
	return err
}

func (s *Store) find(id flow.RunID) (*record, error) {
	r := s.runs[id]
	if r == nil {
		return nil, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return r, nil
}

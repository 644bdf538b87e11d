package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/memory"
	"github.com/semel-dev/semel/internal/store/sqlite"
)

// TestStore_IsTheOneInMemory does the same to both stores, whatever it is,
// right or wrong, and closes and opens the file in between: they give the same
// answers.
func TestStore_IsTheOneInMemory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := &pair{t: t, cfg: sqlite.Config{Path: filepath.Join(t.TempDir(), "semel.db"), Sync: sqlite.SyncOff}, model: memory.Open()}
		p.open()
		defer func() {
			if err := p.file.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			p.step(r)
		}
		p.compare(r)
	})
}

// pair is a store and its model.
type pair struct {
	t     *testing.T
	cfg   sqlite.Config
	file  *sqlite.Store
	model *memory.Store
	now   time.Time
}

func (p *pair) open() {
	var err error
	if p.file, err = sqlite.Open(p.t.Context(), p.cfg); err != nil {
		p.t.Fatal(err)
	}
}

var (
	nodeIDs   = rapid.SampledFrom([]fence.NodeID{"a", "b", "c"})
	runIDs    = rapid.SampledFrom([]flow.RunID{"r1", "r2", "r3", "r4"})
	taskNames = rapid.SampledFrom([]string{"t", "u"})
	places    = rapid.IntRange(0, 1)
)

// step does one thing to both, and compares the answers.
func (p *pair) step(r *rapid.T) {
	p.now = p.now.Add(time.Second)
	if p.now.Year() < 2000 {
		p.now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	}
	ctx := p.t.Context()
	switch rapid.IntRange(0, 6).Draw(r, "kind") {
	case 0:
		place, owner := places.Draw(r, "partition"), nodeIDs.Draw(r, "owner")
		both(r, p, func(s store.Store) (store.Position, error) { return s.Claim(ctx, place, owner, p.now) })
	case 1:
		n := fence.Node{ID: nodeIDs.Draw(r, "node"), State: fence.Live, StartedAt: p.now}
		both(r, p, func(s store.Store) (any, error) { return nil, s.Register(ctx, n) })
	case 2:
		id := nodeIDs.Draw(r, "node")
		both(r, p, func(s store.Store) (any, error) { return nil, s.EndNode(ctx, id, fence.Fenced, "why", p.now) })
	case 3:
		c, run := p.command(r)
		both(r, p, func(s store.Store) (any, error) {
			stored, repeated, err := s.Submit(ctx, c, run)
			return []any{stored, repeated}, err
		})
	case 4, 5:
		b := p.batch(r)
		both(r, p, func(s store.Store) (any, error) { return nil, s.Commit(ctx, b) })
	case 6:
		if err := p.file.Close(); err != nil {
			r.Fatal(err)
		}
		p.open()
	}
}

func (p *pair) command(r *rapid.T) (partition.Command, *flow.Run) {
	n := rapid.IntRange(0, 5).Draw(r, "command")
	c := partition.Command{
		ID: fmt.Sprint("id", n), Key: fmt.Sprint("key", n), Kind: partition.KindStop, Run: runIDs.Draw(r, "run"),
		Partition: places.Draw(r, "partition"), Digest: rapid.SampledFrom([]string{"x", "y"}).Draw(r, "digest"), CreatedAt: p.now,
	}
	if rapid.Bool().Draw(r, "start") {
		c.Kind = partition.KindStart
		return c, p.run(r, c.Run, c.Partition)
	}
	return c, nil
}

func (p *pair) run(r *rapid.T, id flow.RunID, place int) *flow.Run {
	return &flow.Run{
		ID: id, Workflow: "w", Version: 1, Partition: place, CreatedAt: p.now,
		State: rapid.SampledFrom([]flow.RunState{flow.RunQueued, flow.RunRunning, flow.RunSucceeded}).Draw(r, "state"),
	}
}

// batch is the next one of its partition more often than not.
func (p *pair) batch(r *rapid.T) *partition.Batch {
	b := &partition.Batch{Partition: places.Draw(r, "partition"), At: p.now}
	if position, err := p.model.Position(p.t.Context(), b.Partition); err == nil {
		b.Epoch, b.Seq = position.Epoch, position.Seq+1
	}
	switch rapid.IntRange(0, 9).Draw(r, "number") {
	case 0:
		b.Seq++
	case 1:
		b.Seq--
	case 2:
		b.Epoch++
	}
	for range rapid.IntRange(0, 2).Draw(r, "runs") {
		b.Runs = append(b.Runs, *p.run(r, runIDs.Draw(r, "run"), b.Partition))
	}
	for range rapid.IntRange(0, 2).Draw(r, "task runs") {
		b.TaskRuns = append(b.TaskRuns, flow.TaskRun{
			Run: runIDs.Draw(r, "run"), Task: taskNames.Draw(r, "task"), State: flow.TaskReady, Number: int(b.Seq),
		})
	}
	for range rapid.IntRange(0, 3).Draw(r, "attempts") {
		b.Attempts = append(b.Attempts, flow.Attempt{
			Run: runIDs.Draw(r, "run"), Task: taskNames.Draw(r, "task"), Number: rapid.IntRange(1, 2).Draw(r, "attempt"),
			State: rapid.SampledFrom([]flow.AttemptState{flow.AttemptDispatched, flow.AttemptFailed, flow.AttemptSucceeded}).Draw(r, "state"),
		})
	}
	if rapid.IntRange(0, 2).Draw(r, "consume") == 0 {
		b.Commands = []partition.Consumed{{Sequence: uint64(rapid.IntRange(0, 4).Draw(r, "sequence"))}}
	}
	b.Events = []partition.Event{{At: p.now, Cause: "x", Run: runIDs.Draw(r, "run")}}
	return b
}

// both does f to both stores. Answers are the same, and errors as far as the
// contract goes.
func both[T any](r *rapid.T, p *pair, f func(store.Store) (T, error)) {
	got, gotErr := f(p.file)
	want, wantErr := f(p.model)
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("answer (-memory +sqlite):\n%s", diff)
	}
	if (gotErr == nil) != (wantErr == nil) {
		r.Fatalf("in memory: %v; in SQLite: %v", wantErr, gotErr)
	}
	for _, kind := range []error{store.ErrNotFound, store.ErrFenced, store.ErrSequence, store.ErrKeyReused, store.ErrUnknown} {
		if errors.Is(gotErr, kind) != errors.Is(wantErr, kind) {
			r.Fatalf("in memory: %v; in SQLite: %v", wantErr, gotErr)
		}
	}
}

// compare reads everything.
func (p *pair) compare(r *rapid.T) {
	ctx := p.t.Context()
	for place := range 2 {
		both(r, p, func(s store.Store) (store.Snapshot, error) { return s.Load(ctx, place) })
		both(r, p, func(s store.Store) (store.Position, error) { return s.Position(ctx, place) })
		both(r, p, func(s store.Store) ([]partition.Command, error) { return s.Pending(ctx, place, 0, 100) })
	}
	for _, id := range []flow.RunID{"r1", "r2", "r3", "r4"} {
		both(r, p, func(s store.Store) (store.RunSnapshot, error) { return s.LoadRun(ctx, id) })
		both(r, p, func(s store.Store) ([]flow.Attempt, error) { return s.Attempts(ctx, id, "") })
		both(r, p, func(s store.Store) ([]partition.Event, error) { return s.Events(ctx, id, 100) })
	}
	both(r, p, func(s store.Store) ([]flow.Run, error) { return s.Runs(ctx, store.RunFilter{}) })
	both(r, p, func(s store.Store) ([]store.Claimed, error) { return s.Claims(ctx) })
	both(r, p, func(s store.Store) ([]fence.Node, error) { return s.NodeList(ctx) })
	both(r, p, func(s store.Store) (store.Stats, error) {
		stats, err := s.Stats(ctx)
		stats.Bytes = 0 // memory has none
		return stats, err
	})
}

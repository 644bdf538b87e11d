package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func testClaim(t *testing.T, w world) {
	ctx := t.Context()
	for _, id := range []fence.NodeID{"live", "left", "fenced", "other"} {
		if err := w.Register(ctx, sampleNode(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Position(ctx, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("position of a partition that nobody claimed: %v", err)
	}
	end := func(id fence.NodeID, state fence.State) func() {
		return func() {
			if err := w.EndNode(ctx, id, state, "test", start); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := func() {}
	for _, c := range []struct {
		name   string
		before func()
		by     fence.NodeID
		want   flow.Epoch // 0: fenced
	}{
		{"a new partition", nothing, "left", 1},
		{"by its owner again", nothing, "left", 2},
		{"by another while the owner lives", nothing, "other", 0},
		{"by another after the owner left", end("left", fence.Left), "fenced", 3},
		{"by another while the second owner lives", nothing, "live", 0},
		{"by another after the second owner was fenced", end("fenced", fence.Fenced), "live", 4},
		{"by a node that has ended", nothing, "left", 0},
		{"by a node that was never registered", nothing, "stranger", 0},
		{"by nobody", nothing, "", 0},
	} {
		c.before()
		at := start.Add(time.Duration(c.want) * time.Second)
		position, err := w.Claim(ctx, 1, c.by, at)
		if c.want == 0 {
			if err == nil || (c.by != "" && !errors.Is(err, store.ErrFenced)) {
				t.Errorf("%s: %+v, %v, want fenced", c.name, position, err)
			}
			continue
		}
		if want := (store.Position{Partition: 1, Epoch: c.want, Seq: uint64(c.want) - 1, Owner: c.by}); err != nil || position != want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, position, err, want)
		}
		same(t, "position "+c.name, w.position(1), position)
		w.committed(partition.Batch{Partition: 1, Events: []partition.Event{{At: start, Cause: "x"}}})
	}
	end("live", fence.Left)()
	if _, err := w.Claim(ctx, 1, "live", start); !errors.Is(err, store.ErrFenced) {
		t.Errorf("claim of a free partition by a node that has ended: %v", err)
	}
	// An owner that was never registered cannot have ended.
	w.claimed(0, "stranger")
	if _, err := w.Claim(ctx, 0, "other", start); !errors.Is(err, store.ErrFenced) {
		t.Errorf("claim from an owner that was never registered: %v", err)
	}
	claim := func(p int, epoch flow.Epoch, owner fence.NodeID) store.Claimed {
		return store.Claimed{Partition: p, Epoch: epoch, Owner: owner, At: start.Add(time.Duration(epoch) * time.Second), Seq: uint64(epoch) - 1}
	}
	first := claim(0, 1, "stranger")
	first.At = start
	same(t, "claims", must[[]store.Claimed](t)(w.Claims(ctx)), []store.Claimed{
		first, claim(1, 1, "left"), claim(1, 2, "left"), claim(1, 3, "fenced"), claim(1, 4, "live"),
	})
}

// P4, as far as the store goes: whoever lost a partition changes nothing.
func testCommitIsNumbered(t *testing.T, w world) {
	ctx := t.Context()
	run := sample(1, 1)
	if err := w.Register(ctx, sampleNode("a")); err != nil {
		t.Fatal(err)
	}
	w.claimed(1, "a")
	w.claimed(1, "a")
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{run}}) // (2, 1)
	try := func(epoch flow.Epoch, seq uint64, reason string) error {
		changed := run
		changed.Reason = reason
		return w.Commit(ctx, &partition.Batch{Partition: 1, Epoch: epoch, Seq: seq, At: start, Runs: []flow.Run{changed}})
	}
	for _, c := range []struct {
		epoch flow.Epoch
		seq   uint64
		want  error
	}{
		{1, 2, store.ErrFenced},
		{1, 1, store.ErrFenced},
		{3, 2, store.ErrFenced},
		{2, 0, store.ErrSequence},
		{2, 3, store.ErrSequence},
		{2, 1, nil}, // stored before
	} {
		if err := try(c.epoch, c.seq, "must not be seen"); !errors.Is(err, c.want) {
			t.Errorf("commit (%d, %d): %v, want %v", c.epoch, c.seq, err, c.want)
		}
		same(t, "run", must[flow.Run](t)(w.Run(ctx, run.ID)), run)
		same(t, "position", w.position(1), store.Position{Partition: 1, Epoch: 2, Seq: 1, Owner: "a"})
	}
	if err := try(2, 2, "next"); err != nil {
		t.Errorf("the next commit: %v", err)
	}
	if err := w.EndNode(ctx, "a", fence.Fenced, "silent", start); err != nil {
		t.Fatal(err)
	}
	if err := try(2, 3, "from beyond"); !errors.Is(err, store.ErrFenced) {
		t.Errorf("commit of an owner that was fenced: %v", err)
	}
	if err := try(2, 2, "asked again"); err != nil {
		t.Errorf("a stored commit is told of whoever owns the partition: %v", err)
	}
	w.claimed(1, "b")
	if err := try(2, 3, "from beyond"); !errors.Is(err, store.ErrFenced) {
		t.Errorf("commit of an old epoch: %v", err)
	}
	if err := w.Commit(ctx, &partition.Batch{Partition: 9, Epoch: 1, Seq: 1, At: start}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("commit to a partition that nobody claimed: %v", err)
	}
	run.Reason = "next"
	same(t, "run in the end", must[flow.Run](t)(w.Run(ctx, run.ID)), run)
}

func testLoad(t *testing.T, w world) {
	ctx := t.Context()
	w.claimed(1, "a")
	w.claimed(2, "a")
	var want store.Snapshot
	for i, state := range []flow.RunState{
		flow.RunQueued, flow.RunSucceeded, flow.RunRunning, flow.RunPausing, flow.RunFailed, flow.RunPaused, flow.RunStopped, flow.RunStopping,
	} {
		for p := 1; p <= 2; p++ {
			run := sample(p, 8-i)
			run.State = state
			b := partition.Batch{
				Partition: p, Runs: []flow.Run{run}, TaskRuns: []flow.TaskRun{sampleTaskRun(run.ID, "z"), sampleTaskRun(run.ID, "a")},
				Attempts: []flow.Attempt{
					sampleAttempt(run.ID, "m", 1), sampleAttempt(run.ID, "m", 2), sampleAttempt(run.ID, "m", 10), sampleAttempt(run.ID, "b", 1),
				},
			}
			w.committed(b)
			if p == 1 && !state.Final() {
				want.Runs = append([]store.RunSnapshot{{
					Run: run, TaskRuns: []flow.TaskRun{b.TaskRuns[1], b.TaskRuns[0]},
					Attempts: []flow.Attempt{b.Attempts[3], b.Attempts[2]},
				}}, want.Runs...)
			}
		}
	}
	same(t, "snapshot", must[store.Snapshot](t)(w.Load(ctx, 1)), want)
	if empty := must[store.Snapshot](t)(w.Load(ctx, 3)); len(empty.Runs) != 0 {
		t.Errorf("snapshot of a partition without runs: %+v", empty)
	}
}

func testLoadRun(t *testing.T, w world) {
	w.claimed(1, "a")
	run := sample(1, 1)
	run.State = flow.RunSucceeded
	attempts := []flow.Attempt{sampleAttempt(run.ID, "m", 1), sampleAttempt(run.ID, "m", 2)}
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{run, sample(1, 2)}, Attempts: attempts})
	w.committed(partition.Batch{Partition: 1, Attempts: []flow.Attempt{sampleAttempt(sample(1, 2).ID, "m", 5)}})
	same(t, "final run", must[store.RunSnapshot](t)(w.LoadRun(t.Context(), run.ID)), store.RunSnapshot{Run: run, Attempts: attempts[1:]})
	if _, err := w.LoadRun(t.Context(), "nobody's"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a run that is not there: %v", err)
	}
}

func testNodes(t *testing.T, w world) {
	ctx := t.Context()
	first, second := sampleNode("first"), sampleNode("second")
	second.StartedAt, second.Role = start.Add(time.Minute), fence.Worker
	complete(t, first, "Reason", "EndedAt")
	for _, n := range []fence.Node{second, first} {
		if err := w.Register(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Register(ctx, first); err == nil {
		t.Error("an incarnation was used twice")
	}
	ended := sampleNode("third")
	ended.State = fence.Left
	if err := w.Register(ctx, ended); err == nil {
		t.Error("a node was registered as ended")
	}
	same(t, "nodes, newest first", must[[]fence.Node](t)(w.NodeList(ctx)), []fence.Node{second, first})
	w.claimed(1, "first")
	w.claimed(2, "second")
	w.claimed(3, "first")
	if err := w.EndNode(ctx, "first", fence.Live, "", start); err == nil {
		t.Error("a node ended as live")
	}
	if err := w.EndNode(ctx, "nobody", fence.Left, "", start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("end of a node that was never registered: %v", err)
	}
	if err := w.EndNode(ctx, "first", fence.Fenced, "silent for 15 s", start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := w.EndNode(ctx, "first", fence.Left, "too late", start.Add(2*time.Hour)); err != nil {
		t.Errorf("the second end of a node: %v", err)
	}
	first.State, first.Reason, first.EndedAt = fence.Fenced, "silent for 15 s", start.Add(time.Hour)
	same(t, "nodes", must[[]fence.Node](t)(w.NodeList(ctx)), []fence.Node{second, first})
	for p, owner := range map[int]fence.NodeID{1: "", 2: "second", 3: ""} {
		if got := w.position(p); got.Owner != owner || got.Epoch != 1 {
			t.Errorf("partition %d: %+v, want owner %q", p, got, owner)
		}
	}
	if err := w.Register(ctx, sampleNode("first")); err == nil {
		t.Error("a fenced incarnation came back")
	}
}

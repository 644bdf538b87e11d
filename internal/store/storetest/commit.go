package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// whole is a batch that writes everywhere.
func whole(p int, sequence uint64) partition.Batch {
	run := sample(p, 1)
	run.State = flow.RunRunning
	return partition.Batch{
		Partition: p, Runs: []flow.Run{run}, TaskRuns: []flow.TaskRun{sampleTaskRun(run.ID, "t")},
		Attempts: []flow.Attempt{sampleAttempt(run.ID, "t", 1)},
		Commands: []partition.Consumed{{Sequence: sequence}},
		Events:   []partition.Event{{At: start, Cause: "x", Run: run.ID}},
	}
}

// testCommitIsWhole breaks a batch at each of its kinds of rows: nothing of it
// is seen, and what is right is stored under the same number afterwards.
func testCommitIsWhole(t *testing.T, w world) {
	ctx, run := t.Context(), sample(1, 1)
	c := w.submitted(run)
	w.claimed(1, "a")
	for name, spoil := range map[string]func(*partition.Batch){
		"task run of no run": func(b *partition.Batch) { b.TaskRuns = append(b.TaskRuns, sampleTaskRun("nobody's", "t")) },
		"attempt of no run":  func(b *partition.Batch) { b.Attempts = append(b.Attempts, sampleAttempt("nobody's", "t", 1)) },
		"unknown command": func(b *partition.Batch) {
			b.Commands = append(b.Commands, partition.Consumed{Sequence: 99})
		},
	} {
		b := w.next(whole(1, c.Sequence))
		spoil(&b)
		if err := w.Commit(ctx, &b); err == nil {
			t.Fatalf("%s: committed", name)
		}
		same(t, name+": run", must[flow.Run](t)(w.Run(ctx, run.ID)), run)
		if rows := must[[]flow.TaskRun](t)(w.TaskRows(ctx, run.ID)); len(rows) != 0 {
			t.Errorf("%s: left task runs: %+v", name, rows)
		}
		if rows := must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "")); len(rows) != 0 {
			t.Errorf("%s: left attempts: %+v", name, rows)
		}
		if list := must[[]partition.Command](t)(w.Pending(ctx, 1, 0, 9)); len(list) != 1 {
			t.Errorf("%s: consumed the command", name)
		}
		if events := must[[]partition.Event](t)(w.Events(ctx, "", 9)); len(events) != 0 {
			t.Errorf("%s: left events: %+v", name, events)
		}
		if stats := must[store.Stats](t)(w.Stats(ctx)); stats.Runs[flow.RunRunning] != 0 || stats.Runs[flow.RunQueued] != 1 {
			t.Errorf("%s: left counts: %v", name, stats.Runs)
		}
		same(t, name+": position", w.position(1), store.Position{Partition: 1, Epoch: 1, Owner: "a"})
	}
	// A run that first came with a batch that failed is not there either.
	b := w.next(partition.Batch{Partition: 1, Runs: []flow.Run{sample(1, 2)}, TaskRuns: []flow.TaskRun{sampleTaskRun("nobody's", "t")}})
	if err := w.Commit(ctx, &b); err == nil {
		t.Fatal("committed a task run of no run")
	}
	b = w.next(partition.Batch{Partition: 1, TaskRuns: []flow.TaskRun{sampleTaskRun(sample(1, 2).ID, "t")}})
	if err := w.Commit(ctx, &b); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("task run of a run that was rolled back: %v", err)
	}
	w.committed(whole(1, c.Sequence))
	if rows := must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "")); len(rows) != 1 {
		t.Errorf("the batch put right: %+v", rows)
	}
}

func testCommitRefused(t *testing.T, w world) {
	ctx := t.Context()
	one, two := w.submitted(sample(1, 1)), w.submitted(sample(2, 1))
	w.claimed(1, "a")
	w.committed(partition.Batch{Partition: 1, Commands: []partition.Consumed{{Sequence: one.Sequence}}})
	for name, c := range map[string]struct {
		batch partition.Batch
		want  error
	}{
		"a command twice":                {partition.Batch{Partition: 1, Commands: []partition.Consumed{{Sequence: one.Sequence}}}, nil},
		"a command of another partition": {partition.Batch{Partition: 1, Commands: []partition.Consumed{{Sequence: two.Sequence}}}, store.ErrNotFound},
		"no command":                     {partition.Batch{Partition: 1, Commands: []partition.Consumed{{}}}, store.ErrNotFound},
	} {
		b := w.next(c.batch)
		err := w.Commit(ctx, &b)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want an error %v", name, err, c.want)
		}
	}
}

// Rows are written whole: what became empty is empty.
func testCommitWritesWholeRows(t *testing.T, w world) {
	ctx := t.Context()
	w.claimed(1, "a")
	full := sample(1, 1)
	running := sampleAttempt(full.ID, "t", 1)
	running.State = flow.AttemptRunning
	w.committed(partition.Batch{
		Partition: 1, Runs: []flow.Run{full}, TaskRuns: []flow.TaskRun{sampleTaskRun(full.ID, "t")}, Attempts: []flow.Attempt{running},
	})
	run := flow.Run{ID: full.ID, Partition: 1, State: flow.RunRunning, Params: map[string]any{}}
	task := flow.TaskRun{Run: full.ID, Task: "t", State: flow.TaskPaused}
	attempt := flow.Attempt{Run: full.ID, Task: "t", Number: 1, State: flow.AttemptBuried}
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{run}, TaskRuns: []flow.TaskRun{task}, Attempts: []flow.Attempt{attempt}})
	same(t, "rows", must[store.RunSnapshot](t)(w.LoadRun(ctx, full.ID)),
		store.RunSnapshot{Run: run, TaskRuns: []flow.TaskRun{task}, Attempts: []flow.Attempt{attempt}})
	run.Params = nil
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{run}})
	same(t, "run without parameters", must[flow.Run](t)(w.Run(ctx, full.ID)), run)
}

// P5 and P8, as far as the store goes: the ledger is never rewritten.
func testFinalAttemptStays(t *testing.T, w world) {
	ctx, run := t.Context(), sample(1, 1)
	w.claimed(1, "a")
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{run}})
	for number, state := range []flow.AttemptState{
		flow.AttemptSucceeded, flow.AttemptFailed, flow.AttemptStopped, flow.AttemptLost, flow.AttemptBuried,
	} {
		final := sampleAttempt(run.ID, "t", number)
		for _, before := range []flow.AttemptState{flow.AttemptDispatched, flow.AttemptRunning} {
			open := final
			open.State = before
			w.committed(partition.Batch{Partition: 1, Attempts: []flow.Attempt{open}})
		}
		final.State = state
		final.DispatchedAt = final.DispatchedAt.Add(time.Nanosecond) // is not kept, and makes no difference
		w.committed(partition.Batch{Partition: 1, Attempts: []flow.Attempt{final}})
		w.committed(partition.Batch{Partition: 1, Attempts: []flow.Attempt{final}}) // the same again
		before := w.position(1)
		for name, spoil := range map[string]func(*flow.Attempt){
			"state":      func(a *flow.Attempt) { a.State = flow.AttemptRunning },
			"reason":     func(a *flow.Attempt) { a.Reason = "other" },
			"exit code":  func(a *flow.Attempt) { a.ExitCode = nil },
			"outputs":    func(a *flow.Attempt) { a.Outputs = flow.Outputs{"rows": "43"} },
			"no outputs": func(a *flow.Attempt) { a.Outputs = nil },
			"node":       func(a *flow.Attempt) { a.Node = "other" },
			"generation": func(a *flow.Attempt) { a.Generation++ },
			"finished":   func(a *flow.Attempt) { a.Finished.Wall = a.Finished.Wall.Add(time.Microsecond) },
		} {
			changed := final
			spoil(&changed)
			b := w.next(partition.Batch{Partition: 1, Attempts: []flow.Attempt{sampleAttempt(run.ID, "u", number), changed}})
			if err := w.Commit(ctx, &b); err == nil {
				t.Errorf("%s attempt: another %s was stored", state, name)
			}
			same(t, "position", w.position(1), before)
		}
		stored := must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "t"))
		same(t, "attempt", stored[number], store.CopyAttempt(&final))
	}
	if rows := must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "u")); len(rows) != 0 {
		t.Errorf("refused batches left %d rows", len(rows))
	}
}

// Each field of each row comes back, and times in the store's precision.
func testRowsKeepEverything(t *testing.T, w world) {
	ctx, run := t.Context(), sample(1, 1)
	task, attempt := sampleTaskRun(run.ID, "t"), sampleAttempt(run.ID, "t", 1)
	event := partition.Event{At: start, Cause: "fence", Run: run.ID, Task: "t", Node: "n", Epoch: 3, Message: "ü <&>"}
	complete(t, run)
	complete(t, task)
	complete(t, attempt)
	complete(t, event)
	w.claimed(1, "a")
	zone := time.FixedZone("elsewhere", 3600)
	given := run
	given.CreatedAt = run.CreatedAt.In(zone).Add(999 * time.Nanosecond)
	w.committed(partition.Batch{
		Partition: 1, Runs: []flow.Run{given}, TaskRuns: []flow.TaskRun{task}, Attempts: []flow.Attempt{attempt}, Events: []partition.Event{event},
	})
	same(t, "rows", must[store.RunSnapshot](t)(w.LoadRun(ctx, run.ID)),
		store.RunSnapshot{Run: run, TaskRuns: []flow.TaskRun{task}, Attempts: []flow.Attempt{attempt}})
	same(t, "events", must[[]partition.Event](t)(w.Events(ctx, "", 0)), []partition.Event{event})
	stored := must[flow.Run](t)(w.Run(ctx, run.ID))
	if stored.CreatedAt.Location() != time.UTC {
		t.Errorf("a time came back in %s", stored.CreatedAt.Location())
	}
}

// What was given and what was read is the caller's: the store keeps its own.
func testSharesNothing(t *testing.T, w world) {
	ctx, given := t.Context(), sample(1, 1)
	w.claimed(1, "a")
	b := partition.Batch{Partition: 1, Runs: []flow.Run{given}, Attempts: []flow.Attempt{sampleAttempt(given.ID, "t", 1)}}
	w.committed(b)
	spoil := func(r *flow.Run, a *flow.Attempt) {
		r.Params["map"].(map[string]any)["deep"] = "spoiled"
		r.Params["list"].([]any)[0] = "spoiled"
		r.Select.Tasks[0] = "spoiled"
		a.Outputs["rows"] = "spoiled"
		*a.ExitCode = 99
	}
	spoil(&given, &b.Attempts[0])
	read := must[store.RunSnapshot](t)(w.LoadRun(ctx, given.ID))
	want := store.RunSnapshot{Run: sample(1, 1), Attempts: []flow.Attempt{sampleAttempt(given.ID, "t", 1)}}
	same(t, "after the batch was changed", read, want)
	spoil(&read.Run, &read.Attempts[0])
	same(t, "after what was read was changed", must[store.RunSnapshot](t)(w.LoadRun(ctx, given.ID)), want)
}

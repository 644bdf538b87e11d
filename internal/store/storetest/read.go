package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func testRuns(t *testing.T, w world) {
	ctx := t.Context()
	w.claimed(1, "a")
	states := []flow.RunState{flow.RunQueued, flow.RunFailed, flow.RunSucceeded}
	var b partition.Batch
	b.Partition = 1
	for n := range 60 {
		run := sample(1, n)
		run.State = states[n%3]
		if n%2 == 0 {
			run.Workflow = "other"
		}
		b.Runs = append(b.Runs, run)
	}
	w.committed(b)
	at := func(n int) time.Time { return b.Runs[n].CreatedAt }
	for name, c := range map[string]struct {
		filter store.RunFilter
		want   []int
	}{
		"all, a page":      {store.RunFilter{}, down(59, 10, 1)},
		"the second page":  {store.RunFilter{After: b.Runs[10].ID}, down(9, 0, 1)},
		"three":            {store.RunFilter{Limit: 3}, []int{59, 58, 57}},
		"three more":       {store.RunFilter{Limit: 3, After: b.Runs[57].ID}, []int{56, 55, 54}},
		"large page":       {store.RunFilter{Limit: 1 << 30}, down(59, 0, 1)},
		"workflow":         {store.RunFilter{Workflow: "other", Limit: 100}, down(58, 0, 2)},
		"no such workflow": {store.RunFilter{Workflow: "none"}, nil},
		"state":            {store.RunFilter{States: []flow.RunState{flow.RunFailed}, Limit: 100}, down(58, 1, 3)},
		"two states": {
			store.RunFilter{States: []flow.RunState{flow.RunFailed, flow.RunQueued}, Limit: 4}, []int{58, 57, 55, 54},
		},
		"state of none":    {store.RunFilter{States: []flow.RunState{flow.RunStopped}}, nil},
		"part of a state":  {store.RunFilter{States: []flow.RunState{"fail"}}, nil},
		"from, inclusive":  {store.RunFilter{CreatedFrom: at(58)}, []int{59, 58}},
		"before, excluded": {store.RunFilter{CreatedBefore: at(2)}, []int{1, 0}},
		"everything at once": {
			store.RunFilter{
				Workflow: "other", States: []flow.RunState{flow.RunQueued}, CreatedFrom: at(6), CreatedBefore: at(30),
				After: b.Runs[24].ID, Limit: 2,
			}, []int{18, 12},
		},
	} {
		var want []flow.RunID
		for _, n := range c.want {
			want = append(want, b.Runs[n].ID)
		}
		var got []flow.RunID
		for _, r := range must[[]flow.Run](t)(w.Runs(ctx, c.filter)) {
			got = append(got, r.ID)
		}
		same(t, name, got, want)
	}
	same(t, "a listed run", must[[]flow.Run](t)(w.Runs(ctx, store.RunFilter{Limit: 1})), b.Runs[59:])
	if _, err := w.Run(ctx, "nobody's"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a run that is not there: %v", err)
	}
}

func down(from, to, step int) (list []int) {
	for n := from; n >= to; n -= step {
		list = append(list, n)
	}
	return list
}

func testAttempts(t *testing.T, w world) {
	ctx, run, other := t.Context(), sample(1, 1), sample(1, 2)
	w.claimed(1, "a")
	var want []flow.Attempt
	for _, task := range []string{"a", "a b", "ä", "数"} {
		for _, n := range []int{1, 2, 10} {
			want = append(want, sampleAttempt(run.ID, task, n))
		}
	}
	b := partition.Batch{Partition: 1, Runs: []flow.Run{run, other}, Attempts: []flow.Attempt{sampleAttempt(other.ID, "a", 1)}}
	for i := range want {
		b.Attempts = append(b.Attempts, want[len(want)-1-i])
	}
	for _, task := range []string{"z", "a"} {
		b.TaskRuns = append(b.TaskRuns, sampleTaskRun(run.ID, task), sampleTaskRun(other.ID, task))
	}
	w.committed(b)
	same(t, "all attempts", must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "")), want)
	same(t, "of one task", must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "ä")), want[6:9])
	if rows := must[[]flow.Attempt](t)(w.Attempts(ctx, run.ID, "none")); len(rows) != 0 {
		t.Errorf("attempts of no task: %+v", rows)
	}
	same(t, "task rows", must[[]flow.TaskRun](t)(w.TaskRows(ctx, run.ID)),
		[]flow.TaskRun{sampleTaskRun(run.ID, "a"), sampleTaskRun(run.ID, "z")})
	if _, err := w.Attempts(ctx, "nobody's", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("attempts of no run: %v", err)
	}
	if _, err := w.TaskRows(ctx, "nobody's"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("task rows of no run: %v", err)
	}
}

func testEvents(t *testing.T, w world) {
	ctx := t.Context()
	w.claimed(1, "a")
	var all []partition.Event
	for i := range 120 {
		all = append(all, partition.Event{At: start, Cause: "n", Run: flow.RunID(fmt.Sprint("run-", i%2)), Message: fmt.Sprint(i)})
	}
	all[119].Run = ""
	w.committed(partition.Batch{Partition: 1, Events: all[:70]})
	w.committed(partition.Batch{Partition: 1, Events: all[70:]})
	for name, c := range map[string]struct {
		run   flow.RunID
		limit int
		want  []int
	}{
		"a page":     {"", 0, down(119, 70, 1)},
		"two":        {"", 2, []int{119, 118}},
		"all":        {"", 1000, down(119, 0, 1)},
		"of one run": {"run-1", 3, []int{117, 115, 113}},
		"of no run":  {"none", 3, nil},
	} {
		var want []partition.Event
		for _, i := range c.want {
			want = append(want, all[i])
		}
		same(t, name, must[[]partition.Event](t)(w.Events(ctx, c.run, c.limit)), want)
	}
}

func testEventsAreBounded(t *testing.T, w world) {
	ctx := t.Context()
	w.claimed(1, "a")
	add := func(run flow.RunID, n int) {
		events := make([]partition.Event, n)
		for i := range events {
			events[i] = partition.Event{At: start, Cause: "n", Run: run}
		}
		w.committed(partition.Batch{Partition: 1, Events: events})
	}
	add("old", 2)
	add("new", store.EventsMax-1)
	if left := must[[]partition.Event](t)(w.Events(ctx, "old", 9)); len(left) != 1 {
		t.Errorf("%d old events are kept, want the last one", len(left))
	}
	add("new", 1)
	if left := must[[]partition.Event](t)(w.Events(ctx, "old", 9)); len(left) != 0 {
		t.Errorf("%d old events are kept, want none", len(left))
	}
}

func testStats(t *testing.T, w world) {
	ctx := t.Context()
	for n := range 5 {
		w.submitted(sample(1, n))
	}
	w.claimed(1, "a")
	var b partition.Batch
	b.Partition = 1
	for n, state := range []flow.RunState{flow.RunRunning, flow.RunSucceeded, flow.RunSucceeded} {
		run := sample(1, n)
		run.State = state
		b.Runs = append(b.Runs, run)
	}
	b.Commands = []partition.Consumed{{Sequence: must[partition.Command](t)(w.Command(ctx, "id-start-"+string(sample(1, 0).ID))).Sequence}}
	w.committed(b)
	back := sample(1, 1)
	back.State = flow.RunRunning
	w.committed(partition.Batch{Partition: 1, Runs: []flow.Run{back}})
	stats := must[store.Stats](t)(w.Stats(ctx))
	same(t, "runs by state", stats.Runs, map[flow.RunState]int{flow.RunQueued: 2, flow.RunRunning: 2, flow.RunSucceeded: 1})
	if stats.Pending != 4 {
		t.Errorf("%d commands are pending, want 4", stats.Pending)
	}
}

package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFailureRunsDownALongChain: a hundred thousand skips follow one failure,
// without recursion and in one Apply.
func TestFailureRunsDownALongChain(t *testing.T) {
	w := chain(tasksMax)
	plan, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	m := New(plan, Run{ID: "r", State: RunQueued})
	m.Apply(noon, Begin{})
	m.Apply(noon, Place{Task: 0, Node: "n", Epoch: 1})
	out := m.Apply(noon, Finished{Task: "t0", Generation: 1, Outcome: Outcome{Result: Failed}})
	if len(out.TaskRuns) != tasksMax || out.Run.State != RunFailed {
		t.Errorf("%d rows, run %s", len(out.TaskRuns), out.Run.State)
	}
	out = m.Apply(noon, Rerun{Failed: true})
	if len(out.TaskRuns) != tasksMax || len(out.Ready) != 1 {
		t.Errorf("rerun: %d rows, %d ready", len(out.TaskRuns), len(out.Ready))
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// TestWideRun: a fan-out of 100,000 is announced in one Apply, and the join
// behind it is decided once.
func TestWideRun(t *testing.T) {
	plan, err := Compile(fanOut(tasksMax - 2))
	if err != nil {
		t.Fatal(err)
	}
	m := New(plan, Run{ID: "r", State: RunQueued})
	ready := m.Apply(noon, Begin{}).Ready
	placed := 0
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		m.Apply(noon, Place{Task: i, Node: "n", Epoch: 1})
		placed++
		out := m.Apply(noon, Finished{Task: m.Task(i).Name, Generation: 1, Outcome: Outcome{Result: Succeeded}})
		ready = append(ready, out.Ready...)
	}
	if placed != tasksMax || m.Run().State != RunSucceeded {
		t.Errorf("%d placed, run %s", placed, m.Run().State)
	}
}

// TestParallelNeverExceeded drives a wide run under a limit, over owners that
// crash.
func TestParallelNeverExceeded(t *testing.T) {
	w := fanOut(20)
	w.Parallel = 3
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	most := 0
	for step := 0; !v.m.Run().State.Final(); step++ {
		for {
			i, ok := v.next()
			if !ok {
				break
			}
			v.apply(Place{Task: i, Node: "n1", Epoch: 1})
		}
		most = max(most, v.m.Active())
		if step%4 == 3 {
			v.crash()
			continue
		}
		if refs := v.m.ActiveRefs(); len(refs) > 0 {
			v.finish(refs[0].Task, Succeeded)
		}
		if step > 1000 {
			t.Fatal("the run does not end")
		}
	}
	if most != 3 {
		t.Errorf("%d were active at once, want 3", most)
	}
}

// TestUnknownInputChangesNothing: a worker may speak of what this run never
// had.
func TestUnknownInputChangesNothing(t *testing.T) {
	v := newWorld(t, chain(2), Run{})
	v.apply(Begin{})
	v.place("t0")
	before := v.m.Views()
	for _, in := range []Input{
		Started{Task: "nobody", Generation: 1},
		Lost{Task: "nobody", Generation: 1},
		Buried{Task: "nobody", Generation: 1},
		Started{Task: "t0", Generation: 2},
		Lost{Task: "t0", Generation: 0},
		Buried{Task: "t1", Generation: 0},
		Place{Task: -1},
		Place{Task: 2},
		Place{Task: 0, Node: "n2"},
		Place{Task: 1, Node: "n2"},
		Begin{},
		Tick{},
		Resume{Tasks: []string{"nobody"}},
		Rerun{},
		Rerun{Select: Select{Tasks: []string{"nobody"}}},
	} {
		if diff := cmp.Diff(Out{}, v.apply(in)); diff != "" {
			t.Errorf("%T%+v: %s", in, in, diff)
		}
	}
	out := v.apply(Finished{Task: "nobody", Generation: 7, Node: "n9"})
	if diff := cmp.Diff(Out{Forget: []Ref{{Task: "nobody", Generation: 7, Node: "n9"}}}, out); diff != "" {
		t.Errorf("finished of an unknown task: %s", diff)
	}
	if diff := cmp.Diff(before, v.m.Views()); diff != "" {
		t.Errorf("something changed: %s", diff)
	}
}

// TestOvertakenAttemptsAreForgottenWhereTheyWere: the end of the first attempt
// was committed, but its worker has missed the Forget and says it again, while
// the next attempt is elsewhere. It would say it for ever.
func TestOvertakenAttemptsAreForgottenWhereTheyWere(t *testing.T) {
	w := chain(1)
	w.Tasks[0].Retry.Limit = 1
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	first := Finished{Task: "t0", Generation: 1, Node: "n1", Outcome: Outcome{Result: Failed}}
	v.place("t0")
	v.apply(first)
	v.apply(Place{Task: 0, Node: "n2", Epoch: 1})
	if diff := cmp.Diff(Out{Forget: []Ref{{Task: "t0", Generation: 1, Node: "n1"}}}, v.apply(first)); diff != "" {
		t.Errorf("said again: %s", diff)
	}
	v.want(map[string]string{"": "running", "t0": "dispatched"})
}

// TestUnknownResultIsAFailure: a newer worker may have a word for it that this
// master does not know. Nobody must wait for ever.
func TestUnknownResultIsAFailure(t *testing.T) {
	v := newWorld(t, chain(1), Run{})
	v.apply(Begin{})
	v.place("t0")
	v.finish("t0", "evaporated")
	v.want(map[string]string{"": "failed", "t0": "failed"})
}

// TestBuriedAfterRunningIsLost: a worker whose journal is gone says that it
// never got what it had said to be running. What was done is unknown.
func TestBuriedAfterRunningIsLost(t *testing.T) {
	w := chain(1)
	w.Tasks[0].OnLost = LostHold
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	v.place("t0")
	v.apply(Started{Task: "t0", Generation: 1, At: v.instant()})
	v.apply(Buried{Task: "t0", Generation: 1})
	v.want(map[string]string{"": "running", "t0": "held"})
}

// TestWarningWithoutAClock: a worker that does not say when it started is taken
// to have started when it was dispatched.
func TestWarningWithoutAClock(t *testing.T) {
	w := chain(1)
	w.Tasks[0].Timeout = Timeout{After: time.Minute, Action: TimeoutWarn}
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	v.place("t0")
	v.apply(Started{Task: "t0", Generation: 1})
	if out := v.advance(59 * time.Second); len(out.Warn) > 0 {
		t.Errorf("too early: %v", out.Warn)
	}
	if out := v.advance(time.Second); len(out.Warn) != 1 {
		t.Errorf("warnings %v, want one", out.Warn)
	}
}

// TestGenerationsGrowAcrossRounds: the fencing token never falls.
func TestGenerationsGrowAcrossRounds(t *testing.T) {
	v := newWorld(t, chain(1), Run{})
	v.apply(Begin{})
	started := v.m.Run().StartedAt
	for round := range 5 {
		v.now = v.now.Add(time.Minute)
		v.drive(allSucceed)
		if a, _ := v.m.Attempt(0); a.Generation != Generation(round+1) || a.Round != round {
			t.Errorf("round %d: attempt %+v", round, a)
		}
		if r := v.m.Run(); r.FinishedAt != v.now || r.StartedAt != started {
			t.Errorf("round %d: run %+v", round, r)
		}
		v.apply(Rerun{})
		if r := v.m.Run(); !r.FinishedAt.IsZero() || r.Round != round+1 || r.Reason != "" {
			t.Errorf("round %d: run after rerun %+v", round, r)
		}
	}
}

// TestRerunFailedTakesOnlyWhatFailed compares with a plain restatement on
// every single failure of a DAG with two branches.
func TestRerunFailedTakesOnlyWhatFailed(t *testing.T) {
	needs := map[string][]string{"a": nil, "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"c"}, "f": nil}
	below := map[string][]string{"a": {"b", "c", "d", "e"}, "b": {"d"}, "c": {"d", "e"}, "d": nil, "e": nil, "f": nil}
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, bad := range names {
		w := &Workflow{}
		for _, name := range names {
			w.Tasks = append(w.Tasks, Task{Name: name, Needs: needs[name]})
		}
		v := newWorld(t, w, Run{})
		v.apply(Begin{})
		v.drive(failing(bad))
		v.want(map[string]string{"": "failed", bad: "failed"})
		var got []string
		for _, r := range v.apply(Rerun{Failed: true}).TaskRuns {
			got = append(got, r.Task)
		}
		want := append([]string{bad}, below[bad]...)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s failed: repeated (-want +got):\n%s", bad, diff)
		}
		v.drive(allSucceed)
		v.want(map[string]string{"": "succeeded", "a": "succeeded", "d": "succeeded", "e": "succeeded"})
	}
}

// TestSelectedRerunUnderEnd: a failure of an earlier round does not end the
// round in which something else is repeated.
func TestSelectedRerunUnderEnd(t *testing.T) {
	w := &Workflow{OnFailure: End, Tasks: []Task{{Name: "a"}, {Name: "b"}}}
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	v.place("a")
	v.place("b")
	v.finish("a", Succeeded)
	v.finish("b", Failed)
	v.apply(Rerun{Select: Select{Tasks: []string{"a"}}})
	v.want(map[string]string{"": "running", "a": "ready", "b": "failed"})
	v.drive(allSucceed)
	v.want(map[string]string{"": "failed", "a": "succeeded"})
}

// TestRowsOfAnotherWorkflowPanic: loading them would run the wrong tasks.
func TestRowsOfAnotherWorkflowPanic(t *testing.T) {
	plan, err := Compile(chain(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `run r has rows of task "x"`) {
			t.Errorf("panic: %s", got)
		}
	}()
	Load(plan, Run{ID: "r", State: RunRunning}, []TaskRun{{Task: "x"}}, nil)
}

// TestLoadedMachineAsksForItsFirstTick: what is ready must not wait for
// somebody else's input.
func TestLoadedMachineAsksForItsFirstTick(t *testing.T) {
	v := newWorld(t, chain(1), Run{})
	v.apply(Begin{})
	m := v.load()
	if next := m.Next(); next.IsZero() || next.After(noon) {
		t.Errorf("next timer %v, want one that is due", next)
	}
	if out := m.Apply(noon, Tick{}); !slices.Equal(out.Ready, []int{0}) {
		t.Errorf("ready %v", out.Ready)
	}
	if next := m.Next(); !next.IsZero() {
		t.Errorf("next timer %v, want none", next)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 100 * time.Second: "1m40s", 10 * time.Second: "10s", 36000 * time.Second: "10h", 1500 * time.Millisecond: "1.5s",
	} {
		if got := span(d); got != want {
			t.Errorf("%v reads %q, want %q", int64(d), got, want)
		}
	}
}

func TestNames(t *testing.T) {
	plan, err := Compile(chain(6))
	if err != nil {
		t.Fatal(err)
	}
	m := New(plan, Run{ID: "r", State: RunQueued})
	for n, want := range map[int]string{1: "t0", 2: "t0 and t1", 3: "t0, t1 and t2", 4: "t0, t1 and 2 more", 6: "t0, t1 and 4 more"} {
		var tasks []int32
		for i := range n {
			tasks = append(tasks, int32(i))
		}
		if got := m.names(tasks); got != want {
			t.Errorf("%d names read %q, want %q", n, got, want)
		}
	}
}

package flow

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAnyHistory draws a workflow and a history for it: workers that succeed,
// fail and die, owners that crash, people that pause, stop and rerun. After
// every input world.apply compares the machine with one that was loaded from
// what is stored, and checks all invariants. Then nothing more goes wrong, and
// the run has to end.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := anyWorkflow(rt)
		v := newWorld(rt, w, Run{Select: anySelect(rt, w)})
		v.apply(Begin{})
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			anything(rt, v)
		}
		v.replay()
		heal(rt, v)
		v.replay()
	})
}

func anyWorkflow(rt *rapid.T) *Workflow {
	w := &Workflow{
		Name:      "w",
		OnFailure: rapid.SampledFrom([]Strategy{"", Continue, End}).Draw(rt, "on_failure"),
		Parallel:  rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, "parallel"),
	}
	tasks := rapid.IntRange(1, 7).Draw(rt, "tasks")
	order := rapid.Permutation(indices(tasks)).Draw(rt, "order") // needs may stand below what needs them
	for i := range tasks {
		task := Task{
			Name:         fmt.Sprintf("t%d", i),
			OnLost:       rapid.SampledFrom([]OnLost{"", LostRerun, LostFail, LostHold}).Draw(rt, "on_lost"),
			Disabled:     rapid.IntRange(0, 7).Draw(rt, "disabled") == 0,
			AllowFailure: rapid.IntRange(0, 3).Draw(rt, "allow_failure") == 0,
			Priority:     rapid.IntRange(0, 2).Draw(rt, "priority"),
		}
		if rapid.IntRange(0, 3).Draw(rt, "delayed") == 0 {
			task.Delay = 7 * time.Second
		}
		if rapid.Bool().Draw(rt, "retries") {
			task.Retry = Retry{
				Limit: rapid.IntRange(1, 3).Draw(rt, "limit"), Delay: rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(rt, "delay"),
				Backoff: 2, DelayMax: 15 * time.Second, Jitter: rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "jitter"),
			}
		}
		if rapid.IntRange(0, 3).Draw(rt, "timeout") == 0 {
			task.Timeout = Timeout{After: 5 * time.Second, Action: rapid.SampledFrom([]TimeoutAction{TimeoutFail, TimeoutWarn}).Draw(rt, "action")}
		}
		for j := range tasks {
			if order[j] < order[i] && rapid.IntRange(0, 2).Draw(rt, "need") == 0 {
				task.Needs = append(task.Needs, fmt.Sprintf("t%d", j))
			}
		}
		task.When = anyCondition(rt, task.Needs)
		joins := []Join{"", JoinNoneFailed, JoinAllSucceeded, JoinAllDone}
		if len(task.Needs) > 0 {
			joins = append(joins, JoinAnyFailed)
		}
		task.Join = rapid.SampledFrom(joins).Draw(rt, "join")
		w.Tasks = append(w.Tasks, task)
	}
	return w
}

func anyCondition(rt *rapid.T, needs []string) string {
	conditions := []string{"", "", "", "true", "false", "task.attempt == 1", "1 / 0 == 1"}
	for _, need := range needs {
		conditions = append(conditions, "tasks."+need+".state == 'succeeded'")
	}
	return rapid.SampledFrom(conditions).Draw(rt, "when")
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func anySelect(rt *rapid.T, w *Workflow) Select {
	if rapid.IntRange(0, 3).Draw(rt, "select") > 0 {
		return Select{}
	}
	return Select{
		Tasks:       []string{anyTask(rt, w)},
		Ancestors:   rapid.Bool().Draw(rt, "ancestors"),
		Descendants: rapid.Bool().Draw(rt, "descendants"),
	}
}

func anyTask(rt *rapid.T, w *Workflow) string {
	return w.Tasks[rapid.IntRange(0, len(w.Tasks)-1).Draw(rt, "task")].Name
}

// anything lets one thing happen.
func anything(rt *rapid.T, v *world) {
	switch rapid.IntRange(0, 19).Draw(rt, "what") {
	case 0, 1, 2, 3, 4, 5:
		if i, ok := v.next(); ok {
			v.apply(Place{Task: i, Node: "n1", Epoch: 1})
		}
	case 6, 7:
		if ref, ok := anyActive(rt, v); ok {
			v.apply(Started{Task: ref.Task, Generation: ref.Generation, At: v.instant()})
		}
	case 8, 9, 10, 11:
		if ref, ok := anyActive(rt, v); ok {
			result := rapid.SampledFrom([]Result{Succeeded, Succeeded, Failed, TimedOut, Refused, Stopped, Expired}).Draw(rt, "result")
			v.finish(ref.Task, result)
		}
	case 12:
		if ref, ok := anyActive(rt, v); ok {
			v.apply(Lost{Task: ref.Task, Generation: ref.Generation, Reason: "dead", At: v.instant()})
		}
	case 13:
		if ref, ok := anyActive(rt, v); ok {
			v.apply(Buried{Task: ref.Task, Generation: ref.Generation})
		}
	case 14, 15:
		v.advance(time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds")) * time.Second)
	case 16:
		v.crash()
	case 17:
		v.replay()
	case 18, 19:
		anyCommand(rt, v)
	}
}

func anyActive(rt *rapid.T, v *world) (Ref, bool) {
	refs := v.m.ActiveRefs()
	if len(refs) == 0 {
		return Ref{}, false
	}
	return refs[rapid.IntRange(0, len(refs)-1).Draw(rt, "attempt")], true
}

// anyCommand applies a command. One that is refused, and one that comes twice,
// changes nothing.
func anyCommand(rt *rapid.T, v *world) {
	w := v.plan.workflow
	some := func() []string {
		if rapid.Bool().Draw(rt, "all") {
			return nil
		}
		return []string{anyTask(rt, w)}
	}
	var in Input
	switch rapid.IntRange(0, 9).Draw(rt, "command") {
	case 0:
		in = Stop{Reason: "asked"}
	case 1, 2, 3:
		in = Pause{}
	case 4, 5, 6:
		in = Resume{Tasks: some()}
	case 7, 8, 9:
		in = Rerun{Failed: rapid.Bool().Draw(rt, "failed"), Select: anySelect(rt, w)}
	}
	refusal := v.m.Refusal(in)
	out := v.apply(in)
	if refusal != "" && (out.Run != nil || len(out.TaskRuns)+len(out.Ready)+len(out.Kill) > 0) {
		rt.Fatalf("%T%+v was refused (%s) and changed something: %+v", in, in, refusal, out)
	}
}

// heal ends all trouble: what is announced is placed, what runs succeeds, time
// passes. People let go on what waits for them. The run must end, and every
// task must be explained.
func heal(rt *rapid.T, v *world) {
	for range 500 {
		for i := range v.plan.workflow.Tasks {
			if sentence, ok := v.m.Explain(v.plan.workflow.Tasks[i].Name); !ok || sentence == "" {
				rt.Fatalf("%s is %s, and nobody knows why", v.m.name(int32(i)), v.m.state(int32(i)))
			}
		}
		if v.m.Run().State.Final() {
			ended(rt, v)
			return
		}
		if in := (Resume{}); v.m.Refusal(in) == "" {
			v.apply(in)
		}
		if i, ok := v.next(); ok {
			v.apply(Place{Task: i, Node: "n2", Epoch: 2})
			continue
		}
		if refs := v.m.ActiveRefs(); len(refs) > 0 {
			v.finish(refs[0].Task, Succeeded)
			continue
		}
		next := v.m.Next()
		if next.IsZero() {
			rt.Fatalf("run is %s for ever: %+v", v.m.Run().State, v.m.Views())
		}
		v.advance(max(next.Sub(v.now), 0))
	}
	rt.Fatalf("run is %s and does not end: %+v", v.m.Run().State, v.m.Views())
}

// ended checks what a final run says of itself against its tasks.
func ended(rt *rapid.T, v *world) {
	count := map[TaskState]int{}
	asked, failures := 0, 0
	for i, view := range v.m.Views() {
		count[view.State]++
		if view.State == TaskStopped && view.Cause == CauseAsked {
			asked++
		}
		if view.State == TaskFailed && !v.plan.workflow.Tasks[i].AllowFailure {
			failures++
		}
		if view.State == TaskSucceeded && !slices.ContainsFunc(v.attempts[view.Name], func(a Attempt) bool { return a.State == AttemptSucceeded }) {
			rt.Fatalf("%s succeeded without an attempt that did", view.Name)
		}
	}
	want := RunSucceeded
	switch {
	case asked > 0:
		want = RunStopped
	case failures > 0:
		want = RunFailed
	}
	if got := v.m.Run().State; got != want {
		rt.Fatalf("run is %s with tasks %v, want %s", got, count, want)
	}
}

package flow

import (
	"fmt"
	"strings"
	"testing"
)

// ending is one way in which a need can have ended, as it is stored, and what
// that is to count as.
type ending struct {
	name  string
	task  Task
	row   *TaskRun
	last  *Attempt
	fault bool // counts as failed
	empty bool // counts as skipped
}

// endings are all ways in which a need can have ended.
var endings = []ending{
	{name: "succeeded", last: &Attempt{State: AttemptSucceeded, Generation: 1}},
	{name: "failed", row: &TaskRun{State: TaskFailed}, fault: true},
	{name: "failed but allowed", task: Task{AllowFailure: true}, row: &TaskRun{State: TaskFailed}},
	{name: "stopped", row: &TaskRun{State: TaskStopped, Cause: CauseAsked}, fault: true},
	{name: "stopped, though a failure is allowed", task: Task{AllowFailure: true}, row: &TaskRun{State: TaskStopped}, fault: true},
	{name: "disabled", task: Task{Disabled: true}},
	{name: "skipped by its condition", row: &TaskRun{State: TaskSkipped, Cause: CauseCondition}, empty: true},
	{name: "skipped by spread", row: &TaskRun{State: TaskSkipped, Cause: CauseSpread}, empty: true},
	{name: "not run, upstream failed", row: &TaskRun{State: TaskSkipped, Cause: CauseUpstream}, fault: true},
}

// expected restates the comments at the joins, without looking at how they are
// carried out.
func expected(j Join, needs []ending) (runs bool, cause Cause) {
	failed, skipped := 0, 0
	for _, n := range needs {
		if n.fault {
			failed++
		}
		if n.empty {
			skipped++
		}
	}
	fine := len(needs) - failed - skipped
	switch j {
	case JoinAllDone:
		return true, ""
	case JoinAnyFailed:
		if failed == 0 {
			return false, CauseCondition
		}
		return true, ""
	case JoinAllSucceeded:
		if fine == len(needs) {
			return true, ""
		}
	case JoinNoneFailed:
		if failed == 0 && (fine > 0 || len(needs) == 0) {
			return true, ""
		}
	}
	if failed > 0 {
		return false, CauseUpstream
	}
	return false, CauseSpread
}

// TestJoins tries every join on all combinations of up to three needs.
func TestJoins(t *testing.T) {
	var combinations [][]ending
	last := [][]ending{nil}
	for range 4 {
		combinations = append(combinations, last...)
		var longer [][]ending
		for _, c := range last {
			for _, e := range endings {
				longer = append(longer, append(c[:len(c):len(c)], e))
			}
		}
		last = longer
	}
	if want := 1 + 9 + 81 + 729; len(combinations) != want {
		t.Fatalf("%d combinations, want %d", len(combinations), want)
	}
	for _, j := range []Join{JoinNoneFailed, JoinAllSucceeded, JoinAllDone, JoinAnyFailed} {
		for _, needs := range combinations {
			if j == JoinAnyFailed && len(needs) == 0 {
				continue // refused by Validate
			}
			m := joinOf(t, j, needs)
			got := m.join(int32(len(needs)))
			runs, cause := expected(j, needs)
			if got.skip == runs || got.cause != cause {
				t.Errorf("join %s of %s: skip %v, cause %q (%s); want run %v, cause %q", j, describe(needs), got.skip, got.cause, got.reason, runs, cause)
			}
			if got.skip != strings.HasPrefix(got.reason, "not run: ") {
				t.Errorf("join %s of %s: reason %q", j, describe(needs), got.reason)
			}
		}
	}
}

func joinOf(t *testing.T, j Join, needs []ending) *Machine {
	t.Helper()
	w := &Workflow{Name: "w"}
	var rows []TaskRun
	var last []Attempt
	task := Task{Name: "join", Join: j}
	for i, n := range needs {
		need := n.task
		need.Name = fmt.Sprintf("n%d", i)
		w.Tasks = append(w.Tasks, need)
		task.Needs = append(task.Needs, need.Name)
		if n.row != nil {
			row := *n.row
			row.Task = need.Name
			rows = append(rows, row)
		}
		if n.last != nil {
			a := *n.last
			a.Task = need.Name
			last = append(last, a)
		}
	}
	w.Tasks = append(w.Tasks, task)
	plan, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	return Load(plan, Run{ID: "r", State: RunRunning}, rows, last)
}

func describe(needs []ending) string {
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = n.name
	}
	return "[" + strings.Join(names, ", ") + "]"
}

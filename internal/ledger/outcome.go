package ledger

import (
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
)

// checkOutcome is P5 of one task run: its outcome is recorded once in each
// round, and the attempt and the row agree about it.
func (r *run) checkOutcome(t *taskRun) {
	var success *flow.Attempt
	for i := range t.attempts {
		a := &t.attempts[i]
		if i > 0 && a.Round < t.attempts[i-1].Round {
			r.violated("P5", a, fmt.Sprintf("attempt %d of task %s belongs to round %d, and the one before to round %d", a.Number, a.Task, a.Round, t.attempts[i-1].Round))
		}
		if a.Round > r.run.Round {
			r.violated("P5", a, fmt.Sprintf("attempt %d of task %s belongs to round %d of a run that is in round %d", a.Number, a.Task, a.Round, r.run.Round))
		}
		if success != nil && success.Round == a.Round {
			r.violated("P5", a, fmt.Sprintf("attempt %d of task %s was dispatched after attempt %d had succeeded in the same round%s", a.Number, a.Task, success.Number, twice(a)))
		}
		if a.State == flow.AttemptSucceeded {
			success = a
		}
	}
	if r.workflow != nil && !r.known[t.name] {
		r.about(t, fmt.Sprintf("the workflow has no task %s, and yet there are rows of it", t.name))
	}
	r.checkRow(t)
}

func twice(a *flow.Attempt) string {
	if a.State == flow.AttemptSucceeded {
		return ", and it succeeded again"
	}
	return ""
}

// checkRow compares the row of a task run with its last attempt. A row that is
// older than the attempt says nothing about it; one of a later round tells of
// what became of the task run there, where it has no attempt yet.
func (r *run) checkRow(t *taskRun) {
	row, last := t.row, t.last()
	if row == nil {
		return
	}
	switch {
	case last == nil && row.State == flow.TaskSucceeded:
		r.about(t, fmt.Sprintf("task %s is recorded as succeeded, and yet it has no attempt", t.name))
	case last == nil && row.Generation > 0:
		r.about(t, fmt.Sprintf("task %s is recorded as having come to generation %d, and yet it has no attempt", t.name, row.Generation))
	case last == nil || row.Generation < last.Generation:
	case row.Generation > last.Generation:
		r.about(t, fmt.Sprintf("task %s is recorded as having come to generation %d, and yet its last attempt has generation %d", t.name, row.Generation, last.Generation))
	case row.State.Final() && !last.State.Final():
		r.about(t, fmt.Sprintf("task %s is recorded as %s while its attempt %d is %s", t.name, row.State, last.Number, last.State))
	case row.Round != last.Round:
	case row.State.Final() && (row.State == flow.TaskSucceeded) != (last.State == flow.AttemptSucceeded):
		r.about(t, fmt.Sprintf("task %s is recorded as %s, and its last attempt as %s", t.name, row.State, last.State))
	case last.State == flow.AttemptSucceeded && !row.State.Final() && !row.State.Active():
		r.about(t, fmt.Sprintf("task %s is recorded as %s, and its last attempt as succeeded in the same round", t.name, row.State))
	}
}

// about is a violation of P5 by a task run as a whole.
func (r *run) about(t *taskRun, message string) {
	generation := flow.Generation(0)
	if last := t.last(); last != nil {
		generation = last.Generation
	}
	r.checker.violated(Violation{Promise: "P5", Run: r.run.ID, Task: t.name, Generation: generation, Message: message})
}

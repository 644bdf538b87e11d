package ledger

import (
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
)

// checkStarts is P2: a dispatched attempt starts at most once, on the worker
// it was dispatched to. Each attempt has one row, so that a second start would
// show as a second row: a number or a generation that is there twice, or one
// that is missing because its row was overwritten.
func (r *run) checkStarts(t *taskRun) {
	var before *flow.Attempt
	for i := range t.attempts {
		a := &t.attempts[i]
		r.checkNumber(before, a)
		if a.Started != (started{}) {
			r.checkStart(a)
		}
		before = a
	}
}

func (r *run) checkNumber(before, a *flow.Attempt) {
	number, generation := 0, flow.Generation(0)
	if before != nil {
		number, generation = before.Number, before.Generation
	}
	switch {
	case before != nil && a.Number == number:
		r.violated("P2", a, fmt.Sprintf("task %s has two attempts of number %d, in generations %d and %d", a.Task, number, generation, a.Generation))
	case a.Number != number+1:
		r.violated("P2", a, fmt.Sprintf("attempt %d of task %s follows attempt %d: one is missing", a.Number, a.Task, number))
	}
	switch {
	case before != nil && a.Generation == generation:
		r.violated("P2", a, fmt.Sprintf("attempts %d and %d of task %s have the same generation %d", number, a.Number, a.Task, generation))
	case a.Generation <= generation:
		r.violated("P2", a, fmt.Sprintf("attempt %d of task %s has generation %d, which is not above generation %d of the one before", a.Number, a.Task, a.Generation, generation))
	}
}

func (r *run) checkStart(a *flow.Attempt) {
	switch a.State {
	case flow.AttemptBuried:
		r.violated("P2", a, fmt.Sprintf("attempt %d of task %s is buried, and yet it was started on %s", a.Number, a.Task, a.Node))
	case flow.AttemptDispatched:
		r.violated("P2", a, fmt.Sprintf("attempt %d of task %s has a start, and yet it is recorded as not started", a.Number, a.Task))
	case flow.AttemptRunning, flow.AttemptSucceeded, flow.AttemptFailed, flow.AttemptStopped, flow.AttemptLost:
	}
	node, known := r.checker.nodes[a.Node]
	if !known {
		if !r.checker.seen[a.Node] {
			r.unproven("P2", a, fmt.Sprintf("nothing is known of node %s, on which attempt %d of task %s was started", a.Node, a.Number, a.Task))
		}
	} else if after(a.Started.Wall, node.EndedAt) {
		r.unproven("P3", a, fmt.Sprintf("attempt %d of task %s was started on %s after that node had ended, by their wall clocks", a.Number, a.Task, a.Node))
	}
	r.checker.seen[a.Node] = true
}

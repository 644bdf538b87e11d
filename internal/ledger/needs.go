package ledger

import (
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
)

// checkNeeds is P5 between task runs: what follows from an outcome happens
// after it. A task starts only once all that it needs is final.
func (r *run) checkNeeds() {
	if r.workflow == nil {
		return
	}
	for i := range r.workflow.Tasks {
		task := &r.workflow.Tasks[i]
		t := r.names[task.Name]
		if t == nil {
			continue
		}
		for k := range t.attempts {
			for _, need := range task.Needs {
				r.checkNeed(&t.attempts[k], need)
			}
		}
	}
}

// checkNeed compares an attempt with what it needs, as that stood in its round:
// what a later round made of the need came after, and may have overwritten its
// row.
func (r *run) checkNeed(a *flow.Attempt, name string) {
	var last *flow.Attempt
	later := false
	if need := r.names[name]; need != nil {
		for i := range need.attempts {
			if need.attempts[i].Round <= a.Round {
				last = &need.attempts[i]
			} else {
				later = true
			}
		}
		later = later || need.row != nil && need.row.Round > a.Round
	}
	state := r.current(name)
	switch {
	case !later && !state.Final():
		r.violated("P5", a, fmt.Sprintf("attempt %d of task %s was dispatched, and yet %s, which it needs, is %s", a.Number, a.Task, name, state))
	case later && last != nil && !last.State.Final():
		r.violated("P5", a, fmt.Sprintf("attempt %d of task %s was dispatched, and yet attempt %d of %s, which it needs, is %s", a.Number, a.Task, last.Number, name, last.State))
	case last != nil:
		r.checkNeedEnded(a, last)
	}
}

func (r *run) checkNeedEnded(a, need *flow.Attempt) {
	if a.Started == (started{}) || need.Finished == (started{}) {
		return
	}
	switch r.checker.compare(need.Finished, need, a.Started, a) {
	case wrong:
		r.violated("P5", a, fmt.Sprintf("attempt %d of task %s started %s before attempt %d of %s, which it needs, had ended", a.Number, a.Task, need.Finished.Boot.Sub(a.Started.Boot), need.Number, need.Task))
	case doubtful:
		r.unproven("P5", a, fmt.Sprintf("attempt %d of task %s started before attempt %d of %s, which it needs, had ended, by wall clocks that may differ", a.Number, a.Task, need.Number, need.Task))
	case inOrder:
	}
}

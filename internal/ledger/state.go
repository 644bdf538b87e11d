package ledger

import (
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
)

// current derives the state of a task run from what is stored. A row counts if
// it is not older than the last attempt; else the attempt says it all. Without
// either, a task that takes no part in the run is skipped, any other waits.
func (r *run) current(task string) flow.TaskState {
	t := r.names[task]
	last := t.last()
	if t != nil && t.row != nil && (last == nil || t.row.Generation >= last.Generation) && !t.row.State.Active() {
		return t.row.State
	}
	if last == nil {
		if r.leftOut[task] {
			return flow.TaskSkipped
		}
		return flow.TaskWaiting
	}
	switch last.State {
	case flow.AttemptDispatched:
		return flow.TaskDispatched
	case flow.AttemptRunning:
		return flow.TaskRunning
	case flow.AttemptSucceeded:
		return flow.TaskSucceeded
	case flow.AttemptFailed, flow.AttemptStopped, flow.AttemptLost, flow.AttemptBuried:
		return flow.TaskWaiting // what follows from these has a row, and there is none
	}
	return flow.TaskState(last.State) // no state that is known: it is reported as what it is
}

// leftOut names the tasks that take no part in a run, unless a rerun named
// them: then they have rows.
func leftOut(w *flow.Workflow, s flow.Select) map[string]bool {
	out := map[string]bool{}
	chosen := selected(w, s)
	for i := range w.Tasks {
		out[w.Tasks[i].Name] = w.Tasks[i].Disabled || chosen != nil && !chosen[w.Tasks[i].Name]
	}
	return out
}

// selected returns what a selection names; nil: everything.
func selected(w *flow.Workflow, s flow.Select) map[string]bool {
	if len(s.Tasks) == 0 {
		return nil
	}
	needs, next := map[string][]string{}, map[string][]string{}
	for i := range w.Tasks {
		for _, need := range w.Tasks[i].Needs {
			needs[w.Tasks[i].Name] = append(needs[w.Tasks[i].Name], need)
			next[need] = append(next[need], w.Tasks[i].Name)
		}
	}
	chosen := map[string]bool{}
	for _, name := range s.Tasks {
		chosen[name] = true
	}
	if s.Ancestors {
		reach(needs, s.Tasks, chosen)
	}
	if s.Descendants {
		reach(next, s.Tasks, chosen)
	}
	return chosen
}

func reach(edges map[string][]string, from []string, marks map[string]bool) {
	seen := map[string]bool{}
	for queue := append([]string(nil), from...); len(queue) > 0; queue = queue[1:] {
		for _, name := range edges[queue[0]] {
			if !seen[name] {
				seen[name], marks[name] = true, true
				queue = append(queue, name)
			}
		}
	}
}

// checkState is P5 of the run: it is final when, and only when, all its task
// runs are, and its state is what follows from theirs.
func (r *run) checkState() {
	if r.run.State == flow.RunQueued {
		for _, t := range r.tasks {
			if last := t.last(); last != nil && last.Round == r.run.Round {
				r.about(t, fmt.Sprintf("task %s was dispatched in a run that is still queued", t.name))
			}
		}
		return
	}
	if r.workflow == nil {
		r.checker.unproven(Violation{Promise: "P5", Run: r.run.ID, Message: fmt.Sprintf("version %d of workflow %s is not known: whether its tasks ran in order cannot be checked", r.run.Version, r.run.Workflow)})
		return
	}
	var open, failed, stopped *flow.Task // the first of each
	for i := range r.workflow.Tasks {
		task := &r.workflow.Tasks[i]
		state := r.current(task.Name)
		switch {
		case !state.Final() && open == nil:
			open = task
			if r.run.State.Final() {
				r.checker.violated(Violation{Promise: "P5", Run: r.run.ID, Task: task.Name, Message: fmt.Sprintf("the run is %s, and yet its task %s is %s", r.run.State, task.Name, state)})
			}
		case state == flow.TaskFailed && !task.AllowFailure && failed == nil:
			failed = task
		case state == flow.TaskStopped && stopped == nil && (r.run.State == flow.RunStopped || r.names[task.Name].row.Cause != flow.CauseEnding):
			stopped = task
		}
	}
	if open != nil {
		return
	}
	if message := r.disagreement(failed, stopped); message != "" {
		r.checker.violated(Violation{Promise: "P5", Run: r.run.ID, Message: message})
	}
}

// disagreement says how the state of a run contradicts those of its tasks, all
// of which are final.
func (r *run) disagreement(failed, stopped *flow.Task) string {
	switch r.run.State {
	case flow.RunSucceeded:
		if failed != nil {
			return fmt.Sprintf("the run is succeeded, and yet its task %s has failed", failed.Name)
		}
		if stopped != nil {
			return fmt.Sprintf("the run is succeeded, and yet its task %s was stopped", stopped.Name)
		}
	case flow.RunFailed:
		if failed == nil && r.selectExists() {
			return "the run is failed, and yet none of its tasks has failed"
		}
	case flow.RunStopped:
		if stopped == nil {
			return "the run is stopped, and yet none of its tasks was"
		}
	case flow.RunRunning, flow.RunPausing, flow.RunPaused, flow.RunStopping:
		return fmt.Sprintf("all tasks of the run are final, and yet it is %s", r.run.State)
	case flow.RunQueued:
	}
	return ""
}

// selectExists reports whether the run was started with tasks that exist: one
// that was not fails without having run anything.
func (r *run) selectExists() bool {
	for _, name := range r.run.Select.Tasks {
		if !r.known[name] {
			return false
		}
	}
	return true
}

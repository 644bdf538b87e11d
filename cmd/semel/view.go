package main

import (
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// view is what a live view knows of one run: the DAG, laid out once, and the
// newest snapshot. It does no I/O and reads no clock.
type view struct {
	run    api.Run
	tasks  []api.TaskSnapshot // in the order of the DAG, see layout
	levels []int              // of tasks: how many needs deep each stands
	needs  [][]int            // of tasks: indices of what they need
	place  map[string]int     // task to its index in tasks
	counts tally
}

// newView lays a workflow out. Without tasks, the order is that of the first
// snapshot.
func newView(tasks []api.WorkflowTask) *view {
	v := &view{place: make(map[string]int, len(tasks)), counts: tally{}}
	order, levels := layout(tasks)
	v.levels = levels
	v.tasks = make([]api.TaskSnapshot, len(order))
	for i, t := range order {
		v.tasks[i] = api.TaskSnapshot{Name: tasks[t].Name, State: flow.TaskWaiting}
		v.place[tasks[t].Name] = i
	}
	v.needs = make([][]int, len(order))
	for i, t := range order {
		for _, need := range tasks[t].Needs {
			if n, known := v.place[need]; known {
				v.needs[i] = append(v.needs[i], n)
			}
		}
	}
	return v
}

// update takes the newest snapshot.
func (v *view) update(s *api.Snapshot) {
	v.run = s.Run
	v.counts = tally{}
	for _, t := range s.Tasks {
		i, known := v.place[t.Name]
		if !known {
			i = len(v.tasks)
			v.place[t.Name] = i
			v.tasks, v.levels, v.needs = append(v.tasks, t), append(v.levels, 0), append(v.needs, nil)
		}
		v.tasks[i] = t
		v.counts[t.State]++
	}
}

// elapsed is how long the run has taken by now.
func (v *view) elapsed(now time.Time) time.Duration {
	switch {
	case v.run.StartedAt == nil:
		return 0
	case v.run.FinishedAt != nil && v.run.State.Final():
		return v.run.FinishedAt.Sub(*v.run.StartedAt)
	}
	return max(0, now.Sub(*v.run.StartedAt))
}

// held reports whether nothing happens in the run until somebody resumes it: a
// pause, or task runs that are held and none that goes on by itself.
func (v *view) held() bool {
	switch v.run.State {
	case flow.RunPaused:
		return true
	case flow.RunQueued, flow.RunPausing, flow.RunStopping, flow.RunStopped, flow.RunFailed, flow.RunSucceeded:
		return false
	case flow.RunRunning:
	}
	found := false
	for i := range v.tasks {
		switch v.tasks[i].State {
		case flow.TaskHeld, flow.TaskPaused:
			found = true
		case flow.TaskReady, flow.TaskDispatched, flow.TaskRunning, flow.TaskRetrying:
			return false
		case flow.TaskWaiting:
			if v.free(i) {
				return false // for its delay, and nobody has to help
			}
		case flow.TaskStopped, flow.TaskFailed, flow.TaskSkipped, flow.TaskSucceeded:
		}
	}
	return found
}

// free reports whether all that a task needs is final.
func (v *view) free(task int) bool {
	for _, need := range v.needs[task] {
		if !v.tasks[need].State.Final() {
			return false
		}
	}
	return true
}

// layout orders tasks so that each stands behind what it needs, and as near
// behind it as can be: what belongs together stays together. The level of a
// task is the length of the longest way to it.
func layout(tasks []api.WorkflowTask) (order, levels []int) {
	index := make(map[string]int, len(tasks))
	for i := range tasks {
		index[tasks[i].Name] = i
	}
	missing := make([]int, len(tasks)) // needs that are not placed yet
	after := make([][]int, len(tasks)) // who needs it
	depth := make([]int, len(tasks))
	for i := range tasks {
		for _, need := range tasks[i].Needs {
			if n, known := index[need]; known && n != i {
				missing[i]++
				after[n] = append(after[n], i)
			}
		}
	}
	var stack []int // next to place on top; a loop, as a chain may be 100,000 deep
	for i := len(tasks) - 1; i >= 0; i-- {
		if missing[i] == 0 {
			stack = append(stack, i)
		}
	}
	for len(stack) > 0 {
		t := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		order, levels = append(order, t), append(levels, depth[t])
		for i := len(after[t]) - 1; i >= 0; i-- {
			next := after[t][i]
			depth[next] = max(depth[next], depth[t]+1)
			if missing[next]--; missing[next] == 0 {
				stack = append(stack, next)
			}
		}
	}
	return order, levels
}

package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// world runs the real run machine in a random world, and keeps what a store
// would keep: every row, the last of each.
type world struct {
	t       *rapid.T
	machine *flow.Machine
	seconds float64
	booted  float64 // when the worker's machine was started
	history History
	rows    map[string]flow.TaskRun
	last    map[string][]flow.Attempt
}

func newWorld(t *rapid.T) *world {
	w := &flow.Workflow{Name: "w", OnFailure: rapid.SampledFrom([]flow.Strategy{flow.Continue, flow.End}).Draw(t, "strategy")}
	for i := range rapid.IntRange(1, 6).Draw(t, "tasks") {
		task := flow.Task{
			Name: fmt.Sprintf("t%d", i), Type: "noop", Config: json.RawMessage(`{}`), Join: flow.JoinNoneFailed,
			OnLost:       rapid.SampledFrom([]flow.OnLost{flow.LostRerun, flow.LostFail, flow.LostHold}).Draw(t, "on_lost"),
			Retry:        flow.Retry{Limit: rapid.IntRange(0, 2).Draw(t, "retries")},
			Disabled:     rapid.IntRange(0, 9).Draw(t, "disabled") == 0,
			AllowFailure: rapid.IntRange(0, 4).Draw(t, "allow_failure") == 0,
		}
		for k := range i {
			if rapid.IntRange(0, 2).Draw(t, "need") == 0 {
				task.Needs = append(task.Needs, fmt.Sprintf("t%d", k))
			}
		}
		w.Tasks = append(w.Tasks, task)
	}
	plan, err := flow.Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	run := flow.Run{ID: "r1", Workflow: "w", Version: 1, State: flow.RunQueued, CreatedAt: at(0)}
	if rapid.IntRange(0, 3).Draw(t, "some") == 0 {
		run.Select = flow.Select{Tasks: []string{"t0"}, Descendants: rapid.Bool().Draw(t, "descendants")}
	}
	v := &world{
		t: t, machine: flow.New(plan, run), booted: -100, rows: map[string]flow.TaskRun{}, last: map[string][]flow.Attempt{},
		history: History{Runs: []RunHistory{{Run: run, Workflow: w}}},
	}
	v.claim()
	v.node("boot1")
	return v
}

func (w *world) now() time.Time { return at(w.seconds) }

func (w *world) instant() fence.Instant {
	return fence.Instant{Wall: w.now(), Boot: fence.Boot((w.seconds - w.booted) * float64(time.Second))}
}

func (w *world) claim() {
	c := w.history.Claims
	owner := fence.NodeID(fmt.Sprintf("m%d", len(c)+1))
	w.history.Nodes = append(w.history.Nodes, fence.Node{ID: owner, Role: fence.Master, MachineID: "x"})
	w.history.Claims = append(c, Claim{Epoch: flow.Epoch(len(c) + 1), Owner: owner, At: w.now(), Seq: uint64(10 * len(c))})
}

func (w *world) node(boot string) {
	id := fence.NodeID(fmt.Sprintf("w%d", len(w.history.Nodes)))
	w.history.Nodes = append(w.history.Nodes, fence.Node{ID: id, Role: fence.Worker, MachineID: "x", BootID: boot, Containment: "cgroup"})
}

func (w *world) worker() fence.Node {
	for i := len(w.history.Nodes) - 1; ; i-- {
		if n := w.history.Nodes[i]; n.Role == fence.Worker {
			return n
		}
	}
}

// apply steps the machine, and stores what it says.
func (w *world) apply(in flow.Input) {
	out := w.machine.Apply(w.now(), in)
	h := &w.history.Runs[0]
	if out.Run != nil {
		h.Run = *out.Run
	}
	for _, r := range out.TaskRuns {
		w.rows[r.Task] = r
	}
	for _, a := range out.Attempts {
		list := w.last[a.Task]
		if len(list) >= a.Number {
			list[a.Number-1] = a
		} else {
			w.last[a.Task] = append(list, a)
		}
	}
	w.seconds++
}

// stored returns a copy of the history as it is now.
func (w *world) stored() *History {
	h := History{Claims: slices.Clone(w.history.Claims), Nodes: slices.Clone(w.history.Nodes), Runs: slices.Clone(w.history.Runs)}
	r := &h.Runs[0]
	for i := range r.Workflow.Tasks {
		name := r.Workflow.Tasks[i].Name
		if row, ok := w.rows[name]; ok {
			r.TaskRuns = append(r.TaskRuns, row)
		}
		r.Attempts = append(r.Attempts, w.last[name]...)
	}
	return &h
}

// active returns the attempts that have not ended.
func (w *world) active() []flow.Attempt {
	var list []flow.Attempt
	for _, a := range w.stored().Runs[0].Attempts {
		if !a.State.Final() {
			list = append(list, a)
		}
	}
	return list
}

// step lets one thing happen. Small numbers are drawn more often: they stand
// for what is usual.
func (w *world) step() {
	state := w.history.Runs[0].Run.State
	active := w.active()
	roll := rapid.IntRange(0, 99).Draw(w.t, "step")
	switch {
	case state == flow.RunQueued && roll < 95:
		w.apply(flow.Begin{})
	case state.Final():
		w.apply(flow.Rerun{Failed: rapid.Bool().Draw(w.t, "failed")})
	case len(active) > 0 && roll < 45:
		w.progress(rapid.SampledFrom(active).Draw(w.t, "attempt"))
	case roll < 70:
		w.seconds += 120
		w.apply(flow.Tick{})
		w.place()
	case roll < 80:
		w.apply(flow.Resume{})
	case roll < 86:
		w.claim()
		w.seconds++
	case roll < 92:
		w.loseNode(active)
	case roll < 96:
		w.apply(flow.Pause{})
	default:
		w.apply(flow.Stop{})
	}
}

func (w *world) place() {
	for i := range w.history.Runs[0].Workflow.Tasks {
		if w.machine.IsReady(i) && rapid.IntRange(0, 2).Draw(w.t, "place") > 0 {
			w.apply(flow.Place{Task: i, Node: w.worker().ID, Epoch: flow.Epoch(len(w.history.Claims))})
		}
	}
}

func (w *world) progress(a flow.Attempt) {
	switch roll := rapid.IntRange(0, 9).Draw(w.t, "progress"); {
	case a.State == flow.AttemptDispatched && roll == 9:
		w.apply(flow.Buried{Task: a.Task, Generation: a.Generation})
	case a.State == flow.AttemptDispatched && roll < 5:
		w.apply(flow.Started{Task: a.Task, Generation: a.Generation, At: w.instant()})
	default:
		started := a.Started
		if started == (fence.Instant{}) {
			started = w.instant()
		}
		w.seconds += 0.5
		result := rapid.SampledFrom([]flow.Result{flow.Failed, flow.Succeeded, flow.TimedOut, flow.Succeeded, flow.Stopped}).Draw(w.t, "result")
		w.apply(flow.Finished{Task: a.Task, Generation: a.Generation, Outcome: flow.Outcome{Result: result, Reason: "so it was", Started: started, Finished: w.instant()}})
	}
}

// loseNode ends the worker, or its whole machine.
func (w *world) loseNode(active []flow.Attempt) {
	boot := w.worker().BootID
	if rapid.Bool().Draw(w.t, "reboot") {
		boot += "+"
		w.booted = w.seconds
		w.seconds++
	}
	for _, a := range active {
		w.apply(flow.Lost{Task: a.Task, Generation: a.Generation, Reason: "its node ended", At: w.instant()})
	}
	w.node(boot)
}

// TestMachineHistoriesHold: what the real machine writes, in whatever world,
// holds, at every moment.
func TestMachineHistoriesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step()
			h := w.stored()
			if r := Check(*h); len(r.Violations)+len(r.Unproven) > 0 {
				t.Fatalf("violations %q, unproven %q\nrun %+v\nrows %+v\nattempts %+v", lines(r.Violations), lines(r.Unproven), h.Runs[0].Run, h.Runs[0].TaskRuns, h.Runs[0].Attempts)
			}
		}
	})
}

// pair returns two attempts of one task, one after the other, that ok takes.
func pair(h *History, ok func(before, a *flow.Attempt) bool) (before, a *flow.Attempt) {
	list := h.Runs[0].Attempts
	for i := 1; i < len(list); i++ {
		if list[i].Task == list[i-1].Task && ok(&list[i-1], &list[i]) {
			return &list[i-1], &list[i]
		}
	}
	return nil, nil
}

func any1(h *History, ok func(*flow.Attempt) bool) *flow.Attempt {
	for i := range h.Runs[0].Attempts {
		if ok(&h.Runs[0].Attempts[i]) {
			return &h.Runs[0].Attempts[i]
		}
	}
	return nil
}

func both(*flow.Attempt, *flow.Attempt) bool { return true }

// remove takes an attempt out of the history.
func remove(h *History, a *flow.Attempt) {
	number, task := a.Number, a.Task
	h.Runs[0].Attempts = slices.DeleteFunc(slices.Clone(h.Runs[0].Attempts), func(x flow.Attempt) bool {
		return x.Task == task && x.Number == number
	})
}

// corruptions are one for each class of field, each harmful where it reports
// that it could be done.
var corruptions = map[string]func(*History) bool{
	"a number twice": func(h *History) bool {
		before, a := pair(h, both)
		if a != nil {
			a.Number = before.Number
		}
		return a != nil
	},
	"an attempt gone": func(h *History) bool {
		before, _ := pair(h, both)
		if before != nil {
			remove(h, before)
		}
		return before != nil
	},
	"a generation twice": func(h *History) bool {
		before, a := pair(h, both)
		if a != nil {
			a.Generation = before.Generation
		}
		return a != nil
	},
	"a buried one started": func(h *History) bool {
		a := any1(h, func(a *flow.Attempt) bool { return a.State == flow.AttemptBuried })
		if a != nil {
			a.Started = fence.Instant{Wall: a.DispatchedAt, Boot: 1}
		}
		return a != nil
	},
	"an end too late": func(h *History) bool {
		before, a := pair(h, func(before, a *flow.Attempt) bool {
			return before.Started.Boot > 0 && a.Started.Boot > 0 && a.Finished.Boot > 0 && before.Node == a.Node
		})
		if a != nil {
			before.Finished = a.Finished
		}
		return a != nil
	},
	"an end forgotten": func(h *History) bool {
		before, _ := pair(h, func(before, _ *flow.Attempt) bool { return before.Started.Boot > 0 })
		if before != nil {
			before.Finished = fence.Instant{}
		}
		return before != nil
	},
	"still running": func(h *History) bool {
		before, _ := pair(h, func(before, _ *flow.Attempt) bool { return before.Started.Boot > 0 })
		if before != nil {
			before.State = flow.AttemptRunning
		}
		return before != nil
	},
	"an epoch of nobody": func(h *History) bool {
		a := any1(h, func(*flow.Attempt) bool { return true })
		if a != nil {
			a.Epoch += 1000
		}
		return a != nil
	},
	"an epoch that falls": func(h *History) bool {
		before, _ := pair(h, func(before, a *flow.Attempt) bool { return before.Epoch == a.Epoch && int(a.Epoch) < len(h.Claims) })
		if before != nil {
			before.Epoch++
		}
		return before != nil
	},
	"a zombie's dispatch": func(h *History) bool {
		a := any1(h, func(a *flow.Attempt) bool { return int(a.Epoch) < len(h.Claims) })
		if a != nil {
			a.DispatchedAt = h.Claims[a.Epoch].At.Add(time.Second)
		}
		return a != nil
	},
	"two successes": func(h *History) bool {
		before, a := pair(h, func(before, a *flow.Attempt) bool {
			return before.Round == a.Round && before.Started.Boot > 0 && a.State == flow.AttemptSucceeded
		})
		if a != nil {
			before.State = flow.AttemptSucceeded
		}
		return a != nil
	},
	"a round to come": func(h *History) bool {
		a := any1(h, func(a *flow.Attempt) bool { return a.Round == h.Runs[0].Run.Round })
		if a != nil {
			a.Round++
		}
		return a != nil
	},
	"a failure that was a success": func(h *History) bool {
		a := any1(h, func(a *flow.Attempt) bool {
			row := rowOf(h, a.Task)
			return a.State == flow.AttemptFailed && row != nil && row.State == flow.TaskFailed && row.Generation == a.Generation && row.Round == a.Round
		})
		if a != nil {
			rowOf(h, a.Task).State = flow.TaskSucceeded
		}
		return a != nil
	},
	"an outcome gone": func(h *History) bool {
		r := &h.Runs[0]
		i := slices.IndexFunc(r.TaskRuns, func(x flow.TaskRun) bool { return x.State == flow.TaskFailed && x.Generation > 0 })
		if i < 0 || !r.Run.State.Final() {
			return false
		}
		r.TaskRuns = slices.Delete(r.TaskRuns, i, i+1)
		return true
	},
	"another state of the run": func(h *History) bool {
		switch r := &h.Runs[0].Run; r.State {
		case flow.RunSucceeded:
			r.State = flow.RunFailed
		case flow.RunFailed, flow.RunStopped:
			r.State = flow.RunSucceeded
		case flow.RunQueued, flow.RunRunning, flow.RunPausing, flow.RunPaused, flow.RunStopping:
			if len(h.Runs[0].Attempts) == 0 {
				return false
			}
			r.State = flow.RunStopped
		}
		return true
	},
	"a start before its need ended": func(h *History) bool {
		for i := range h.Runs[0].Workflow.Tasks {
			task := &h.Runs[0].Workflow.Tasks[i]
			for _, name := range task.Needs {
				need := any1(h, func(a *flow.Attempt) bool { return a.Task == name && a.Finished.Boot > 0 && a.Started.Boot > 0 })
				a := any1(h, func(a *flow.Attempt) bool { return a.Task == task.Name && a.Started.Boot > 0 })
				if need == nil || a == nil || need.Node != a.Node || need.Round != a.Round {
					continue
				}
				a.Started = need.Started
				return true
			}
		}
		return false
	},
}

func rowOf(h *History, task string) *flow.TaskRun {
	for i := range h.Runs[0].TaskRuns {
		if h.Runs[0].TaskRuns[i].Task == task {
			return &h.Runs[0].TaskRuns[i]
		}
	}
	return nil
}

// TestEveryCorruptionIsFound breaks what holds, one class of field at a time.
func TestEveryCorruptionIsFound(t *testing.T) {
	done := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(30, 100).Draw(t, "steps") {
			w.step()
			if w.history.Runs[0].Run.State.Final() {
				corruptAll(t, w, done)
			}
		}
		corruptAll(t, w, done)
	})
	t.Log(done)
	for name := range corruptions {
		if done[name] == 0 {
			t.Errorf("no history had a place for %q", name)
		}
	}
}

func corruptAll(t *rapid.T, w *world, done map[string]int) {
	for name, corrupt := range corruptions {
		h := w.stored()
		if !corrupt(h) {
			continue
		}
		done[name]++
		if r := Check(*h); len(r.Violations) == 0 {
			t.Fatalf("%s was not found; unproven %q\nrun %+v\nrows %+v\nattempts %+v", name, lines(r.Unproven), h.Runs[0].Run, h.Runs[0].TaskRuns, h.Runs[0].Attempts)
		}
	}
}

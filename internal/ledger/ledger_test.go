package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

var origin = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a moment so many seconds after the origin.
func at(seconds float64) time.Time {
	return origin.Add(time.Duration(seconds * float64(time.Second)))
}

// instant is that moment on a machine that was started 100 s before.
func instant(seconds float64) fence.Instant {
	return fence.Instant{Wall: at(seconds), Boot: fence.Boot((100 + seconds) * float64(time.Second))}
}

// attempt is one that was dispatched a second before it started, on w1, and
// succeeded.
func attempt(task string, number int, from, to float64) flow.Attempt {
	return flow.Attempt{
		Run: "r1", Task: task, Number: number, Generation: flow.Generation(number), Epoch: 1, Node: "w1", State: flow.AttemptSucceeded,
		DispatchedAt: at(from - 1), Started: instant(from), Finished: instant(to),
	}
}

func taskRow(task string, state flow.TaskState, generation flow.Generation) flow.TaskRun {
	return flow.TaskRun{Run: "r1", Task: task, State: state, Generation: generation, Number: int(generation)}
}

// history is a run in which extract was lost once and failed once, load then
// ran, clean has no needs, report was skipped and off is disabled.
func history() *History {
	lost, failed := attempt("extract", 1, 10, 20), attempt("extract", 2, 30, 40)
	lost.State, failed.State = flow.AttemptLost, flow.AttemptFailed
	third := attempt("extract", 3, 50, 60)
	third.Epoch, third.Node = 2, "w2"
	load := attempt("load", 1, 70, 80)
	load.Epoch, load.Node = 2, "w2"
	return &History{
		Runs: []RunHistory{{
			Run: flow.Run{ID: "r1", Workflow: "daily", Version: 1, Partition: 3, State: flow.RunSucceeded},
			Workflow: &flow.Workflow{Name: "daily", Tasks: []flow.Task{
				{Name: "extract"},
				{Name: "load", Needs: []string{"extract", "off"}},
				{Name: "clean"},
				{Name: "report", Needs: []string{"load"}},
				{Name: "off", Disabled: true},
			}},
			TaskRuns: []flow.TaskRun{taskRow("extract", flow.TaskRetrying, 2), taskRow("report", flow.TaskSkipped, 0)},
			Attempts: []flow.Attempt{lost, failed, third, load, attempt("clean", 1, 10, 15)},
		}},
		Claims: []Claim{
			{Partition: 3, Epoch: 1, Owner: "m1", At: at(0), Seq: 0},
			{Partition: 3, Epoch: 2, Owner: "m2", At: at(45), Seq: 7},
		},
		Nodes: []fence.Node{
			{ID: "m1", Role: fence.Master, MachineID: "x", BootID: "x1"},
			{ID: "m2", Role: fence.Master, MachineID: "x", BootID: "x1"},
			{ID: "w1", Role: fence.Worker, MachineID: "x", BootID: "x1", Containment: "cgroup"},
			{ID: "w2", Role: fence.Worker, MachineID: "x", BootID: "x1", Containment: "cgroup"},
			{ID: "w3", Role: fence.Worker, MachineID: "y", BootID: "y1", Containment: "weak"},
		},
	}
}

// The attempts of history, by their place.
const (
	lostFirst = iota
	failedThen
	thirdTime
	loadOnce
	cleanOnce
)

func (h *History) attempt(i int) *flow.Attempt { return &h.Runs[0].Attempts[i] }

func (h *History) row(task string) *flow.TaskRun {
	for i := range h.Runs[0].TaskRuns {
		if h.Runs[0].TaskRuns[i].Task == task {
			return &h.Runs[0].TaskRuns[i]
		}
	}
	h.Runs[0].TaskRuns = append(h.Runs[0].TaskRuns, flow.TaskRun{Run: "r1", Task: task})
	return h.row(task)
}

func (h *History) run() *flow.Run { return &h.Runs[0].Run }

func lines(list []Violation) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.Promise+" "+v.Message)
	}
	return out
}

func TestHoldingHistories(t *testing.T) {
	tests := map[string]func(*History){
		"as it is": func(*History) {},
		"rows in any order": func(h *History) {
			a := h.Runs[0].Attempts
			a[0], a[4], a[1], a[3] = a[4], a[0], a[3], a[1]
		},
		"the next attempt starts at the moment the last one ended": func(h *History) {
			h.attempt(thirdTime).Started = h.attempt(failedThen).Finished
			h.attempt(thirdTime).DispatchedAt = at(45)
		},
		"a buried attempt before another": func(h *History) {
			b := h.attempt(failedThen)
			b.State, b.Started, b.Finished = flow.AttemptBuried, fence.Instant{}, fence.Instant{}
		},
		"a run at work": func(h *History) {
			h.run().State = flow.RunRunning
			a := h.attempt(loadOnce)
			a.State, a.Finished = flow.AttemptRunning, fence.Instant{}
			h.Runs[0].TaskRuns = h.Runs[0].TaskRuns[:1]
		},
		"a run that is queued": func(h *History) {
			h.run().State = flow.RunQueued
			h.Runs[0].Attempts, h.Runs[0].TaskRuns = nil, nil
		},
		"a wall clock that was set back, on one boot": func(h *History) {
			for _, i := range []int{thirdTime, loadOnce} {
				h.attempt(i).Started.Wall = h.attempt(i).Started.Wall.Add(-25 * time.Second)
				h.attempt(i).Finished.Wall = h.attempt(i).Finished.Wall.Add(-25 * time.Second)
			}
		},
		"a failure that is allowed": func(h *History) {
			h.Runs[0].Workflow.Tasks[2].AllowFailure = true
			h.attempt(cleanOnce).State = flow.AttemptFailed
			*h.row("clean") = taskRow("clean", flow.TaskFailed, 1)
		},
		"a failure": func(h *History) {
			h.run().State = flow.RunFailed
			h.attempt(cleanOnce).State = flow.AttemptFailed
			*h.row("clean") = taskRow("clean", flow.TaskFailed, 1)
		},
		"a warning about a task that then succeeded": func(h *History) {
			*h.row("clean") = taskRow("clean", flow.TaskRunning, 1)
		},
		"a rerun of one task, at work": func(h *History) {
			h.run().State, h.run().Round = flow.RunRunning, 1
			*h.row("clean") = taskRow("clean", flow.TaskWaiting, 1)
			h.row("clean").Round = 1
		},
		"a rerun of a need, whose outcome follows later": func(h *History) {
			h.run().Round = 1
			again := attempt("extract", 4, 90, 95)
			again.Round, again.Epoch = 1, 2
			h.Runs[0].Attempts = append(h.Runs[0].Attempts, again)
		},
		"tasks that were not chosen": func(h *History) {
			h.run().Select = flow.Select{Tasks: []string{"load"}, Ancestors: true}
			h.Runs[0].Attempts = h.Runs[0].Attempts[:cleanOnce]
			h.Runs[0].TaskRuns = h.Runs[0].TaskRuns[:1]
		},
		"a task that does not exist was chosen": func(h *History) {
			h.run().State, h.run().Select = flow.RunFailed, flow.Select{Tasks: []string{"nothing"}}
			h.Runs[0].Attempts, h.Runs[0].TaskRuns = nil, nil
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			h := history()
			change(h)
			r := Check(*h)
			if r.Verdict() != Holds || len(r.Violations)+len(r.Unproven) > 0 {
				t.Errorf("%s: %q, unproven %q", r.Verdict(), lines(r.Violations), lines(r.Unproven))
			}
		})
	}
}

// broken are histories with one thing wrong in each, and what is to be said.
var broken = []struct {
	name     string
	change   func(*History)
	violated []string
	unproven []string
}{
	{"P2: a number that is missing", func(h *History) {
		h.Runs[0].Attempts = append(h.Runs[0].Attempts[:failedThen], h.Runs[0].Attempts[thirdTime:]...)
	}, []string{"P2 attempt 3 of task extract follows attempt 1: one is missing"}, nil},
	{"P2: the first is missing", func(h *History) {
		h.attempt(cleanOnce).Number = 2
	}, []string{"P2 attempt 2 of task clean follows attempt 0: one is missing"}, nil},
	{"P2: a number that is there twice", func(h *History) {
		h.attempt(thirdTime).Number = 2
	}, []string{"P2 task extract has two attempts of number 2, in generations 2 and 3"}, nil},
	{"P2: a generation that is there twice", func(h *History) {
		h.attempt(thirdTime).Generation = 2
	}, []string{"P2 attempts 2 and 3 of task extract have the same generation 2", "P5 task extract is recorded as retrying, and its last attempt as succeeded in the same round", "P5 attempt 1 of task load was dispatched, and yet extract, which it needs, is retrying", "P5 the run is succeeded, and yet its task extract is retrying"}, nil},
	{"P2: a generation that falls", func(h *History) {
		h.attempt(lostFirst).Generation, h.attempt(failedThen).Generation = 2, 1
	}, []string{"P2 attempt 2 of task extract has generation 1, which is not above generation 2 of the one before"}, nil},
	{"P2: a generation of zero", func(h *History) {
		h.attempt(cleanOnce).Generation = 0
	}, []string{"P2 attempt 1 of task clean has generation 0, which is not above generation 0 of the one before"}, nil},
	{"P2: a buried attempt that was started", func(h *History) {
		h.attempt(lostFirst).State = flow.AttemptBuried
	}, []string{"P2 attempt 1 of task extract is buried, and yet it was started on w1"}, nil},
	{"P2: a start that nobody took note of", func(h *History) {
		h.run().State = flow.RunRunning
		h.attempt(cleanOnce).State = flow.AttemptDispatched
	}, []string{"P2 attempt 1 of task clean has a start, and yet it is recorded as not started"}, nil},
	{"P2: a node that nobody knows", func(h *History) {
		h.attempt(cleanOnce).Node = "w9"
	}, nil, []string{"P2 nothing is known of node w9, on which attempt 1 of task clean was started"}},

	{"P3: two at once, on one boot", func(h *History) {
		h.attempt(thirdTime).Started = instant(39)
	}, []string{"P3 attempt 3 of task extract started on w2 1s before attempt 2 had ended on w1"}, nil},
	{"P3: two at once, by the boot clock alone", func(h *History) {
		h.attempt(failedThen).Finished.Boot = instant(55).Boot
	}, []string{"P3 attempt 3 of task extract started on w2 5s before attempt 2 had ended on w1"}, nil},
	{
		"P3: two at once, with another in between", func(h *History) {
			h.attempt(lostFirst).Finished = instant(55)
		},
		[]string{"P3 attempt 2 of task extract started on w1 25s before attempt 1 had ended on w1", "P3 attempt 3 of task extract started on w2 5s before attempt 1 had ended on w1"},
		[]string{"P3 attempt 2 of task extract was dispatched before attempt 1 had ended, by the wall clocks of master and worker"},
	},
	{"P3: two at once, if the clocks of two machines agree", func(h *History) {
		h.attempt(failedThen).Node = "w3"
		h.attempt(thirdTime).Started = instant(39)
	}, nil, []string{
		"P3 attempt 3 of task extract started on w2 before attempt 2 had ended on w3, by their wall clocks, which may differ",
		"P3 node w3 has no containment (weak): that a process which left its process group was dead at the end of its attempt cannot be proven",
	}},
	{"P3: a death certified by another machine", func(h *History) {
		h.attempt(lostFirst).Finished.Boot = instant(1000).Boot
	}, nil, []string{
		"P3 attempt 2 of task extract started on w1 before attempt 1 had ended on w1, by their wall clocks, which may differ",
		"P3 attempt 3 of task extract started on w2 before attempt 1 had ended on w1, by their wall clocks, which may differ",
	}},
	{"P3: another while one runs", func(h *History) {
		h.attempt(failedThen).State, h.attempt(failedThen).Finished = flow.AttemptRunning, fence.Instant{}
	}, []string{"P3 attempt 3 of task extract was dispatched while attempt 2 is recorded as running"}, nil},
	{"P3: another while one is on its way", func(h *History) {
		a := h.attempt(failedThen)
		a.State, a.Started, a.Finished = flow.AttemptDispatched, fence.Instant{}, fence.Instant{}
	}, []string{"P3 attempt 3 of task extract was dispatched while attempt 2 is recorded as dispatched"}, nil},
	{"P3: an end that is not recorded", func(h *History) {
		h.attempt(failedThen).Finished = fence.Instant{}
	}, []string{"P3 attempt 3 of task extract was dispatched, but when attempt 2 ended is not recorded"}, nil},
	{"P3: dispatched too early, by wall clocks", func(h *History) {
		h.attempt(failedThen).DispatchedAt = at(19)
	}, nil, []string{"P3 attempt 2 of task extract was dispatched before attempt 1 had ended, by the wall clocks of master and worker"}},
	{"P3: an end before its start", func(h *History) {
		h.attempt(cleanOnce).Finished = instant(9)
	}, []string{"P3 attempt 1 of task clean ended before it started"}, nil},
	{"P3: an end before its start, by the wall clock", func(h *History) {
		a := h.attempt(cleanOnce)
		a.Finished.Wall, a.Started.Boot, a.Finished.Boot = at(9), 0, 0
	}, nil, []string{"P3 attempt 1 of task clean ended before it started, by the wall clock"}},
	{"P3: a start after the node had ended", func(h *History) {
		h.Nodes[2].EndedAt = at(29)
	}, nil, []string{"P3 attempt 2 of task extract was started on w1 after that node had ended, by their wall clocks"}},
	{"P3: a node without containment", func(h *History) {
		h.Nodes[2].Containment = "weak"
	}, nil, []string{"P3 node w1 has no containment (weak): that a process which left its process group was dead at the end of its attempt cannot be proven"}},

	{"P4: an epoch that nobody claimed", func(h *History) {
		h.attempt(cleanOnce).Epoch = 9
	}, []string{"P4 attempt 1 of task clean was dispatched under epoch 9 of partition 3, which nobody claimed"}, nil},
	{"P4: an epoch of another partition", func(h *History) {
		h.Claims[1].Partition = 4
	}, []string{
		"P4 attempt 3 of task extract was dispatched under epoch 2 of partition 3, which nobody claimed",
		"P4 attempt 1 of task load was dispatched under epoch 2 of partition 3, which nobody claimed",
	}, nil},
	{
		"P4: an epoch that falls", func(h *History) {
			h.attempt(failedThen).Epoch = 2
			h.attempt(thirdTime).Epoch = 1
			h.Claims[1].At = at(49)
		},
		[]string{"P4 attempt 3 of task extract was dispatched under epoch 1, after attempt 2 under epoch 2"},
		[]string{"P4 attempt 2 of task extract was dispatched before its epoch 2 was claimed, by the wall clock"},
	},
	{"P4: a dispatch after the partition had changed hands", func(h *History) {
		h.attempt(loadOnce).Epoch = 1
	}, []string{"P4 attempt 1 of task load was dispatched under epoch 1, 24s after m2 had claimed epoch 2"}, nil},
	{"P4: likewise, by the clocks of two machines", func(h *History) {
		h.attempt(loadOnce).Epoch = 1
		h.Nodes[1].MachineID = "y"
	}, nil, []string{"P4 attempt 1 of task load was dispatched under epoch 1, 24s after m2 had claimed epoch 2, by the wall clocks of two machines"}},
	{"P4: an epoch with two owners", func(h *History) {
		h.Claims = append(h.Claims, Claim{Partition: 3, Epoch: 2, Owner: "m3", At: at(45), Seq: 7})
	}, []string{"P4 epoch 2 of partition 3 was claimed twice, by m2 and by m3"}, nil},
	{"P4: commits that disappeared", func(h *History) {
		h.Claims[0].Seq = 8
	}, []string{"P4 partition 3 stood at commit 8 when epoch 1 was claimed, and at commit 7 when epoch 2 was"}, nil},

	{"P5: two successes", func(h *History) {
		h.attempt(failedThen).State = flow.AttemptSucceeded
	}, []string{"P5 attempt 3 of task extract was dispatched after attempt 2 had succeeded in the same round, and it succeeded again"}, nil},
	{"P5: another attempt after success", func(h *History) {
		h.attempt(failedThen).State = flow.AttemptSucceeded
		h.attempt(thirdTime).State = flow.AttemptFailed
		*h.row("extract") = taskRow("extract", flow.TaskFailed, 3)
		h.run().State = flow.RunFailed
	}, []string{"P5 attempt 3 of task extract was dispatched after attempt 2 had succeeded in the same round"}, nil},
	{"P5: a round that falls", func(h *History) {
		h.run().Round = 1
		h.attempt(failedThen).Round = 1
	}, []string{"P5 attempt 3 of task extract belongs to round 0, and the one before to round 1"}, nil},
	{"P5: a round that has not begun", func(h *History) {
		h.attempt(cleanOnce).Round = 1
	}, []string{"P5 attempt 1 of task clean belongs to round 1 of a run that is in round 0"}, nil},
	{"P5: a task of no workflow", func(h *History) {
		h.Runs[0].Attempts = append(h.Runs[0].Attempts, attempt("other", 1, 10, 20))
	}, []string{"P5 the workflow has no task other, and yet there are rows of it"}, nil},
	{"P5: a success without an attempt", func(h *History) {
		*h.row("report") = taskRow("report", flow.TaskSucceeded, 0)
	}, []string{"P5 task report is recorded as succeeded, and yet it has no attempt"}, nil},
	{"P5: attempts that disappeared", func(h *History) {
		*h.row("report") = taskRow("report", flow.TaskFailed, 2)
		h.run().State = flow.RunFailed
	}, []string{"P5 task report is recorded as having come to generation 2, and yet it has no attempt"}, nil},
	{"P5: the last attempt disappeared", func(h *History) {
		*h.row("clean") = taskRow("clean", flow.TaskFailed, 2)
		h.run().State = flow.RunFailed
	}, []string{"P5 task clean is recorded as having come to generation 2, and yet its last attempt has generation 1"}, nil},
	{"P5: an outcome while an attempt runs", func(h *History) {
		a := h.attempt(cleanOnce)
		a.State, a.Finished = flow.AttemptRunning, fence.Instant{}
		*h.row("clean") = taskRow("clean", flow.TaskStopped, 1)
		h.run().State = flow.RunStopped
	}, []string{"P5 task clean is recorded as stopped while its attempt 1 is running"}, nil},
	{"P5: two outcomes", func(h *History) {
		*h.row("clean") = taskRow("clean", flow.TaskFailed, 1)
		h.run().State = flow.RunFailed
	}, []string{"P5 task clean is recorded as failed, and its last attempt as succeeded"}, nil},
	{"P5: a success of a failed attempt", func(h *History) {
		h.attempt(cleanOnce).State = flow.AttemptFailed
		*h.row("clean") = taskRow("clean", flow.TaskSucceeded, 1)
	}, []string{"P5 task clean is recorded as succeeded, and its last attempt as failed"}, nil},
	{"P5: to be done again after success", func(h *History) {
		h.run().State = flow.RunRunning
		*h.row("clean") = taskRow("clean", flow.TaskRetrying, 1)
	}, []string{"P5 task clean is recorded as retrying, and its last attempt as succeeded in the same round"}, nil},
	{"P5: a final run with a task that waits", func(h *History) {
		h.Runs[0].TaskRuns = h.Runs[0].TaskRuns[:1]
	}, []string{"P5 the run is succeeded, and yet its task report is waiting"}, nil},
	{"P5: a final run with an attempt that runs", func(h *History) {
		h.attempt(cleanOnce).State, h.attempt(cleanOnce).Finished = flow.AttemptRunning, fence.Instant{}
	}, []string{"P5 the run is succeeded, and yet its task clean is running"}, nil},
	{"P5: a final run with a failure that nothing followed from", func(h *History) {
		h.attempt(cleanOnce).State = flow.AttemptFailed
	}, []string{"P5 the run is succeeded, and yet its task clean is waiting"}, nil},
	{"P5: a run at work with nothing left to do", func(h *History) {
		h.run().State = flow.RunRunning
	}, []string{"P5 all tasks of the run are final, and yet it is running"}, nil},
	{"P5: a success with a failed task", func(h *History) {
		h.attempt(cleanOnce).State = flow.AttemptFailed
		*h.row("clean") = taskRow("clean", flow.TaskFailed, 1)
	}, []string{"P5 the run is succeeded, and yet its task clean has failed"}, nil},
	{"P5: a success with a task that was stopped", func(h *History) {
		*h.row("report") = taskRow("report", flow.TaskStopped, 0)
	}, []string{"P5 the run is succeeded, and yet its task report was stopped"}, nil},
	{"P5: a failure without a failed task", func(h *History) {
		h.run().State = flow.RunFailed
	}, []string{"P5 the run is failed, and yet none of its tasks has failed"}, nil},
	{"P5: stopped without a stopped task", func(h *History) {
		h.run().State = flow.RunStopped
	}, []string{"P5 the run is stopped, and yet none of its tasks was"}, nil},
	{"P5: a queued run that has begun", func(h *History) {
		h.run().State = flow.RunQueued
		h.Runs[0].Attempts = h.Runs[0].Attempts[cleanOnce:]
		h.Runs[0].TaskRuns = nil
	}, []string{"P5 task clean was dispatched in a run that is still queued"}, nil},
	{"P5: a start before its need had ended", func(h *History) {
		h.attempt(loadOnce).Started = instant(59)
	}, []string{"P5 attempt 1 of task load started 1s before attempt 3 of extract, which it needs, had ended"}, nil},
	{"P5: likewise, by wall clocks", func(h *History) {
		h.attempt(loadOnce).Started = instant(59)
		h.Nodes[2].BootID = "x2"
		h.attempt(loadOnce).Node = "w1"
	}, nil, []string{"P5 attempt 1 of task load started before attempt 3 of extract, which it needs, had ended, by wall clocks that may differ"}},
	{"P5: dispatched while its need is still to be done", func(h *History) {
		h.run().State = flow.RunRunning
		h.Runs[0].Attempts = append(h.Runs[0].Attempts[:thirdTime], h.Runs[0].Attempts[loadOnce:]...)
	}, []string{"P5 attempt 1 of task load was dispatched, and yet extract, which it needs, is retrying"}, nil},
	{"P5: dispatched though its need never ran", func(h *History) {
		h.run().State = flow.RunRunning
		h.Runs[0].Attempts = h.Runs[0].Attempts[loadOnce:]
		h.Runs[0].TaskRuns = nil
	}, []string{"P5 attempt 1 of task load was dispatched, and yet extract, which it needs, is waiting"}, nil},
	{"P5: dispatched in a round in which its need ran on", func(h *History) {
		h.run().Round = 1
		h.attempt(thirdTime).State, h.attempt(thirdTime).Finished = flow.AttemptRunning, fence.Instant{}
		again := attempt("extract", 4, 90, 95)
		again.Round, again.Epoch = 1, 2
		h.Runs[0].Attempts = append(h.Runs[0].Attempts, again)
	}, []string{
		"P3 attempt 4 of task extract was dispatched while attempt 3 is recorded as running",
		"P5 attempt 1 of task load was dispatched, and yet attempt 3 of extract, which it needs, is running",
	}, nil},
	{"P5: a workflow that is not known", func(h *History) {
		h.Runs[0].Workflow = nil
	}, nil, []string{"P5 version 1 of workflow daily is not known: whether its tasks ran in order cannot be checked"}},
}

func TestBrokenHistories(t *testing.T) {
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			h := history()
			test.change(h)
			r := Check(*h)
			if diff := cmp.Diff(test.violated, lines(r.Violations)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.unproven, lines(r.Unproven)); diff != "" {
				t.Errorf("unproven (-want +got):\n%s", diff)
			}
			if want := map[bool]Verdict{true: Violated, false: Holds}[len(test.violated) > 0]; r.Verdict() != want {
				t.Errorf("verdict %s, want %s", r.Verdict(), want)
			}
		})
	}
}

func TestViolationNamesItsPlace(t *testing.T) {
	h := history()
	h.attempt(loadOnce).Epoch = 1
	got := Check(*h).Violations
	want := []Violation{{
		Promise: "P4", Run: "r1", Task: "load", Generation: 1,
		Message: "attempt 1 of task load was dispatched under epoch 1, 24s after m2 had claimed epoch 2",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEmptyHistoryShowsNothing(t *testing.T) {
	r := Check(History{Nodes: history().Nodes, Claims: history().Claims})
	if r.Verdict() != Empty || r.Runs != 0 {
		t.Errorf("%s, %d runs", r.Verdict(), r.Runs)
	}
}

func TestCounts(t *testing.T) {
	h := history()
	h.Runs = append(h.Runs, h.Runs[0])
	r := Check(*h)
	if r.Runs != 2 || r.TaskRuns != 8 || r.Attempts != 10 {
		t.Errorf("%d runs, %d task runs, %d attempts; want 2, 8, 10", r.Runs, r.TaskRuns, r.Attempts)
	}
}

func TestViolationsAreBounded(t *testing.T) {
	h := history()
	h.attempt(cleanOnce).Epoch = 9
	c := NewChecker(h.Claims, h.Nodes)
	for range listedMax + 5 {
		c.Add(h.Runs[0])
	}
	if r := c.Result(); len(r.Violations) != listedMax || r.More != 5 {
		t.Errorf("%d violations and %d more, want %d and 5", len(r.Violations), r.More, listedMax)
	}
}

// A large run takes time in proportion to its tasks, not to their square:
// within the time of a test, 50,000 tasks would tell.
func TestLargeRun(t *testing.T) {
	const tasks = 50_000
	h := RunHistory{Run: flow.Run{ID: "r1", Partition: 3, State: flow.RunSucceeded}, Workflow: &flow.Workflow{}}
	for i := range tasks {
		name := "t" + strings.Repeat("x", i%7) + time.Duration(i).String()
		task := flow.Task{Name: name}
		if i > 0 {
			task.Needs = []string{h.Workflow.Tasks[i-1].Name}
		}
		h.Workflow.Tasks = append(h.Workflow.Tasks, task)
		h.Attempts = append(h.Attempts, attempt(name, 1, 1+float64(i), 1+float64(i)+0.5))
		h.Attempts[i].DispatchedAt = at(float64(i) + 0.8)
	}
	r := Check(History{Runs: []RunHistory{h}, Claims: []Claim{{Partition: 3, Epoch: 1, At: at(0)}}, Nodes: history().Nodes})
	if len(r.Violations)+len(r.Unproven) > 0 || r.Attempts != tasks {
		t.Errorf("%d attempts, %.3q, %.3q", r.Attempts, lines(r.Violations), lines(r.Unproven))
	}
}

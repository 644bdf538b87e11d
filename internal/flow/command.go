package flow

import (
	"fmt"
	"time"
)

// begin takes a queued run into work.
func (m *Machine) begin(now time.Time) {
	if m.run.State != RunQueued {
		return
	}
	m.enter(RunRunning, "")
	m.run.StartedAt = now
	m.roots()
}

// roots finds the tasks that need nothing.
func (m *Machine) roots() {
	for i := range m.cells {
		if c := &m.cells[i]; c.phase == waiting && c.unmet == 0 {
			m.due = append(m.due, int32(i))
		}
	}
}

func (m *Machine) stop(now time.Time, in Stop) {
	if m.Refusal(in) != "" {
		return
	}
	if m.run.State == RunQueued {
		m.roots()
	}
	reason := in.Reason
	if reason == "" {
		reason = "stop was asked for"
	}
	m.enter(RunStopping, reason)
	m.sweep(now, CauseAsked)
	m.killActive()
}

// pause keeps everything that has not started from starting, what had been
// resumed on its own included.
func (m *Machine) pause() {
	if m.Refusal(Pause{}) != "" {
		return
	}
	for i := range m.cells {
		if c := &m.cells[i]; c.released {
			c.released = false
			m.touch(int32(i))
		}
	}
	m.ready.again(m) // what was announced has not been placed: it counts no more
	m.enter(RunPausing, "")
}

func (m *Machine) resume(in Resume) {
	if m.Refusal(in) != "" {
		return
	}
	if len(in.Tasks) > 0 {
		for _, name := range in.Tasks {
			m.release(m.plan.index[name])
		}
		return
	}
	for i := range m.cells {
		if m.cells[i].phase == held {
			m.cells[i].reason = ""
			m.reopen(int32(i))
		}
	}
	if m.run.State != RunRunning {
		m.enter(RunRunning, "")
	}
	m.ready.again(m)
}

// release lets one held or paused task go on.
func (m *Machine) release(i int32) {
	c := &m.cells[i]
	if c.released {
		return
	}
	c.released = true
	if c.phase == held {
		c.reason = ""
		m.reopen(i)
		return
	}
	m.touch(i)
	m.ready.add(m, i)
}

// rerun takes a final run back into work, as a new round. Generations go on
// growing; budgets start anew.
func (m *Machine) rerun(now time.Time, in Rerun) {
	if m.Refusal(in) != "" {
		return
	}
	reset := m.repeated(in)
	m.run.Round++
	m.run.FinishedAt = time.Time{}
	if m.run.StartedAt.IsZero() {
		m.run.StartedAt = now
	}
	m.enter(RunRunning, "")
	for i := range int32(len(m.cells)) {
		if !reset[i] {
			continue
		}
		c := &m.cells[i]
		c.phase, c.cause, c.reason = waiting, CauseNone, ""
		c.retries, c.lost, c.finished = 0, 0, time.Time{}
		m.round(i)
		m.touch(i)
	}
	m.derive()
}

// repeated marks what a rerun does again. What is left out of the run stays
// out, unless the rerun names it; what is disabled stays out in any case.
func (m *Machine) repeated(in Rerun) []bool {
	chosen := m.plan.selected(in.Select)
	marks := make([]bool, len(m.cells))
	for i := range marks {
		marks[i] = (chosen == nil || chosen[i]) && (!in.Failed || m.amiss(int32(i)))
	}
	if in.Failed {
		var start []int32
		for i := range marks {
			if marks[i] {
				start = append(start, int32(i))
			}
		}
		reach(&m.plan.next, start, marks)
	}
	for i := range marks {
		if m.leftOut(int32(i)) && (chosen == nil || !chosen[i] || m.plan.workflow.Tasks[i].Disabled) {
			marks[i] = false
		}
	}
	return marks
}

// amiss reports whether a final task failed, was stopped, or was not run for
// that.
func (m *Machine) amiss(i int32) bool {
	c := &m.cells[i]
	return c.phase == failed || c.phase == stopped || c.phase == skipped && c.cause == CauseUpstream
}

// Refusal says why a command makes no sense now; empty: it does. Anything but
// a command is never refused.
func (m *Machine) Refusal(in Input) string {
	s := m.run.State
	switch in := in.(type) {
	case Stop:
		switch {
		case s.Final():
			return fmt.Sprintf("run is %s: there is nothing to stop", s)
		case s == RunStopping:
			return "run is stopping already"
		}
	case Pause:
		switch {
		case s != RunRunning:
			return fmt.Sprintf("run is %s: only a running run can be paused", s)
		case m.ending():
			return "run is ending, since " + m.run.Reason + ": there is nothing to pause"
		}
	case Resume:
		return m.refuseResume(in)
	case Rerun:
		return m.refuseRerun(in)
	}
	return ""
}

func (m *Machine) refuseResume(in Resume) string {
	s := m.run.State
	switch s {
	case RunRunning, RunPausing, RunPaused:
	case RunQueued, RunStopping, RunStopped, RunFailed, RunSucceeded:
		return fmt.Sprintf("run is %s: there is nothing to resume", s)
	}
	for _, name := range in.Tasks {
		i, ok := m.plan.index[name]
		if !ok {
			return m.plan.unknown(name)
		}
		if state := m.state(i); state != TaskHeld && state != TaskPaused && !m.cells[i].released {
			return fmt.Sprintf("task %s is %s: only what is held or paused can be resumed", name, state)
		}
	}
	if len(in.Tasks) == 0 && s == RunRunning && m.heldUp == 0 {
		return "run is running and nothing in it is held: there is nothing to resume"
	}
	return ""
}

func (m *Machine) refuseRerun(in Rerun) string {
	s := m.run.State
	if !s.Final() {
		return fmt.Sprintf("run is %s: only a run that has ended can be rerun", s)
	}
	if fault := m.plan.CheckSelect(in.Select); fault != "" {
		return fault
	}
	for _, again := range m.repeated(in) {
		if again {
			return ""
		}
	}
	switch {
	case in.Failed && len(in.Select.Tasks) > 0:
		return "none of the tasks named failed, was stopped, or was not run for that"
	case in.Failed:
		return fmt.Sprintf("run is %s: nothing in it failed or was stopped", s)
	}
	return "there is nothing to run again: all of it is disabled, or was not selected when the run was started"
}

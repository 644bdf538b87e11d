package flow

import (
	"fmt"
	"time"
)

// Apply takes one thing that has happened and decides what follows.
func (m *Machine) Apply(now time.Time, in Input) Out {
	if m.fresh {
		m.fresh = false
		if m.killing() {
			m.killActive()
		}
	}
	switch in := in.(type) {
	case Begin:
		m.begin(now)
	case Stop:
		m.stop(now, in)
	case Pause:
		m.pause()
	case Resume:
		m.resume(in)
	case Rerun:
		m.rerun(now, in)
	case Place:
		m.place(now, in)
	case Started:
		m.started(in)
	case Finished:
		m.finished(now, in)
	case Lost:
		m.lost(now, in)
	case Buried:
		m.buried(now, in)
	case Tick:
		m.wake(now)
	default:
		panic(fmt.Sprintf("flow: run %s is %s: unknown input %T", m.run.ID, m.run.State, in))
	}
	m.settle(now)
	m.conclude(now)
	m.announce()
	return m.emit()
}

// emit hands over what was decided.
func (m *Machine) emit() Out {
	if m.runTouched {
		m.runTouched = false
		run := m.run
		m.out.Run = &run
	}
	if len(m.rows) > 0 {
		m.out.TaskRuns = make([]TaskRun, len(m.rows))
		for k, i := range m.rows {
			m.cells[i].touched = false
			m.out.TaskRuns[k] = m.row(i)
		}
		m.rows = m.rows[:0]
	}
	out := m.out
	m.out = Out{}
	return out
}

// touch has the row of a cell written.
func (m *Machine) touch(i int32) {
	c := &m.cells[i]
	c.stored = true
	if !c.touched {
		c.touched = true
		m.rows = append(m.rows, i)
	}
}

// enter gives the run a state, and the reason for it.
func (m *Machine) enter(s RunState, reason string) {
	m.run.State, m.run.Reason = s, reason
	m.runTouched = true
}

// end gives a task run its outcome, other than success.
func (m *Machine) end(now time.Time, i int32, to phase, cause Cause, reason string) {
	c := &m.cells[i]
	if to == failed && m.counts(i) && m.failed == 0 {
		m.culprit = i
	}
	c.cause, c.reason, c.finished, c.wake = cause, reason, now, time.Time{}
	c.released = false
	m.round(i)
	m.touch(i)
	m.become(i, to)
}

// round notes that a task takes part in the present round.
func (m *Machine) round(i int32) { m.cells[i].round = int32(m.run.Round) }

// settle decides about every task whose needs are final, and whatever follows
// from that: along the edges, and without recursion, since a chain may be as
// long as the workflow.
func (m *Machine) settle(now time.Time) {
	for {
		if m.ending() && !m.swept {
			m.enter(m.run.State, m.name(m.culprit)+" failed, and on_failure is end")
			m.sweep(now, CauseEnding)
			m.killActive()
		}
		if len(m.due) == 0 {
			return
		}
		if i := m.nextDue(); m.cells[i].phase == waiting {
			m.decide(now, i)
		}
	}
}

// sweep stops what has not started. What is left out of the run follows its
// needs, which are final now, or will be.
func (m *Machine) sweep(now time.Time, cause Cause) {
	m.swept = true
	for i := range int32(len(m.cells)) {
		if p := m.cells[i].phase; !p.final() && !p.active() && !m.leftOut(i) {
			m.end(now, i, stopped, cause, m.run.Reason)
		}
	}
}

// killActive asks for the end of all that runs.
func (m *Machine) killActive() { m.out.Kill = append(m.out.Kill, m.Killing()...) }

// decide says what becomes of a task whose needs are final.
func (m *Machine) decide(now time.Time, i int32) {
	t := &m.plan.workflow.Tasks[i]
	c := &m.cells[i]
	if m.leftOut(i) {
		m.become(i, skipped)
		return
	}
	if v := m.join(i); v.skip {
		m.end(now, i, skipped, v.cause, v.reason)
		return
	}
	if t.When != "" {
		ok, err := m.when(i, t)
		switch {
		case err != nil:
			m.end(now, i, failed, CauseTemplate, "its condition cannot be evaluated: "+err.Error())
			return
		case !ok:
			m.end(now, i, skipped, CauseCondition, "its condition is false: "+t.When)
			return
		}
	}
	if t.Delay > 0 {
		c.wake = now.Add(t.Delay)
		m.round(i)
		m.touch(i)
		m.become(i, delayed)
		m.watch(i)
		return
	}
	m.become(i, open)
}

func (m *Machine) when(i int32, t *Task) (bool, error) {
	c := m.plan.template(i)
	if c.whenAs != nil {
		return false, c.whenAs
	}
	return c.when.Eval(m.scope(t, int(m.cells[i].number)+1, c.when.Refs()))
}

// conclude ends the run with its last task, and keeps pausing and paused
// apart.
func (m *Machine) conclude(now time.Time) {
	switch m.run.State {
	case RunRunning, RunPausing, RunPaused, RunStopping:
	case RunQueued, RunStopped, RunFailed, RunSucceeded:
		return
	}
	if m.final == len(m.cells) {
		m.enter(m.verdict())
		m.run.FinishedAt = now
		return
	}
	switch {
	case m.run.State == RunPausing && m.active == 0:
		m.enter(RunPaused, m.run.Reason)
	case m.run.State == RunPaused && m.active > 0:
		m.enter(RunPausing, m.run.Reason)
	}
}

// verdict is what a run has come to once all its tasks are final.
func (m *Machine) verdict() (RunState, string) {
	if fault := m.plan.CheckSelect(m.run.Select); fault != "" {
		return RunFailed, fault
	}
	var asked, failures, allowed, kept []int32
	for i := range int32(len(m.cells)) {
		switch c := &m.cells[i]; {
		case c.phase == stopped && c.cause != CauseEnding:
			asked = append(asked, i)
		case c.phase == failed && m.counts(i):
			failures = append(failures, i)
		case c.phase == failed:
			allowed = append(allowed, i)
		case c.phase == skipped && c.cause == CauseUpstream:
			kept = append(kept, i)
		}
	}
	switch {
	case len(asked) > 0:
		reason := m.run.Reason
		if m.run.State != RunStopping {
			reason = m.counted(asked, "was stopped", "were stopped")
		}
		return RunStopped, reason
	case len(failures) > 0:
		return RunFailed, m.counted(failures, "failed", "failed")
	case len(kept) > 0:
		return RunSucceeded, m.counted(kept, "was not run, since what it needs had failed", "were not run, since what they need had failed")
	case len(allowed) > 0:
		return RunSucceeded, m.counted(allowed, "failed, which is allowed", "failed, which is allowed")
	}
	return RunSucceeded, ""
}

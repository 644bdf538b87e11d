package flow

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
)

// place dispatches a ready task.
func (m *Machine) place(now time.Time, in Place) {
	if in.Task < 0 || in.Task >= len(m.cells) || !m.IsReady(in.Task) {
		return
	}
	i := int32(in.Task)
	c := &m.cells[i]
	work, err := m.work(i, c.generation+1, int(c.number)+1)
	if err != nil {
		m.end(now, i, failed, CauseTemplate, err.Error())
		return
	}
	c.generation++
	c.number++
	c.attempt = &Attempt{
		Run: m.run.ID, Task: work.Task, Number: work.Number, Generation: work.Generation,
		Epoch: in.Epoch, Node: in.Node, State: AttemptDispatched,
		Round: m.run.Round, Retries: int(c.retries), Lost: int(c.lost), DispatchedAt: now,
	}
	c.stored, c.released, c.warned = true, false, false
	c.cause, c.reason = CauseNone, ""
	m.round(i)
	m.become(i, dispatched)
	m.out.Work = work
	m.record(c)
}

// record has the attempt of a cell written.
func (m *Machine) record(c *cell) { m.out.Attempts = append(m.out.Attempts, *c.attempt) }

// current returns the task run that an attempt belongs to, if it is its last
// one and has not ended.
func (m *Machine) current(task string, g Generation) (int32, bool) {
	i, ok := m.plan.index[task]
	if !ok {
		return 0, false
	}
	c := &m.cells[i]
	return i, c.generation == g && c.phase.active()
}

func (m *Machine) started(in Started) {
	i, ok := m.current(in.Task, in.Generation)
	if !ok || m.cells[i].phase == running {
		return
	}
	c := &m.cells[i]
	c.attempt.State, c.attempt.Started = AttemptRunning, in.At
	m.become(i, running)
	m.record(c)
	m.watch(i)
}

// finished takes the end of an attempt as its worker saw it.
func (m *Machine) finished(now time.Time, in Finished) {
	i, ok := m.current(in.Task, in.Generation)
	if !ok {
		m.out.Forget = append(m.out.Forget, Ref{in.Task, in.Generation, in.Node})
		return
	}
	c, o := &m.cells[i], &in.Outcome
	a := c.attempt
	a.Reason, a.ExitCode, a.Outputs = m.describe(i, o), o.ExitCode, o.Outputs
	a.Finished = o.Finished
	if a.Started == (fence.Instant{}) {
		a.Started = o.Started
	}
	switch o.Result {
	case Succeeded:
		a.State = AttemptSucceeded
		m.succeed(i)
	case Failed, TimedOut, Refused:
		a.State = AttemptFailed
		m.failure(now, i)
	case Stopped:
		a.State = AttemptStopped
		m.lose(now, i) // if nobody asked, it is as good as lost: to be repeated, or whatever on_lost says
	case Expired:
		a.State = AttemptLost
		m.lose(now, i)
	}
	if !a.State.Final() {
		a.State, a.Reason = AttemptFailed, "ended with a result unknown to this version: "+string(o.Result)
		m.failure(now, i)
	}
	m.record(c)
	m.out.Forget = append(m.out.Forget, Ref{in.Task, in.Generation, in.Node})
}

// lost takes an attempt whose node has ended.
func (m *Machine) lost(now time.Time, in Lost) {
	i, ok := m.current(in.Task, in.Generation)
	if !ok {
		return
	}
	c := &m.cells[i]
	c.attempt.State, c.attempt.Reason, c.attempt.Finished = AttemptLost, in.Reason, in.At
	m.lose(now, i)
	m.record(c)
}

// buried takes an attempt that its worker never got: nothing has happened, so
// the task is ready again at no cost, whatever on_lost says.
func (m *Machine) buried(now time.Time, in Buried) {
	i, ok := m.current(in.Task, in.Generation)
	if !ok {
		return
	}
	c := &m.cells[i]
	if c.phase == running {
		// It had said that it runs: its journal is gone. What the attempt did
		// is unknown.
		m.lost(now, Lost{Task: in.Task, Generation: in.Generation, Reason: "its worker knows nothing of it any more", At: fence.Instant{Wall: now}})
		return
	}
	c.attempt.State, c.attempt.Reason = AttemptBuried, "it never reached its worker"
	if m.killing() {
		m.end(now, i, stopped, m.killCause(), m.run.Reason)
	} else {
		// The first few go out at once. A worker that buries whatever it gets,
		// since its lease is over perhaps, must not be met with a commit each.
		c.lost++
		c.reason = "attempt " + number(int(c.number)) + " never reached node " + string(c.attempt.Node)
		m.again(now, i, lostWait(int(c.lost)))
	}
	m.record(c)
}

// succeed makes a task run succeed. Its attempt says it all, unless there is a
// row about a warning.
func (m *Machine) succeed(i int32) {
	c := &m.cells[i]
	c.cause, c.reason, c.finished = CauseNone, "", c.attempt.Finished.Wall
	if c.warned {
		c.reason = "ran longer than its timeout of " + span(m.plan.workflow.Tasks[i].Timeout.After)
		m.touch(i)
	}
	m.become(i, succeeded)
}

// reopen makes a task run ready for another attempt, at once.
func (m *Machine) reopen(i int32) {
	c := &m.cells[i]
	c.cause, c.wake = CauseNone, time.Time{}
	m.touch(i)
	m.become(i, open)
}

// again makes a task run ready for another attempt, after a delay.
func (m *Machine) again(now time.Time, i int32, delay time.Duration) {
	if delay <= 0 {
		m.reopen(i)
		return
	}
	c := &m.cells[i]
	c.cause, c.wake = CauseNone, now.Add(delay)
	m.touch(i)
	m.become(i, retrying)
	m.watch(i)
}

// failure is what follows a failed attempt: a retry, or the end.
func (m *Machine) failure(now time.Time, i int32) {
	c := &m.cells[i]
	t := &m.plan.workflow.Tasks[i]
	reason := c.attempt.Reason
	c.lost = 0
	switch {
	case int(c.retries) >= t.Retry.Limit:
		if c.retries > 0 {
			reason += ", after " + plural(int(c.retries), "retry", "retries")
		}
		m.end(now, i, failed, CauseNone, reason)
	case m.killing():
		m.end(now, i, stopped, m.killCause(), reason+"; not retried: "+m.run.Reason)
	default:
		c.retries++
		c.reason = reason
		m.again(now, i, t.Retry.wait(int(c.retries), m.run.ID, t.Name, c.generation))
	}
}

// lose is what follows an attempt whose outcome is unknown.
func (m *Machine) lose(now time.Time, i int32) {
	c := &m.cells[i]
	if m.killing() {
		m.end(now, i, stopped, m.killCause(), m.run.Reason)
		return
	}
	c.lost++
	c.reason = "attempt " + number(int(c.number)) + " on node " + string(c.attempt.Node) + " was lost"
	if c.attempt.Reason != "" {
		c.reason += ": " + c.attempt.Reason
	}
	switch m.plan.workflow.Tasks[i].OnLost {
	case "", LostRerun:
		m.again(now, i, lostWait(int(c.lost)))
	case LostFail:
		m.end(now, i, failed, CauseNone, c.reason)
	case LostHold:
		c.cause, c.wake = CauseNone, time.Time{}
		m.touch(i)
		m.become(i, held)
	}
}

// killCause is why what runs is being killed.
func (m *Machine) killCause() Cause {
	if m.run.State == RunStopping {
		return CauseAsked
	}
	return CauseEnding
}

// describe says in a sentence how an attempt ended; empty for success.
func (m *Machine) describe(i int32, o *Outcome) string {
	reason := o.Reason
	switch o.Result {
	case Succeeded:
	case Failed:
		switch {
		case reason != "":
		case o.ExitCode != nil:
			reason = "exit status " + number(*o.ExitCode)
		default:
			reason = "failed"
		}
	case TimedOut:
		reason = "timed out after " + span(m.plan.workflow.Tasks[i].Timeout.After)
	case Refused:
		if reason == "" {
			reason = "its worker gave no reason"
		}
		reason = "could not be started: " + reason
	case Stopped:
		if reason == "" {
			reason = "stopped"
		}
	case Expired:
		if reason == "" {
			reason = "killed at its node's deadline"
		}
	}
	return reason
}

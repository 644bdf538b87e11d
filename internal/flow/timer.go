package flow

import (
	"container/heap"
	"time"
)

// timers is a heap of what is to happen at a time. An entry that has been
// overtaken stays in it and is passed over.
type timers []timer

type timer struct {
	at   time.Time
	task int32
}

func (t timers) Len() int      { return len(t) }
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t timers) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].task < t[j].task
	}
	return t[i].at.Before(t[j].at)
}
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// alarm is when something is to happen to a cell; zero: never.
func (m *Machine) alarm(i int32) time.Time {
	c := &m.cells[i]
	switch c.phase {
	case delayed, retrying:
		return c.wake
	case running:
		t := &m.plan.workflow.Tasks[i].Timeout
		if t.Action != TimeoutWarn || t.After == 0 || c.warned {
			return time.Time{}
		}
		// The worker's wall clock may be off, and then so is the warning; but
		// it is what is stored, and every owner computes the same.
		started := c.attempt.Started.Wall
		if started.IsZero() {
			started = c.attempt.DispatchedAt
		}
		return started.Add(t.After)
	case waiting, open, dispatched, held, stopped, failed, skipped, succeeded:
	}
	return time.Time{}
}

// watch sets the timer of a cell, if it has one.
func (m *Machine) watch(i int32) {
	if at := m.alarm(i); !at.IsZero() {
		heap.Push(&m.timers, timer{at, i})
	}
}

// Next returns when to Tick; zero if only other input can change anything. It
// lies in the past if something is due already.
func (m *Machine) Next() time.Time {
	if m.fresh && (len(m.ready.list) > 0 || m.killing() && m.active > 0) {
		return time.Unix(0, 0)
	}
	m.dropTimers()
	if len(m.timers) == 0 {
		return time.Time{}
	}
	return m.timers[0].at
}

// dropTimers removes overtaken entries from the top.
func (m *Machine) dropTimers() {
	for len(m.timers) > 0 && !m.alarm(m.timers[0].task).Equal(m.timers[0].at) {
		heap.Pop(&m.timers)
	}
}

// wake lets happen what is due.
func (m *Machine) wake(now time.Time) {
	for m.dropTimers(); len(m.timers) > 0 && !m.timers[0].at.After(now); m.dropTimers() {
		i := heap.Pop(&m.timers).(timer).task
		c := &m.cells[i]
		if c.phase == running {
			m.warn(now, i)
			continue
		}
		c.wake = time.Time{}
		m.become(i, open)
	}
}

// warn says that an attempt runs longer than it should.
func (m *Machine) warn(now time.Time, i int32) {
	c := &m.cells[i]
	t := &m.plan.workflow.Tasks[i]
	c.warned = true
	c.reason = "runs longer than its timeout of " + span(t.Timeout.After)
	m.touch(i)
	m.out.Warn = append(m.out.Warn, Warning{Task: t.Name, Message: "task " + t.Name + " " + c.reason, At: now})
}

package flow

import (
	"fmt"
	"time"
)

// Machine is the run machine of one run.
type Machine struct {
	plan    *Plan
	run     Run
	cells   []cell
	env     []string // of every task: the run's parameters
	secrets []string
	chosen  []bool // by the run's Select; nil: all

	// Counted over cells, so that no Apply has to.
	final  int
	active int
	failed int // counted failures of this round
	heldUp int // held

	due    []int32 // waiting cells whose needs have become final, to be settled
	timers timers
	ready  readyList
	fresh  bool // loaded, and nothing applied since: Ready and Kill are to be repeated

	out        Out
	runTouched bool
	rows       []int32 // cells whose rows are to be written
	swept      bool    // what had not started when the run began to end has been stopped
	culprit    int32   // the task whose failure came first in this round
}

// cell is one task run in memory. What it holds follows from the stored row
// and the last attempt, and the other way round.
type cell struct {
	phase     phase
	touched   bool // its row is to be written
	stored    bool // it has a row or an attempt
	released  bool // resumed on its own: starts even if the run is paused
	warned    bool // its attempt has run longer than its timeout, under action warn
	announced bool // in Ready, under a limit, and not yet placed
	unmet     int32
	number    int32
	retries   int32
	lost      int32
	round     int32 // that it last took part in

	generation Generation
	wake       time.Time // with phase delayed or retrying
	finished   time.Time
	cause      Cause
	reason     string
	attempt    *Attempt // the last one; nil: none
}

// phase is the state of a cell, without what follows from the rest of the run.
type phase uint8

const (
	waiting    phase = iota // its needs are not final
	delayed                 // its needs are met; starts at wake
	open                    // may start, if the run lets it
	retrying                // opens at wake
	dispatched              // see TaskState from here on
	running
	held
	stopped
	failed
	skipped
	succeeded
)

func (p phase) final() bool  { return p >= stopped }
func (p phase) active() bool { return p == dispatched || p == running }

// New returns the machine of a run that nothing has happened to yet. It starts
// with Begin.
func New(p *Plan, r Run) *Machine { return Load(p, r, nil, nil) }

// Load returns the machine of a run as it is stored, whatever its state. rows
// are all its task-run rows; last has at least the last attempt of each task
// run. Apply it once soon, a Tick if nothing else: only then are ready tasks
// and pending kills announced.
func Load(p *Plan, r Run, rows []TaskRun, last []Attempt) *Machine {
	m := &Machine{plan: p, run: r, cells: make([]cell, len(p.workflow.Tasks)), chosen: p.selected(r.Select)}
	m.env, m.secrets = environmentOf(p.workflow, r.Params)
	for i := range last {
		c := &m.cells[m.indexOf(last[i].Task)]
		if c.attempt == nil || c.attempt.Generation < last[i].Generation {
			a := last[i]
			c.attempt = &a
			c.implied(&a)
		}
	}
	for i := range rows {
		c := &m.cells[m.indexOf(rows[i].Task)]
		c.stored = true
		if c.attempt == nil || rows[i].Generation >= c.attempt.Generation {
			c.load(&rows[i])
		}
	}
	m.ready.limit = p.workflow.Parallel
	m.derive()
	for len(m.due) > 0 {
		m.assume(m.nextDue())
	}
	m.fresh = !r.State.Final()
	return m
}

func (m *Machine) indexOf(task string) int32 {
	i, ok := m.plan.index[task]
	if !ok {
		panic(fmt.Sprintf("flow: run %s has rows of task %q, which version %d of workflow %s does not have", m.run.ID, task, m.run.Version, m.run.Workflow))
	}
	return i
}

// implied is what an attempt says if no row counts.
func (c *cell) implied(a *Attempt) {
	c.stored = true
	c.generation, c.number, c.round = a.Generation, int32(a.Number), int32(a.Round)
	c.retries, c.lost = int32(a.Retries), int32(a.Lost)
	switch a.State {
	case AttemptDispatched:
		c.phase = dispatched
	case AttemptRunning:
		c.phase = running
	case AttemptSucceeded:
		c.phase, c.finished = succeeded, a.Finished.Wall
	case AttemptFailed: // Apply writes a row with this and with those below
		c.phase, c.reason, c.finished = failed, a.Reason, a.Finished.Wall
	case AttemptStopped:
		c.phase, c.reason, c.finished = stopped, a.Reason, a.Finished.Wall
	case AttemptLost, AttemptBuried:
		c.phase = waiting
	}
}

// load takes a row that counts.
func (c *cell) load(r *TaskRun) {
	c.generation, c.number, c.round = r.Generation, int32(r.Number), int32(r.Round)
	c.retries, c.lost = int32(r.Retries), int32(r.Lost)
	c.cause, c.reason, c.wake, c.finished = r.Cause, r.Reason, r.WakeAt, r.FinishedAt
	switch r.State {
	case TaskWaiting, TaskPaused:
		c.phase = waiting
		if !r.WakeAt.IsZero() {
			c.phase = delayed
		}
	case TaskReady:
		c.phase, c.released = waiting, true
	case TaskRetrying:
		c.phase = retrying
	case TaskDispatched, TaskRunning:
		c.warned = c.attempt != nil && !c.attempt.State.Final()
	case TaskHeld:
		c.phase = held
	case TaskStopped:
		c.phase = stopped
	case TaskFailed:
		c.phase = failed
	case TaskSkipped:
		c.phase = skipped
	case TaskSucceeded:
		c.phase = succeeded
	}
}

// row is what load takes back.
func (m *Machine) row(i int32) TaskRun {
	c := &m.cells[i]
	r := TaskRun{
		Run: m.run.ID, Task: m.plan.workflow.Tasks[i].Name,
		Cause: c.cause, Reason: c.reason,
		Generation: c.generation, Number: int(c.number), Retries: int(c.retries), Lost: int(c.lost),
		Round: int(c.round), FinishedAt: c.finished,
	}
	switch c.phase {
	case waiting, open:
		r.State = TaskWaiting
		if c.released {
			r.State = TaskReady
		}
	case delayed:
		r.State, r.WakeAt = TaskWaiting, c.wake
	case retrying:
		r.State, r.WakeAt = TaskRetrying, c.wake
	case dispatched:
		r.State = TaskDispatched
	case running:
		r.State = TaskRunning
	case held:
		r.State = TaskHeld
	case stopped:
		r.State = TaskStopped
	case failed:
		r.State = TaskFailed
	case skipped:
		r.State = TaskSkipped
	case succeeded:
		r.State = TaskSucceeded
	}
	return r
}

// derive counts again what follows from the cells, and finds those whose needs
// are final.
func (m *Machine) derive() {
	m.final, m.active, m.failed, m.heldUp = 0, 0, 0, 0
	m.due, m.timers = nil, nil
	for i := range m.cells {
		// What is left out has no row: it follows its needs, in every round.
		if c := &m.cells[i]; c.phase == skipped && m.leftOut(int32(i)) {
			c.phase = waiting
		}
	}
	for i := range m.cells {
		c := &m.cells[i]
		c.unmet = 0
		for _, need := range m.plan.needs.of(int32(i)) {
			if !m.cells[need].phase.final() {
				c.unmet++
			}
		}
		m.count(int32(i), 1)
		if c.phase == waiting && c.unmet == 0 && m.run.State != RunQueued {
			m.due = append(m.due, int32(i))
		}
		m.watch(int32(i))
	}
	m.swept = m.ending() || m.run.State == RunStopping
}

// assume is what has become of a cell whose needs are final and whose row says
// nothing: had it been decided otherwise there would be a row.
func (m *Machine) assume(i int32) {
	if m.leftOut(i) {
		m.become(i, skipped)
		return
	}
	m.become(i, open)
}

// become changes the phase of a cell, keeps the counts, and finds those that
// were waiting for it.
func (m *Machine) become(i int32, to phase) {
	c := &m.cells[i]
	from := c.phase
	m.count(i, -1)
	c.phase = to
	m.count(i, 1)
	if from == open {
		m.ready.leave(c)
	}
	if to == open {
		m.ready.add(m, i)
	}
	if from.final() || !to.final() {
		return
	}
	for _, s := range m.plan.next.of(i) {
		next := &m.cells[s]
		if next.unmet--; next.unmet == 0 && next.phase == waiting {
			m.due = append(m.due, s)
		}
	}
}

// count adds a cell to, or takes it from, the counts.
func (m *Machine) count(i int32, by int) {
	switch c := &m.cells[i]; c.phase {
	case dispatched, running:
		m.active += by
	case held:
		m.heldUp += by
	case failed:
		m.final += by
		if m.counts(i) && int(c.round) == m.run.Round {
			m.failed += by
		}
	case stopped, skipped, succeeded:
		m.final += by
	case waiting, delayed, open, retrying:
	}
}

// counts reports whether a task's failure is also the run's.
func (m *Machine) counts(i int32) bool { return !m.plan.workflow.Tasks[i].AllowFailure }

func (m *Machine) nextDue() int32 {
	i := m.due[0]
	if m.due = m.due[1:]; len(m.due) == 0 {
		m.due = nil
	}
	return i
}

// leftOut reports whether a task takes no part in the run.
func (m *Machine) leftOut(i int32) bool {
	return m.plan.workflow.Tasks[i].Disabled || m.chosen != nil && !m.chosen[i] && !m.cells[i].stored
}

// ending reports whether the run comes to its end because a task has failed.
func (m *Machine) ending() bool { return m.failed > 0 && m.plan.workflow.OnFailure == End }

// killing reports whether what runs is to be ended.
func (m *Machine) killing() bool {
	switch m.run.State {
	case RunStopping:
		return true
	case RunRunning, RunPausing, RunPaused:
		return m.ending()
	case RunQueued, RunStopped, RunFailed, RunSucceeded:
	}
	return false
}

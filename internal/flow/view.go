package flow

import "time"

// View is what there is to see of a task run.
type View struct {
	Name       string
	State      TaskState
	Cause      Cause
	Reason     string // of what is final, held or retrying, or runs longer than it should
	Outputs    Outputs
	StartedAt  time.Time // of its last attempt, if that belongs to the present outcome
	FinishedAt time.Time // zero unless final
	Generation Generation
	Number     int       // of its last attempt; 0: none
	Retries    int       // spent in this round
	WakeAt     time.Time // end of a delay
}

// Run returns the run's row as it would be stored now.
func (m *Machine) Run() Run { return m.run }

// Active returns how many attempts are on workers, or on their way there.
func (m *Machine) Active() int { return m.active }

// Task returns the definition of task i.
func (m *Machine) Task(i int) *Task { return &m.plan.workflow.Tasks[i] }

// TaskNamed returns a definition by name; nil if there is none.
func (m *Machine) TaskNamed(name string) *Task {
	i, ok := m.plan.index[name]
	if !ok {
		return nil
	}
	return &m.plan.workflow.Tasks[i]
}

// Attempt returns the last attempt of task i.
func (m *Machine) Attempt(i int) (Attempt, bool) {
	if a := m.cells[i].attempt; a != nil {
		return *a, true
	}
	return Attempt{}, false
}

// ActiveRefs names the attempts that are on workers, or on their way there, in
// the order of the definition.
func (m *Machine) ActiveRefs() []Ref {
	if m.active == 0 {
		return nil
	}
	refs := make([]Ref, 0, m.active)
	for i := range m.cells {
		if c := &m.cells[i]; c.phase.active() {
			refs = append(refs, Ref{m.name(int32(i)), c.generation, c.attempt.Node})
		}
	}
	return refs
}

// Killing returns what has been asked to end and has not: to be repeated to a
// worker that may have missed it.
func (m *Machine) Killing() []Kill {
	if !m.killing() {
		return nil
	}
	var kills []Kill
	for _, ref := range m.ActiveRefs() {
		kills = append(kills, Kill{Ref: ref, Reason: m.run.Reason})
	}
	return kills
}

// Views returns what there is to see, in the order of the definition.
func (m *Machine) Views() []View {
	views := make([]View, len(m.cells))
	for i := range views {
		views[i] = m.View(i)
	}
	return views
}

// View returns what there is to see of task i.
func (m *Machine) View(i int) View {
	c := &m.cells[i]
	v := View{
		Name: m.name(int32(i)), State: m.state(int32(i)), Cause: c.cause, Reason: c.reason,
		Outputs: m.outputs(int32(i)), FinishedAt: c.finished,
		Generation: c.generation, Number: int(c.number), Retries: int(c.retries), WakeAt: c.wake,
	}
	if c.phase == skipped && c.cause == CauseNone {
		v.Cause, v.Reason = m.omission(int32(i))
	}
	if m.attempted(c) {
		v.StartedAt = c.attempt.Started.Wall
	}
	return v
}

// omission says why a task takes no part in the run.
func (m *Machine) omission(i int32) (Cause, string) {
	if m.plan.workflow.Tasks[i].Disabled {
		return CauseDisabled, "disabled in the workflow"
	}
	return CauseUnselected, "not selected when the run was started"
}

// state is the state of a task run: its phase, and what follows from the run.
func (m *Machine) state(i int32) TaskState {
	switch m.cells[i].phase {
	case waiting, delayed:
		return TaskWaiting
	case open:
		paused := m.run.State == RunPausing || m.run.State == RunPaused
		if paused && !m.cells[i].released {
			return TaskPaused
		}
		return TaskReady
	case retrying:
		return TaskRetrying
	case dispatched:
		return TaskDispatched
	case running:
		return TaskRunning
	case held:
		return TaskHeld
	case stopped:
		return TaskStopped
	case failed:
		return TaskFailed
	case skipped:
		return TaskSkipped
	case succeeded:
		return TaskSucceeded
	}
	panic("flow: run " + string(m.run.ID) + ": phase of " + m.name(i) + " is not one of them")
}

// attempted reports whether the state of a cell is about its last attempt, and
// not about a later round in which there was none.
func (m *Machine) attempted(c *cell) bool {
	return c.attempt != nil && c.attempt.Round == int(c.round)
}

// outputs are those of the attempt that gave a task run its outcome.
func (m *Machine) outputs(i int32) Outputs {
	c := &m.cells[i]
	if !c.phase.final() || !m.attempted(c) {
		return nil
	}
	return c.attempt.Outputs
}

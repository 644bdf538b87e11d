package flow

import "fmt"

// Check returns the first invariant that does not hold; nil if all do. It
// walks over the whole run: for tests and the simulator.
func (m *Machine) Check() error {
	recount := Machine{plan: m.plan, run: m.run, cells: m.cells}
	for i := range int32(len(m.cells)) {
		recount.count(i, 1)
		if err := m.checkCell(i); err != nil {
			return fmt.Errorf("run %s is %s: task %s is %s: %w", m.run.ID, m.run.State, m.name(i), m.state(i), err)
		}
	}
	counts := func(m *Machine) [4]int { return [4]int{m.final, m.active, m.failed, m.heldUp} }
	if got, want := counts(m), counts(&recount); got != want {
		return fmt.Errorf("run %s: final, active, failed, held are counted as %v, they are %v", m.run.ID, got, want)
	}
	if err := m.checkRun(); err != nil {
		return fmt.Errorf("run %s is %s: %w", m.run.ID, m.run.State, err)
	}
	return nil
}

func (m *Machine) checkRun() error {
	all := m.final == len(m.cells)
	announced := 0
	for i := range m.cells {
		if m.cells[i].announced {
			announced++
		}
	}
	switch {
	case m.run.State.Final() != all:
		return fmt.Errorf("%d of %d tasks are final", m.final, len(m.cells))
	case m.run.State.Final() == m.run.FinishedAt.IsZero():
		return fmt.Errorf("finished_at is %v", m.run.FinishedAt)
	case m.run.State == RunPaused && m.active > 0:
		return fmt.Errorf("%d tasks are active", m.active)
	case m.run.State == RunPausing && m.active == 0:
		return fmt.Errorf("nothing is active")
	case m.ready.limit > 0 && m.active > m.ready.limit:
		return fmt.Errorf("%d tasks are active, the limit is %d", m.active, m.ready.limit)
	case m.ready.limit > 0 && m.active+m.ready.announced > m.ready.limit:
		return fmt.Errorf("%d tasks are active and %d announced, the limit is %d", m.active, m.ready.announced, m.ready.limit)
	case announced != m.ready.announced:
		return fmt.Errorf("%d tasks are announced, counted as %d", announced, m.ready.announced)
	case len(m.due) > 0:
		return fmt.Errorf("%d tasks are not settled", len(m.due))
	case len(m.rows) > 0 || m.runTouched:
		return fmt.Errorf("rows were not handed over")
	}
	return nil
}

func (m *Machine) checkCell(i int32) error {
	c := &m.cells[i]
	unmet := int32(0)
	for _, need := range m.plan.needs.of(i) {
		if !m.cells[need].phase.final() {
			unmet++
		}
	}
	attempt := c.attempt != nil && !c.attempt.State.Final()
	switch {
	case c.unmet != unmet:
		return fmt.Errorf("%d needs are counted as not final, %d are", c.unmet, unmet)
	case c.phase == waiting && unmet == 0 && m.run.State != RunQueued:
		return fmt.Errorf("its needs are final, and nothing was decided")
	case c.phase != waiting && c.phase != stopped && int(c.round) == m.run.Round && unmet > 0:
		return fmt.Errorf("%d of its needs are not final", unmet)
	case c.phase.active() && !attempt:
		return fmt.Errorf("no attempt of it is")
	case !c.phase.active() && attempt:
		return fmt.Errorf("attempt %d is %s", c.attempt.Number, c.attempt.State)
	case c.attempt != nil && c.attempt.Generation != c.generation:
		return fmt.Errorf("its generation is %d, its attempt's %d", c.generation, c.attempt.Generation)
	case c.attempt == nil && c.generation != 0:
		return fmt.Errorf("its generation is %d without an attempt", c.generation)
	case (c.phase == delayed || c.phase == retrying) == c.wake.IsZero():
		return fmt.Errorf("wake_at is %v", c.wake)
	case c.released && c.phase != open:
		return fmt.Errorf("it is released")
	case m.killing() && m.swept && !c.phase.active() && !c.phase.final() && !m.leftOut(i):
		return fmt.Errorf("the run is ending")
	case c.touched:
		return fmt.Errorf("its row was not handed over")
	}
	return nil
}

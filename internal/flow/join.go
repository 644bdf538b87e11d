package flow

// joined is what a join makes of a task's needs: it runs, or it is skipped, and
// why.
type joined struct {
	skip   bool
	cause  Cause
	reason string
}

// fate is what a final need means to those that need it.
type fate uint8

const (
	good fate = iota // it succeeded, or counts as if it had
	bad              // it failed, was stopped, or was not run for that
	none             // it was skipped
)

func (m *Machine) fate(i int32) fate {
	c := &m.cells[i]
	switch c.phase {
	case succeeded:
		return good
	case failed:
		if m.counts(i) {
			return bad
		}
		return good
	case stopped:
		return bad
	case skipped:
		switch {
		case c.cause == CauseUpstream:
			return bad
		case m.leftOut(i):
			return good
		}
		return none
	case waiting, delayed, open, retrying, dispatched, running, held:
	}
	panic("flow: run " + string(m.run.ID) + ": " + m.name(i) + " is needed and not final: " + string(m.state(i)))
}

// join applies a task's join to its needs, all of which are final.
func (m *Machine) join(i int32) joined {
	needs := m.plan.needs.of(i)
	var counts [3]int
	var first [3]int32
	for _, need := range needs {
		f := m.fate(need)
		if counts[f] == 0 {
			first[f] = need
		}
		counts[f]++
	}
	upstream := func() joined {
		return joined{true, CauseUpstream, "not run: " + m.name(first[bad]) + " " + m.mishap(first[bad])}
	}
	spread := func() joined {
		return joined{true, CauseSpread, "not run: " + m.name(first[none]) + " was skipped"}
	}
	switch m.plan.workflow.Tasks[i].Join {
	case "", JoinNoneFailed:
		switch {
		case counts[bad] > 0:
			return upstream()
		case counts[good] == 0 && len(needs) > 0:
			return spread()
		}
	case JoinAllSucceeded:
		switch {
		case counts[bad] > 0:
			return upstream()
		case counts[none] > 0:
			return spread()
		}
	case JoinAllDone:
	case JoinAnyFailed:
		if counts[bad] == 0 {
			return joined{true, CauseCondition, "not run: nothing that it needs failed"}
		}
	}
	return joined{}
}

// mishap says what became of a need that did not go well.
func (m *Machine) mishap(i int32) string {
	switch c := &m.cells[i]; {
	case c.phase == failed:
		return "failed"
	case c.phase == stopped:
		return "was stopped"
	}
	return "was not run"
}

package flow

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// namesShown bounds how many tasks a sentence names.
const namesShown = 3

// Explain says in one sentence why a task run is where it is. False: there is
// no such task.
func (m *Machine) Explain(task string) (string, bool) {
	i, ok := m.plan.index[task]
	if !ok {
		return "", false
	}
	return m.explain(i), true
}

func (m *Machine) explain(i int32) string {
	c := &m.cells[i]
	t := &m.plan.workflow.Tasks[i]
	switch c.phase {
	case waiting:
		if m.run.State == RunQueued {
			return "waiting for the run to begin"
		}
		return m.waitingFor(i)
	case delayed:
		return "starts after a delay, at " + clock(c.wake)
	case open:
		return m.explainOpen(i)
	case retrying:
		if c.lost > 0 {
			return fmt.Sprintf("%s; %d were lost in a row, the next one starts at %s", c.reason, c.lost, clock(c.wake))
		}
		return fmt.Sprintf("retry %d of %d at %s: %s", c.retries, t.Retry.Limit, clock(c.wake), c.reason)
	case dispatched:
		return fmt.Sprintf("attempt %d is on its way to node %s", c.number, c.attempt.Node) + m.beingKilled()
	case running:
		text := fmt.Sprintf("attempt %d runs on node %s", c.number, c.attempt.Node)
		if c.warned {
			text += ", and " + c.reason
		}
		return text + m.beingKilled()
	case held:
		return fmt.Sprintf("held: the outcome of attempt %d on node %s is unknown; resume or stop it", c.number, c.attempt.Node)
	case stopped, failed:
		return fmt.Sprintf("%s: %s", m.state(i), c.reason)
	case skipped:
		return m.View(int(i)).Reason
	case succeeded:
		text := "succeeded"
		if c.number > 1 {
			text += fmt.Sprintf(" in attempt %d", c.number)
		}
		if c.reason != "" {
			text += ": " + c.reason
		}
		return text
	}
	panic("flow: run " + string(m.run.ID) + ": phase of " + t.Name + " is not one of them")
}

func (m *Machine) explainOpen(i int32) string {
	if m.state(i) == TaskPaused {
		return "paused with the run"
	}
	if l := m.ready.limit; l > 0 && m.active >= l {
		return fmt.Sprintf("ready: the run is limited to %s at once, %d are active", plural(l, "task run", "task runs"), m.active)
	}
	if reason := m.cells[i].reason; reason != "" {
		return "ready for another attempt, waiting for a free slot: " + reason
	}
	return "ready: all its needs are met, waiting for a free slot"
}

func (m *Machine) beingKilled() string {
	if m.killing() {
		return "; it is being killed: " + m.run.Reason
	}
	return ""
}

// waitingFor names the needs that are not final.
func (m *Machine) waitingFor(i int32) string {
	needs := m.plan.needs.of(i)
	var open []int32
	for _, need := range needs {
		if !m.cells[need].phase.final() {
			open = append(open, need)
		}
	}
	text := "waiting for " + m.names(open)
	if len(needs) > 1 {
		text += fmt.Sprintf(" (%d of %d needs are not final)", len(open), len(needs))
	}
	return text
}

func (m *Machine) name(i int32) string { return m.plan.workflow.Tasks[i].Name }

// names lists tasks: "a", "a and b", "a, b and c", "a, b and 7 more".
func (m *Machine) names(tasks []int32) string {
	var parts []string
	for k, i := range tasks {
		if k == namesShown-1 && len(tasks) > namesShown {
			parts = append(parts, fmt.Sprintf("%d more", len(tasks)-k))
			break
		}
		parts = append(parts, m.name(i))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// counted says "2 tasks failed: load and publish".
func (m *Machine) counted(tasks []int32, one, many string) string {
	verb := many
	if len(tasks) == 1 {
		verb = one
	}
	return plural(len(tasks), "task", "tasks") + " " + verb + ": " + m.names(tasks)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func number(n int) string { return strconv.Itoa(n) }

// clock is a time of day as people read it.
func clock(t time.Time) string { return t.Format("15:04:05") }

// span is a duration as people write it: 10m, not 10m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// size is that of a terminal, in cells.
type size struct{ width, height int }

const (
	indentMax  = 8 // levels of the DAG that are indented; a deeper one stays there
	nameMin    = 12
	spanCells  = 7
	barMax     = 40
	frameLines = 3 // the head, the counts of what is left out, the bar
)

// frame draws the run for a terminal of the given size: at most one line less
// than its height, so that the cursor has a place of its own, and no line
// wider than it.
func (v *view) frame(s size, now time.Time, st style) []string {
	beat := int(now.UnixMilli() / 100)
	var lines []string
	if s.height > 2 {
		lines = append(lines, v.head(now, st))
	}
	if room := s.height - 1 - frameLines; room > 0 {
		lines = append(lines, v.rows(s.width, room, now, st, beat)...)
	}
	lines = append(lines, v.foot(s.width, now, st))
	for i := range lines {
		lines[i] = fit(lines[i], s.width)
	}
	return lines
}

func (v *view) head(now time.Time, st style) string {
	name := fmt.Sprintf("%s v%d", oneLine(v.run.Workflow), v.run.Version)
	line := fmt.Sprintf("%s  %s  %s", st.bold(name), st.run(v.run.State), span(v.elapsed(now)))
	line += "  " + st.dim("run "+oneLine(string(v.run.ID)))
	if v.run.Reason != "" {
		line += "  " + oneLine(v.run.Reason)
	}
	return line
}

// rows are the lines of tasks: all of them where there is room, else those
// that matter most, and the counts of the rest.
func (v *view) rows(width, room int, now time.Time, st style, beat int) []string {
	shown := make([]int, 0, min(len(v.tasks), room))
	var rest tally
	indent := len(v.tasks) <= room+1 // the line of counts is free then
	if indent {
		for i := range v.tasks {
			shown = append(shown, i)
		}
	} else {
		shown, rest = v.choose(room)
	}
	columns := v.columns(shown, width, indent)
	lines := make([]string, 0, len(shown)+1)
	for _, i := range shown {
		level := 0
		if indent {
			level = v.levels[i]
		}
		lines = append(lines, v.row(i, level, columns, now, st, beat))
	}
	if rest != nil {
		lines = append(lines, st.dim("  and ")+rest.words(st))
	}
	return lines
}

// urgency orders task runs by what somebody who watches wants to see first.
func urgency(state flow.TaskState) int {
	switch state {
	case flow.TaskFailed:
		return 0
	case flow.TaskHeld:
		return 1
	case flow.TaskRunning:
		return 2
	case flow.TaskRetrying:
		return 3
	case flow.TaskPaused, flow.TaskDispatched:
		return 4
	case flow.TaskStopped:
		return 5
	case flow.TaskReady:
		return 6
	case flow.TaskWaiting:
		return 7
	case flow.TaskSucceeded:
		return 8
	case flow.TaskSkipped:
		return 9
	}
	return 0
}

const urgencies = 10

// failedShare bounds how much of the room failed tasks may take while others
// are active: with a thousand failures one still sees what runs.
const failedShare = 2

// choose picks the task runs to show, in the order of the DAG, and counts the
// others.
func (v *view) choose(room int) (shown []int, rest tally) {
	var ranked [urgencies][]int
	for i := range v.tasks {
		if u := urgency(v.tasks[i].State); len(ranked[u]) < room {
			ranked[u] = append(ranked[u], i)
		}
	}
	failed := ranked[0]
	others := 0
	for _, tasks := range ranked[1:6] {
		others += len(tasks)
	}
	if most := max(room/failedShare, room-others); len(failed) > most {
		ranked[0] = failed[:most]
	}
	for _, tasks := range ranked {
		shown = append(shown, tasks[:min(len(tasks), room-len(shown))]...)
	}
	slices.Sort(shown)
	rest = tally{}
	for state, n := range v.counts {
		rest[state] = n
	}
	for _, i := range shown {
		rest[v.tasks[i].State]--
	}
	return shown, rest
}

// columns are the widths of a row's parts.
type columns struct{ name, reason int }

func (v *view) columns(shown []int, width int, indent bool) columns {
	widest := nameMin
	for _, i := range shown {
		w := lipgloss.Width(oneLine(v.tasks[i].Name))
		if indent {
			w += indentOf(v.levels[i])
		}
		widest = max(widest, w)
	}
	name := min(widest, max(nameMin, width/2))
	return columns{name: name, reason: width - 2 - name - 2 - spanCells - 2}
}

func indentOf(level int) int { return 2 * min(level, indentMax) }

// row is one task run: glyph, name, time, and what there is to say about it.
func (v *view) row(task, level int, c columns, now time.Time, st style, beat int) string {
	t := &v.tasks[task]
	name := pad(fit(strings.Repeat(" ", indentOf(level))+oneLine(t.Name), c.name), c.name)
	var took string
	if t.State.Final() || t.State == flow.TaskRunning {
		took = between(t.StartedAt, t.FinishedAt, now)
	}
	line := fmt.Sprintf("%s %s  %s", st.task(t.State, st.glyph(t.State, beat)), name, st.dim(padLeft(took, spanCells)))
	said := remark(t)
	if said == "" && t.State == flow.TaskWaiting {
		said = v.awaited(task)
	}
	if said != "" && c.reason > 0 {
		line += "  " + st.remark(t.State, fit(said, c.reason))
	}
	return strings.TrimRight(line, " ")
}

// remark is the state where its glyph alone is not clear, the attempt from the
// second on, and the reason.
func remark(t *api.TaskSnapshot) string {
	var parts []string
	switch t.State {
	case flow.TaskRunning, flow.TaskSucceeded, flow.TaskWaiting, flow.TaskDispatched, flow.TaskReady:
	case flow.TaskRetrying, flow.TaskPaused, flow.TaskStopped, flow.TaskFailed, flow.TaskSkipped, flow.TaskHeld:
		parts = append(parts, string(t.State))
	}
	if t.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", t.Attempt))
	}
	head := strings.Join(parts, ", ")
	reason := oneLine(t.Reason)
	switch {
	case head == "":
		return reason
	case reason == "":
		return head
	}
	return head + ": " + reason
}

// awaited names what a waiting task waits for, as far as that is other tasks.
func (v *view) awaited(task int) string {
	const most = 3
	var names []string
	open := 0
	for _, need := range v.needs[task] {
		if v.tasks[need].State.Final() {
			continue
		}
		if open++; open <= most {
			names = append(names, oneLine(v.tasks[need].Name))
		}
	}
	switch {
	case open == 0:
		return ""
	case open > most:
		names = append(names, fmt.Sprintf("%d more", open-most))
	}
	return "waiting for " + strings.Join(names, ", ")
}

// foot is the bar with the counts.
func (v *view) foot(width int, now time.Time, st style) string {
	total, final := v.counts.total(), v.counts.final()
	percent := 0
	if total > 0 {
		percent = 100 * final / total
	}
	said := fmt.Sprintf("%d/%d  %d%%", final, total, percent)
	cells := min(barMax, width-lipgloss.Width(said)-2)
	line := said
	if cells >= 8 {
		line = st.bar(v.counts, cells) + "  " + said
	}
	active := tally{}
	for _, state := range []flow.TaskState{flow.TaskFailed, flow.TaskHeld, flow.TaskRunning, flow.TaskRetrying} {
		active[state] = v.counts[state]
	}
	if words := active.words(st); words != "" {
		line += "  " + words
	}
	return line
}

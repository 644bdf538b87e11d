package main

import (
	"fmt"
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/semel-dev/semel/internal/flow"
)

// style says how much a terminal can show. The zero style is plain ASCII-safe
// text without colour.
type style struct {
	color   bool
	unicode bool
}

func (s style) paint(c color.Color, text string) string {
	if !s.color || text == "" {
		return text
	}
	return lipgloss.NewStyle().Foreground(c).Render(text)
}

func (s style) dim(text string) string { return s.paint(lipgloss.BrightBlack, text) }

func (s style) bold(text string) string {
	if !s.color || text == "" {
		return text
	}
	return lipgloss.NewStyle().Bold(true).Render(text)
}

// spinner turns while something runs: eight frames, so that a glance tells a
// live view from a frozen one.
var spinner = []string{"⣷", "⣯", "⣟", "⡿", "⢿", "⣻", "⣽", "⣾"}

// glyph is one cell for a state; beat moves what is active.
func (s style) glyph(state flow.TaskState, beat int) string {
	fancy, plain := taskGlyph(state)
	if !s.unicode {
		return plain
	}
	if state == flow.TaskRunning && s.color {
		return spinner[beat%len(spinner)]
	}
	return fancy
}

func taskGlyph(state flow.TaskState) (fancy, plain string) {
	switch state {
	case flow.TaskWaiting:
		return "·", "."
	case flow.TaskReady:
		return "○", "o"
	case flow.TaskDispatched:
		return "◌", ">"
	case flow.TaskRunning:
		return "●", "*"
	case flow.TaskRetrying:
		return "↻", "r"
	case flow.TaskPaused:
		return "⏸", "="
	case flow.TaskStopped:
		return "■", "#"
	case flow.TaskFailed:
		return "✗", "x"
	case flow.TaskSkipped:
		return "↷", "-"
	case flow.TaskSucceeded:
		return "✓", "+"
	case flow.TaskHeld:
		return "‖", "H"
	}
	return "?", "?" // a server that is newer than this client
}

func taskColor(state flow.TaskState) color.Color {
	switch state {
	case flow.TaskWaiting, flow.TaskSkipped:
		return lipgloss.BrightBlack
	case flow.TaskReady, flow.TaskDispatched:
		return lipgloss.Cyan
	case flow.TaskRunning:
		return lipgloss.BrightBlue
	case flow.TaskRetrying, flow.TaskPaused, flow.TaskHeld, flow.TaskStopped:
		return lipgloss.Yellow
	case flow.TaskFailed:
		return lipgloss.Red
	case flow.TaskSucceeded:
		return lipgloss.Green
	}
	return lipgloss.NoColor{}
}

func (s style) task(state flow.TaskState, text string) string {
	return s.paint(taskColor(state), text)
}

// remark paints what there is to say about a task run: loud where somebody has
// to act.
func (s style) remark(state flow.TaskState, text string) string {
	if state == flow.TaskFailed || state == flow.TaskHeld {
		return s.task(state, text)
	}
	return s.dim(text)
}

func (s style) run(state flow.RunState) string {
	text := oneLine(string(state))
	switch state {
	case flow.RunQueued:
		return s.dim(text)
	case flow.RunRunning:
		return s.paint(lipgloss.BrightBlue, text)
	case flow.RunPausing, flow.RunPaused, flow.RunStopping, flow.RunStopped:
		return s.paint(lipgloss.Yellow, text)
	case flow.RunFailed:
		return s.paint(lipgloss.Red, text)
	case flow.RunSucceeded:
		return s.paint(lipgloss.Green, text)
	}
	return text
}

// bar is a progress bar of so many cells, a stretch for each state that has
// something to show. Whatever has happened shows at least one cell.
func (s style) bar(t tally, cells int) string {
	total := t.total()
	if total == 0 || cells < 1 {
		return ""
	}
	var b strings.Builder
	used := 0
	for _, state := range barStates {
		n := t[state]
		if n == 0 {
			continue
		}
		width := max(1, n*cells/total)
		if t.final() == total && state == t.lastFinal() {
			width = cells - used // a finished bar has no gap from rounding
		}
		width = min(width, cells-used)
		used += width
		full, ascii := "█", "#"
		if !state.Final() {
			full, ascii = "▒", "="
		}
		if !s.unicode {
			full = ascii
		}
		b.WriteString(s.task(state, strings.Repeat(full, width)))
	}
	empty := "░"
	if !s.unicode {
		empty = "."
	}
	b.WriteString(s.dim(strings.Repeat(empty, cells-used)))
	return b.String()
}

// barStates are the states that fill a bar, from its left end.
var barStates = []flow.TaskState{
	flow.TaskSucceeded, flow.TaskSkipped, flow.TaskFailed, flow.TaskStopped,
	flow.TaskHeld, flow.TaskRetrying, flow.TaskRunning, flow.TaskDispatched,
}

// allStates are all states in the order in which counts are named.
var allStates = []flow.TaskState{
	flow.TaskFailed, flow.TaskHeld, flow.TaskRunning, flow.TaskDispatched, flow.TaskRetrying, flow.TaskPaused,
	flow.TaskReady, flow.TaskWaiting, flow.TaskStopped, flow.TaskSkipped, flow.TaskSucceeded,
}

// tally counts task runs by state.
type tally map[flow.TaskState]int

func (t tally) total() int {
	sum := 0
	for _, n := range t {
		sum += n
	}
	return sum
}

func (t tally) final() int {
	sum := 0
	for state, n := range t {
		if state.Final() {
			sum += n
		}
	}
	return sum
}

// lastFinal is the last state of a bar whose task runs are all final.
func (t tally) lastFinal() flow.TaskState {
	var last flow.TaskState
	for _, state := range barStates {
		if state.Final() && t[state] > 0 {
			last = state
		}
	}
	return last
}

// words names what there is, as "2 running, 5 waiting".
func (t tally) words(s style) string {
	var words []string
	for _, state := range allStates {
		if n := t[state]; n > 0 {
			words = append(words, s.task(state, fmt.Sprintf("%d %s", n, state)))
		}
	}
	return strings.Join(words, ", ")
}

package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// oneLine makes a text safe to stand in a line of a terminal: whoever wrote a
// workflow or an error must not move the cursor.
func oneLine(text string) string { return strings.TrimSpace(printable(text)) }

// printable is oneLine with the spaces at both ends.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
}

// fit cuts a text to a width in terminal cells.
func fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(text, width, "…")
}

// pad fills a text up to a width in terminal cells.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// padLeft puts a text at the right end of a width.
func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-lipgloss.Width(text))) + text
}

// span writes a duration as people read it, in at most seven cells.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0ms"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	const day = 24 * time.Hour
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}

// between is the time from start to end, or to now while there is no end;
// empty before the start.
func between(start, end *time.Time, now time.Time) string {
	if start == nil {
		return ""
	}
	if end == nil {
		return span(now.Sub(*start))
	}
	return span(end.Sub(*start))
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// clock is a moment in the reader's own time zone.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// clockOf is clock, or nothing before the moment has come.
func clockOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return clock(*t)
}

package main

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// table lays out cells in columns. The last column takes what is left of the
// width and is cut there; a width of zero cuts nothing, for pipes.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

const columnGap = "  "

// lines are the table's lines, the head dimmed. A table without rows has none.
func (t *table) lines(width int, st style) []string {
	if len(t.rows) == 0 {
		return nil
	}
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	lines := []string{st.dim(t.line(t.head, widths, width))}
	for _, row := range t.rows {
		lines = append(lines, t.line(row, widths, width))
	}
	return lines
}

func (t *table) line(cells []string, widths []int, width int) string {
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString(columnGap)
		}
		if i < len(cells)-1 {
			cell = pad(cell, widths[i])
		}
		b.WriteString(cell)
	}
	line := strings.TrimRight(b.String(), " ")
	if width > 0 {
		line = fit(line, width)
	}
	return line
}

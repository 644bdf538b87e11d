package main

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// terminal understands just what screen writes, and shows what stands there.
type terminal struct {
	width  int
	rows   [][]rune
	row    int
	column int
	hidden bool
}

func (t *terminal) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; r {
		case '\n':
			t.row, t.column = t.row+1, 0
		case '\r':
			t.column = 0
		case '\x1b':
			end := i + 2
			for text[end] < '@' {
				end++
			}
			t.control(string(text[i+2:end]), text[end])
			i = end
		default:
			if t.column == t.width {
				t.row, t.column = t.row+1, 0
			}
			t.cell(r)
		}
	}
	return len(p), nil
}

func (t *terminal) cell(r rune) {
	for len(t.rows) <= t.row {
		t.rows = append(t.rows, nil)
	}
	for len(t.rows[t.row]) <= t.column {
		t.rows[t.row] = append(t.rows[t.row], ' ')
	}
	t.rows[t.row][t.column] = r
	t.column++
}

func (t *terminal) control(parameters string, final rune) {
	switch final {
	case 'A':
		n, err := strconv.Atoi(parameters)
		if err != nil {
			panic("cursor up by " + parameters)
		}
		t.row = max(0, t.row-n)
	case 'K', 'J':
		if t.row < len(t.rows) {
			t.rows[t.row] = t.rows[t.row][:min(t.column, len(t.rows[t.row]))]
			if final == 'J' {
				t.rows = t.rows[:t.row+1]
			}
		}
	case 'm': // colour
	case 'h', 'l':
		t.hidden = final == 'l'
	default:
		panic("unknown control " + parameters + string(final))
	}
}

// narrow wraps what stands there, as terminals do when a window shrinks.
func (t *terminal) narrow(width int) {
	var rows [][]rune
	for i, row := range t.rows {
		if i == t.row {
			t.row = len(rows)
		}
		for len(row) > width {
			rows, row = append(rows, row[:width]), row[width:]
		}
		rows = append(rows, row)
	}
	if t.row >= len(t.rows) {
		t.row = len(rows)
	}
	t.rows, t.width = rows, width
}

func (t *terminal) lines() []string {
	var lines []string
	for _, row := range t.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func (t *terminal) want(tb testing.TB, lines ...string) {
	tb.Helper()
	if got := t.lines(); !slices.Equal(got, lines) {
		tb.Errorf("the terminal shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func TestScreen_RedrawsInPlace(t *testing.T) {
	term := &terminal{width: 20}
	s := newScreen(term, func() size { return size{term.width, 10} })
	s.draw([]string{"head", "aaaa", "bbbb"})
	s.draw([]string{"head2", "cc"})
	term.want(t, "head2", "cc")
	s.above("a log line\n")
	s.draw([]string{"head3", "dd", "ee"})
	term.want(t, "a log line", "head3", "dd", "ee")
	if !term.hidden {
		t.Error("the cursor jumps about while the view is redrawn")
	}
	s.close()
	term.want(t, "a log line")
	if term.hidden {
		t.Error("the cursor was not given back")
	}
}

func TestScreen_SurvivesANarrowerTerminal(t *testing.T) {
	term := &terminal{width: 20}
	s := newScreen(term, func() size { return size{term.width, 10} })
	s.above("before")
	s.draw([]string{"0123456789abcdef", "short"})
	term.narrow(8)
	s.draw([]string{"01234567", "short"})
	term.want(t, "before", "01234567", "short")
}

func TestScreen_LogsGoAbove(t *testing.T) {
	term := &terminal{width: 40}
	s := newScreen(term, func() size { return size{term.width, 10} })
	s.draw([]string{"view"})
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := s.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	s.draw([]string{"view"})
	term.want(t, "one", "two", "view")
}

func TestRedirect(t *testing.T) {
	var r redirect
	var first, second bytes.Buffer
	for _, to := range []*bytes.Buffer{&first, &second} {
		r.set(to)
		if _, err := r.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != "x" || second.String() != "x" {
		t.Errorf("got %q and %q, want one x in each", first.String(), second.String())
	}
}

package main

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"charm.land/lipgloss/v2"
)

// screen redraws a few lines at the lower end of a terminal in place. What is
// printed above them scrolls as usual, so that nothing that was said is lost.
type screen struct {
	size func() size

	mu     sync.Mutex
	to     io.Writer
	widths []int // of the lines that stand there
}

const (
	cursorHide = "\x1b[?25l"
	cursorShow = "\x1b[?25h"
	lineClear  = "\x1b[K"
	restClear  = "\x1b[J"
)

func newScreen(to io.Writer, size func() size) *screen { return &screen{to: to, size: size} }

// draw replaces what stands there.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	b.WriteString(cursorHide)
	s.rewindLocked(&b)
	s.widths = s.widths[:0]
	for _, line := range lines {
		b.WriteString(line + lineClear + "\n")
		s.widths = append(s.widths, lipgloss.Width(line))
	}
	b.WriteString(restClear)
	_, _ = io.WriteString(s.to, b.String()) // a terminal that has gone away needs no view
}

// above prints text that stays; the next draw comes below it.
func (s *screen) above(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	s.rewindLocked(&b)
	s.widths = s.widths[:0]
	b.WriteString(restClear + text)
	if !strings.HasSuffix(text, "\n") {
		b.WriteString("\n")
	}
	_, _ = io.WriteString(s.to, b.String())
}

// Write prints above the view: logs and warnings go through here.
func (s *screen) Write(p []byte) (int, error) {
	s.above(string(p))
	return len(p), nil
}

// close removes the view and gives the cursor back.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	s.rewindLocked(&b)
	s.widths = nil
	b.WriteString(restClear + cursorShow)
	_, _ = io.WriteString(s.to, b.String())
}

// rewindLocked goes to the beginning of what stands there. A terminal that
// became narrower since has wrapped it.
func (s *screen) rewindLocked(b *strings.Builder) {
	width := max(1, s.size().width)
	up := 0
	for _, w := range s.widths {
		up += max(1, (w+width-1)/width)
	}
	b.WriteString("\r")
	if up > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(up) + "A")
	}
}

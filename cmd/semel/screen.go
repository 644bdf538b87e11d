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
	s.wipeLocked(&b)
	b.WriteString(text)
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
	s.wipeLocked(&b)
	b.WriteString(cursorShow)
	_, _ = io.WriteString(s.to, b.String())
}

// wipeLocked clears what stands there and goes to its beginning. It goes line
// by line: some terminals take a screen that is cleared at once for worth
// keeping, and their history fills with old frames.
func (s *screen) wipeLocked(b *strings.Builder) {
	up := s.rewindLocked(b)
	b.WriteString(strings.Repeat(lineClear+"\n", up))
	s.upLocked(b, up)
	s.widths = s.widths[:0]
}

// rewindLocked goes to the beginning of what stands there, and says how many
// lines that is. A terminal that became narrower since has wrapped it.
func (s *screen) rewindLocked(b *strings.Builder) int {
	width := max(1, s.size().width)
	up := 0
	for _, w := range s.widths {
		up += max(1, (w+width-1)/width)
	}
	s.upLocked(b, up)
	return up
}

func (s *screen) upLocked(b *strings.Builder, lines int) {
	b.WriteString("\r")
	if lines > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(lines) + "A")
	}
}

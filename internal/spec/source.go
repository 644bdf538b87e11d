package spec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// source is the text of a file and where its lines begin.
type source struct {
	text  string
	lines []int // offset of each line's first byte
}

// newSource checks a file byte for byte before any parser sees it: what
// people cannot see in it must not be there.
func newSource(src []byte) (source, *fault) {
	if len(src) > sourceMax {
		return source{}, &fault{line: 1, column: 1, message: fmt.Sprintf("the file has %d bytes, at most %d are read", len(src), sourceMax)}
	}
	if wide(src) {
		return source{}, &fault{line: 1, column: 1, message: "the file is in UTF-16", hint: "save it as UTF-8"}
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	s := source{text: string(src), lines: lineStarts(src)}
	if separators(src) > separatorsMax {
		return s, &fault{line: 1, column: 1, message: fmt.Sprintf("the file has more than %d separate values", separatorsMax), hint: "split it into several workflows"}
	}
	for n, start := range s.lines {
		if start < len(src) && src[start] == '%' { // thousands of them take a parser minutes
			return s, &fault{line: n + 1, column: 1, message: "a line that begins with %", hint: "a workflow file has no YAML directives: remove it"}
		}
	}
	for i := 0; i < len(src); {
		c, size := utf8.DecodeRune(src[i:])
		if message, hint := unwelcome(c, size, src[i]); message != "" {
			line, column := s.position(i)
			return s, &fault{line: line, column: column, message: message, hint: hint}
		}
		i += size
	}
	return s, nil
}

// wide reports whether a file looks like UTF-16 or UTF-32.
func wide(src []byte) bool {
	if bytes.HasPrefix(src, []byte{0xfe, 0xff}) || bytes.HasPrefix(src, []byte{0xff, 0xfe}) {
		return true
	}
	if len(src) < 4 {
		return false
	}
	even, odd := src[0] == 0 && src[2] == 0, src[1] == 0 && src[3] == 0
	return even != odd
}

// unwelcome says why a character may not stand in a file, if so.
func unwelcome(c rune, size int, first byte) (message, hint string) {
	switch {
	case c == utf8.RuneError && size == 1:
		return fmt.Sprintf("byte 0x%02x is not UTF-8", first), "save the file as UTF-8"
	case c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c < 0x7f:
		return "", ""
	case c == 0:
		return "a NUL character", "no program can be given one: remove it"
	case c < ' ' || c >= 0x7f && c < 0xa0:
		return fmt.Sprintf("control character U+%04X", c), fmt.Sprintf(`remove it, or write "\x%02x" in double quotes`, c)
	case c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
		return fmt.Sprintf("character U+%04X reverses the order in which text is shown, so that it reads as what it is not", c), "remove it"
	case c == 0x2028 || c == 0x2029:
		return fmt.Sprintf("character U+%04X ends a line for YAML, but not on the screen", c), "remove it"
	case c == 0xfeff:
		return "byte order mark in the middle of the file", "remove it"
	case c == 0xfffe || c == 0xffff:
		return fmt.Sprintf("U+%04X is not a character", c), "remove it"
	}
	return "", ""
}

// separators counts what can begin a new YAML value.
func separators(src []byte) int {
	n := 0
	for _, c := range []string{"\n", "\r", ",", ":", "[", "{", "- "} {
		n += bytes.Count(src, []byte(c))
	}
	return n
}

// lineStarts finds the lines as YAML does: after LF, CR or both.
func lineStarts(src []byte) []int {
	starts := []int{0}
	for i, c := range src {
		if c == '\n' || c == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// position is the line and column, both from 1, of an offset.
func (s source) position(offset int) (line, column int) {
	low, high := 0, len(s.lines)
	for high-low > 1 {
		if mid := (low + high) / 2; s.lines[mid] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	return low + 1, utf8.RuneCountInString(s.text[s.lines[low]:offset]) + 1
}

// line is the text of a line, from 1, without its end; empty beyond the file.
func (s source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n]
	}
	return strings.TrimRight(s.text[s.lines[n-1]:end], "\r\n")
}

// from is the rest of a line from a column on, both from 1.
func (s source) from(line, column int) string {
	text := s.line(line)
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
	}
	return text
}

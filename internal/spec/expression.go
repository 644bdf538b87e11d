package spec

import (
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/param"
)

// offset is where in a text the fault is that a message is about: where the
// compiler of expressions says, or where the text has the name that the
// message has in quotes. Compiling is dear, so flow.Validate does it once, and
// only what is wrong is compiled here again. 0: nowhere that can be told.
func offset(v value, message string) int {
	if !v.scalar() {
		return 0
	}
	text := v.node.Value
	var fault *param.Error
	if _, err := param.CompileText(text); errors.As(err, &fault) && fault.Message == message {
		return fault.Offset
	}
	bare := unwrapped(text)
	if _, err := param.CompileCondition(bare); errors.As(err, &fault) && fault.Message == message {
		return fault.Offset + strings.Index(text, bare)
	}
	_, rest, _ := strings.Cut(message, `"`)
	name, _, ok := strings.Cut(rest, `"`)
	if !ok || name == "" {
		return 0
	}
	for _, as := range []string{"params." + name, "tasks." + name, `["` + name + `"]`, "['" + name + "']"} {
		if i := strings.Index(text, as); i >= 0 {
			return i
		}
	}
	return 0
}

// unwrapped is a condition without the ${{ }} that may stand around all of it.
func unwrapped(text string) string {
	bare := strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(bare, "${{"); ok {
		if inner, ok = strings.CutSuffix(inner, "}}"); ok && !strings.Contains(inner, "${{") {
			return strings.TrimSpace(inner)
		}
	}
	return bare
}

// inside is the position of an offset in a text, where the file has the text
// as it is. Where it does not (escapes, folded lines), it is the start of the
// text.
func (r *reader) inside(n *yaml.Node, offset int) (line, column int) {
	offset = min(max(offset, 0), len(n.Value))
	before := n.Value[:offset]
	if n.Style&yaml.LiteralStyle != 0 {
		return r.insideBlock(n, before)
	}
	quotes := 0
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		quotes = 1
	}
	rest := r.source.from(n.Line, n.Column)
	if len(rest) >= quotes && strings.HasPrefix(rest[quotes:], before) && !strings.Contains(before, "\n") {
		return n.Line, n.Column + quotes + utf8.RuneCountInString(before)
	}
	return n.Line, n.Column
}

// insideBlock is the same for a text after |, whose lines stand in the file as
// they are, behind an indentation.
func (r *reader) insideBlock(n *yaml.Node, before string) (line, column int) {
	line = n.Line + 1 + strings.Count(before, "\n")
	begin := strings.LastIndexByte(before, '\n') + 1
	text, _, _ := strings.Cut(n.Value[begin:], "\n")
	indent, ok := strings.CutSuffix(r.source.line(line), text)
	if !ok || strings.TrimLeft(indent, " ") != "" {
		return n.Line, n.Column
	}
	return line, len(indent) + utf8.RuneCountInString(before[begin:]) + 1
}

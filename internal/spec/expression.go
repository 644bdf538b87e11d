package spec

import (
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/param"
)

// expressions compiles every text that may hold expressions, to say where in
// the text a fault is. Whether the names in it exist is for flow.Validate.
func (r *reader) expressions() {
	type source struct {
		text      string
		condition bool
	}
	checked := map[source]*param.Error{} // compiling costs 50 us; generated files repeat themselves
	for _, t := range r.texts {
		key := source{t.text, t.condition}
		fault, known := checked[key]
		if !known {
			fault = compile(t)
			checked[key] = fault
		}
		if fault == nil {
			continue
		}
		offset := fault.Offset
		if t.condition {
			offset += max(strings.Index(t.node.Value, t.text), 0) // what it was unwrapped from
		}
		line, column := r.inside(t.node, offset)
		r.faults = append(r.faults, Error{File: r.file, Line: line, Column: column, Field: t.path.String(), Message: fault.Message})
	}
}

func compile(t expressionText) *param.Error {
	var err error
	if t.condition {
		_, err = param.CompileCondition(t.text)
	} else {
		_, err = param.CompileText(t.text)
	}
	var fault *param.Error
	if err != nil && !errors.As(err, &fault) {
		fault = &param.Error{Message: err.Error()}
	}
	return fault
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

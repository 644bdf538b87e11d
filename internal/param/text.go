package param

import (
	"fmt"
	"strings"
)

// The bounds of a text with expressions.
const (
	expressionsMax       = 256     // in one text: each costs some 50 us to compile
	expressionBytesMax   = 4 << 10 // of one expression's source
	textBytesMax         = 1 << 20 // of a text once evaluated
	expressionShownRunes = 60      // of an expression in a message
)

// The marks of an expression in a text. The escaped form stands for a literal
// opening mark. A shell's own ${VAR}, $(command) and {{ }} are none of them.
const (
	markOpen    = "${{"
	markEscaped = "$${{"
	markClose   = "}}"
)

// Text is a text with expressions in it, ready to be evaluated. It is never
// changed, and may be shared.
type Text struct {
	pieces []piece
}

// piece is a literal, or an expression.
type piece struct {
	literal    string
	expression *expression // nil: a literal
	offset     int         // of the literal's, or of the expression's, first byte in the text
}

// CompileText reads a text. The error is an *Error.
func CompileText(text string) (*Text, error) {
	pieces, fault := cut(text)
	if fault != nil {
		return nil, fault
	}
	for i, p := range pieces {
		if p.expression == nil {
			continue
		}
		e, fault := compileExpression(p.expression.source)
		if fault != nil {
			return nil, fault.moved(p.offset)
		}
		pieces[i].expression = e
	}
	return &Text{pieces: pieces}, nil
}

// cut cuts a text into its pieces; the expressions are not compiled yet.
func cut(text string) ([]piece, *Error) {
	var pieces []piece
	var literal strings.Builder
	start, expressions := 0, 0
	flush := func(next int) {
		if literal.Len() > 0 {
			pieces = append(pieces, piece{literal: literal.String(), offset: start})
			literal.Reset()
		}
		start = next
	}
	for i := 0; i < len(text); {
		next := strings.IndexByte(text[i:], '$')
		if next < 0 {
			literal.WriteString(text[i:])
			break
		}
		literal.WriteString(text[i : i+next])
		i += next
		switch {
		case strings.HasPrefix(text[i:], markEscaped):
			literal.WriteString(markOpen)
			i += len(markEscaped)
		case strings.HasPrefix(text[i:], markOpen):
			length, fault := expressionEnd(text[i:])
			if fault != nil {
				return nil, fault.moved(i)
			}
			if expressions++; expressions > expressionsMax {
				return nil, &Error{i, fmt.Sprintf("more than %d expressions in one text: split it", expressionsMax)}
			}
			end := i + length
			flush(end)
			source := text[i+len(markOpen) : end-len(markClose)]
			pieces = append(pieces, piece{expression: &expression{source: source}, offset: i + len(markOpen)})
			i = end
		default:
			literal.WriteByte('$')
			i++
		}
	}
	flush(len(text))
	return pieces, nil
}

// expressionEnd returns the length of the expression that text begins with,
// marks included. A closing mark inside a string of the expression, or one
// that closes the expression's own braces, does not end it.
func expressionEnd(text string) (int, *Error) {
	braces := 0
	for i := len(markOpen); i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			length := stringEnd(text, i)
			if length < 0 {
				return 0, &Error{i, fmt.Sprintf("the string that starts here is never closed: add a %c", c)}
			}
			i += length
		case strings.HasPrefix(text[i:], "//"):
			i += commentEnd(text[i:])
		case c == '{':
			braces++
			i++
		case c == '}' && braces > 0:
			braces--
			i++
		case strings.HasPrefix(text[i:], markClose):
			return i + len(markClose), nil
		case c == '}':
			return 0, &Error{i, "unexpected }: an expression ends with }}"}
		default:
			i++
		}
		if i > len(markOpen)+expressionBytesMax {
			break
		}
	}
	if len(text) > len(markOpen)+expressionBytesMax {
		return 0, &Error{0, fmt.Sprintf("%s is not closed with }} within %d bytes", markOpen, expressionBytesMax)}
	}
	return 0, &Error{0, markOpen + " is never closed: add }}, or write $" + markOpen + " if it is meant literally"}
}

// stringEnd returns the length of the CEL string that starts at text[i], or -1
// if it is never closed.
func stringEnd(text string, i int) int {
	raw := i > 0 && text[i-1]|0x20 == 'r'
	quote := text[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], triple) {
		quote = triple
	}
	for j := i + len(quote); j < len(text); j++ {
		switch {
		case text[j] == '\\' && !raw:
			j++
		case strings.HasPrefix(text[j:], quote):
			return j + len(quote) - i
		case text[j] == '\n' && len(quote) == 1:
			return -1
		}
	}
	return -1
}

// commentEnd returns the length of a comment: to the end of the line, or of the
// expression.
func commentEnd(text string) int {
	for j := range len(text) {
		if text[j] == '\n' || strings.HasPrefix(text[j:], markClose) {
			return j
		}
	}
	return len(text)
}

// Constant reports whether there is no expression in the text.
func (t *Text) Constant() bool {
	for _, p := range t.pieces {
		if p.expression != nil {
			return false
		}
	}
	return true
}

// Refs returns the tasks and outputs that the text refers to, each once, in
// the order of their first mention.
func (t *Text) Refs() []Ref {
	var refs []Ref
	for _, p := range t.pieces {
		if p.expression != nil {
			refs = appendNew(refs, p.expression.refs)
		}
	}
	return refs
}

// Params returns the parameters that the text names, likewise.
func (t *Text) Params() []string {
	var names []string
	for _, p := range t.pieces {
		if p.expression != nil {
			names = appendNew(names, p.expression.params)
		}
	}
	return names
}

func appendNew[T comparable](to, items []T) []T {
	for _, item := range items {
		known := false
		for _, have := range to {
			known = known || have == item
		}
		if !known {
			to = append(to, item)
		}
	}
	return to
}

// Eval returns the text with every expression replaced by its value. Use it
// where the result is data. In scripts a value could become code: see Script
// and Literal. The error is an *Error.
func (t *Text) Eval(s *Scope) (string, error) {
	return t.build(func(p piece) (string, error) { return p.value(s) })
}

// build joins the pieces, each expression as insert writes it.
func (t *Text) build(insert func(piece) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		part := p.literal
		if p.expression != nil {
			inserted, err := insert(p)
			if err != nil {
				return "", err
			}
			part = inserted
		}
		if b.Len()+len(part) > textBytesMax {
			return "", &Error{p.offset, fmt.Sprintf("the text becomes longer than %d bytes", textBytesMax)}
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

// value evaluates the expression of a piece to text.
func (p piece) value(s *Scope) (string, error) {
	v, fault := p.expression.eval(s)
	if fault != nil {
		return "", fault.moved(p.offset)
	}
	text := Format(v)
	if len(text) > valueBytesMax {
		return "", &Error{p.offset, fmt.Sprintf("the value of %s is longer than %d bytes: put it in a file and pass its path", p.expression.shown(), valueBytesMax)}
	}
	if err := checkText(text); err != nil {
		return "", &Error{p.offset, fmt.Sprintf("the value of %s cannot be used: %v", p.expression.shown(), err)}
	}
	return text, nil
}

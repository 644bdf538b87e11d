//go:build !cel

package param

import "strings"

// expression is one expression of a text.
type expression struct {
	source string
	refs   []Ref
	params []string
}

// compileExpression refuses every expression: the module's requirements do not
// yet hold what CEL needs (go.mod), and a build must not break on it.
func compileExpression(source string) (*expression, *Error) {
	return nil, &Error{0, "expressions are not built in: the module requires more for " + source}
}

func (e *expression) mustBeBool() *Error { return nil }

func (e *expression) eval(*Scope) (any, *Error) {
	return nil, &Error{0, "expressions are not built in"}
}

func (e *expression) shown() string  { return markOpen + " " + oneLine(e.source) + " " + markClose }
func (e *expression) quoted() string { return "`" + oneLine(e.source) + "`" }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func describeKind(any) string { return "not decided" }

package param

import "strings"

// Condition is an expression that is true or false, ready to be evaluated. It
// is never changed, and may be shared.
type Condition struct {
	expression *expression
}

// CompileCondition reads a bare expression, without ${{ }}. The error is an
// *Error.
func CompileCondition(source string) (*Condition, error) {
	if at := strings.Index(source, markOpen); at >= 0 {
		return nil, &Error{at, "a condition is an expression already: write it without " + markOpen + " " + markClose}
	}
	e, fault := compileExpression(source)
	if fault != nil {
		return nil, fault
	}
	if fault := e.mustBeBool(); fault != nil {
		return nil, fault
	}
	return &Condition{expression: e}, nil
}

// Refs returns the tasks and outputs that the condition refers to, each once.
func (c *Condition) Refs() []Ref { return c.expression.refs }

// Params returns the parameters that the condition names, each once.
func (c *Condition) Params() []string { return c.expression.params }

// Eval decides. The error is an *Error.
func (c *Condition) Eval(s *Scope) (bool, error) {
	v, fault := c.expression.eval(s)
	if fault != nil {
		return false, fault
	}
	decided, ok := v.(bool)
	if !ok {
		return false, &Error{0, "the condition " + c.expression.quoted() + " is " + describeKind(v) + ", not true or false: compare it with something"}
	}
	return decided, nil
}

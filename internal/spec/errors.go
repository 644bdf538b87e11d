package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// errorsMax bounds how many faults one answer names: a person reads a few, and
// a hostile file must not turn each of its lines into a message.
const errorsMax = 100

// Error is one fault in a workflow file.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`            // from 1
	Column  int    `json:"column"`          // from 1, in characters
	Field   string `json:"field,omitempty"` // as tasks.load.needs[0]; empty: the file as a whole
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to write instead
}

// Error is the fault in one line.
func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Errors are all faults of a file, in the order of their positions.
type Errors []Error

// Error is the faults, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted puts faults in the order of their positions, drops repetitions (a
// fault in defaults shows in every task) and cuts the rest off.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	es = slices.CompactFunc(es, func(a, b Error) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
	if len(es) > errorsMax {
		more := len(es) - errorsMax
		last := es[errorsMax]
		es = append(es[:errorsMax:errorsMax], Error{
			File: last.File, Line: last.Line, Column: last.Column,
			Message: fmt.Sprintf("and %d more from here on: mend these first", more),
		})
	}
	return es
}

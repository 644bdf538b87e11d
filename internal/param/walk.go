package param

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// roots are the names an expression starts from.
var roots = []string{"params", "run", "task", "tasks"}

// walker collects what an expression refers to, and refuses what could not be
// known before it is evaluated: a workflow is checked when it is stored.
type walker struct {
	source string
	ast    *ast.AST
	refs   []Ref
	params []string
	fault  *Error
}

// step is one access by name or index: operand.key, operand["key"] or
// operand[index].
type step struct {
	operand ast.Expr
	key     string
	index   ast.Expr // nil: the key is written out
}

func stepOf(e ast.Expr) (step, bool) {
	if e.Kind() == ast.SelectKind {
		s := e.AsSelect()
		return step{operand: s.Operand(), key: s.FieldName()}, true
	}
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return step{}, false
	}
	args := e.AsCall().Args()
	if args[1].Kind() == ast.LiteralKind {
		if key, ok := args[1].AsLiteral().(types.String); ok {
			return step{operand: args[0], key: string(key)}, true
		}
	}
	return step{operand: args[0], index: args[1]}, true
}

// visit takes an expression and all below it.
func (w *walker) visit(e ast.Expr) {
	if w.fault != nil || w.reference(e) {
		return
	}
	switch e.Kind() {
	case ast.UnspecifiedExprKind, ast.LiteralKind:
	case ast.IdentKind:
		w.ident(e)
	case ast.SelectKind:
		w.visit(e.AsSelect().Operand())
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			w.visit(e.AsCall().Target())
		}
		for _, arg := range e.AsCall().Args() {
			w.visit(arg)
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.visit(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.visit(entry.AsMapEntry().Key())
			w.visit(entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		w.comprehension(e)
	case ast.StructKind:
		w.refuse(e, "messages cannot be made in an expression: use a map, {\"key\": value}")
	}
}

// reference takes e if it is an access that starts from a root, by names that
// are written out: the longest form first.
func (w *walker) reference(e ast.Expr) bool {
	last, ok := stepOf(e)
	if !ok {
		return false
	}
	if middle, ok := stepOf(last.operand); ok {
		if first, ok := stepOf(middle.operand); ok && isRoot(first.operand, "tasks") && first.index == nil {
			w.output(first.key, last)
			return true
		}
		if isRoot(middle.operand, "tasks") && middle.index == nil {
			w.refs = appendNew(w.refs, []Ref{{Task: middle.key}})
			return true
		}
	}
	switch {
	case isRoot(last.operand, "params"):
		if last.index == nil {
			w.params = appendNew(w.params, []string{last.key})
		} else {
			w.visit(last.index)
		}
		return true
	case isRoot(last.operand, "tasks"):
		if last.index == nil {
			w.refuse(e, fmt.Sprintf("a task is not a value: write tasks.%s.state or tasks.%[1]s.outputs.NAME", last.key))
		} else {
			w.refuse(e, "the name of a task must be written out: tasks.NAME or tasks[\"NAME\"]")
		}
		return true
	}
	return isRoot(last.operand, "run") || isRoot(last.operand, "task")
}

// output notes tasks.TASK.outputs.KEY.
func (w *walker) output(task string, last step) {
	if last.index == nil {
		w.refs = appendNew(w.refs, []Ref{{Task: task, Output: last.key}})
		return
	}
	w.refs = appendNew(w.refs, []Ref{{Task: task}})
	w.visit(last.index)
}

// ident refuses a root that stands alone, but for params, which is a map.
func (w *walker) ident(e ast.Expr) {
	switch e.AsIdent() {
	case "tasks":
		w.refuse(e, "tasks is not a value: write tasks.NAME.state or tasks.NAME.outputs.NAME")
	case "run":
		w.refuse(e, "run is not a value: write run.id or run.workflow")
	case "task":
		w.refuse(e, "task is not a value: write task.name or task.attempt")
	}
}

func (w *walker) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	for _, name := range []string{c.IterVar(), c.IterVar2()} {
		if slices.Contains(roots, name) {
			w.refuse(e, fmt.Sprintf("the name %s is taken: choose another for the items", name))
			return
		}
	}
	for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		w.visit(part)
	}
}

func (w *walker) refuse(e ast.Expr, message string) {
	if w.fault == nil {
		w.fault = &Error{Offset: offsetOf(w.source, w.ast, e), Message: message}
	}
}

func isRoot(e ast.Expr, name string) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == name
}

// offsetOf returns the byte at which an expression begins; CEL itself points at
// its dot or its operator.
func offsetOf(source string, tree *ast.AST, e ast.Expr) int {
	for {
		s, ok := stepOf(e)
		if !ok {
			break
		}
		e = s.operand
	}
	at, ok := tree.SourceInfo().GetOffsetRange(e.ID())
	if !ok {
		return 0
	}
	return byteOffset(source, int(at.Start))
}

// byteOffset turns an offset in characters into one in bytes.
func byteOffset(source string, characters int) int {
	for at := range source {
		if characters == 0 {
			return at
		}
		characters--
	}
	return len(source)
}

package param

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// resultItemsMax bounds the items of lists and maps in a result: values may
// share their parts, so that a small one unfolds to a huge one.
const resultItemsMax = 10_000

// expression is one CEL expression.
type expression struct {
	source  string
	program cel.Program
	checked *cel.Ast
	refs    []Ref
	params  []string
}

// compileExpression reads and checks an expression.
func compileExpression(source string) (*expression, *Error) {
	if strings.TrimSpace(source) == "" {
		return nil, &Error{0, "an expression is missing here"}
	}
	if len(source) > expressionBytesMax {
		return nil, &Error{0, fmt.Sprintf("the expression is %d bytes long, at most %d are allowed", len(source), expressionBytesMax)}
	}
	if !utf8.ValidString(source) {
		return nil, &Error{0, "the expression is not UTF-8"}
	}
	e := &expression{source: source}
	checked, issues := language.Compile(source)
	if issues.Err() != nil {
		return nil, translate(source, issues)
	}
	e.checked = checked
	w := walker{source: source, ast: checked.NativeRep()}
	w.visit(checked.NativeRep().Expr())
	if w.fault != nil {
		return nil, w.fault
	}
	e.refs, e.params = w.refs, w.params
	program, err := language.Program(checked, programOptions...)
	if err != nil {
		return nil, &Error{0, oneLine(err.Error())}
	}
	e.program = program
	return e, nil
}

// mustBeBool refuses what can be seen not to be true or false.
func (e *expression) mustBeBool() *Error {
	switch kind := e.checked.OutputType(); kind.Kind() {
	case types.BoolKind, types.DynKind, types.AnyKind:
		return nil
	default:
		return &Error{0, fmt.Sprintf("the condition %s is %s, not true or false: compare it with something", e.quoted(), kindName(kind))}
	}
}

// eval returns the value, of a type that Values allows, or nil for null.
func (e *expression) eval(s *Scope) (any, *Error) {
	view, fault := newView(e, s)
	if fault != nil {
		return nil, fault
	}
	result, _, err := e.program.Eval(view)
	if err != nil {
		return nil, e.explain(s, err)
	}
	items := resultItemsMax
	v, err := native(result, &items)
	if err != nil {
		return nil, &Error{e.start(), fmt.Sprintf("the value of %s cannot be used: %v", e.shown(), err)}
	}
	return v, nil
}

// start is the offset of the first byte that is not a space.
func (e *expression) start() int {
	return len(e.source) - len(strings.TrimLeft(e.source, " \t\r\n"))
}

// shown is the expression in a message about a text: short, and on one line.
func (e *expression) shown() string { return markOpen + " " + e.short() + " " + markClose }

// quoted is the expression in a message about a condition.
func (e *expression) quoted() string { return "`" + e.short() + "`" }

func (e *expression) short() string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, oneLine(e.source))
	if r := []rune(text); len(r) > expressionShownRunes {
		text = string(r[:expressionShownRunes]) + "..."
	}
	return text
}

// oneLine joins the lines of a text, and its runs of space.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// native returns what CEL computed in the types that Values allows.
func native(v ref.Val, items *int) (any, error) {
	if *items--; *items < 0 {
		return nil, fmt.Errorf("it has more than %d items", resultItemsMax)
	}
	switch value := v.(type) {
	case types.String:
		return string(value), nil
	case types.Int:
		return int64(value), nil
	case types.Double:
		return float64(value), nil
	case types.Bool:
		return bool(value), nil
	case types.Null:
		return nil, nil
	case types.Uint:
		if value > math.MaxInt64 {
			return nil, fmt.Errorf("%d does not fit in 64 bits with a sign", uint64(value))
		}
		return int64(value), nil
	case traits.Mapper:
		return nativeMap(value, items)
	case traits.Lister:
		return nativeList(value, items)
	}
	return nil, fmt.Errorf("it is of type %s: convert it with string()", v.Type().TypeName())
}

func nativeList(list traits.Lister, items *int) (any, error) {
	result := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item, err := nativeItem(it.Next(), items)
		if err != nil {
			return nil, err
		}
		result = append(result, item)
	}
	return result, nil
}

func nativeMap(m traits.Mapper, items *int) (any, error) {
	result := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		item, err := nativeItem(m.Get(key), items)
		if err != nil {
			return nil, err
		}
		name, err := native(key, items)
		if err != nil {
			return nil, err
		}
		result[Format(name)] = item
	}
	return result, nil
}

// nativeItem is native for what becomes part of JSON.
func nativeItem(v ref.Val, items *int) (any, error) {
	item, err := native(v, items)
	if f, ok := item.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
		return nil, fmt.Errorf("a number in it is not finite")
	}
	return item, err
}

// describeKind says what a result is.
func describeKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case int64:
		return "an int"
	case float64:
		return "a float"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	panic(fmt.Sprintf("param: no expression yields a %T", v))
}

// kindName says what an expression will yield, as far as can be seen.
func kindName(t *cel.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "a string"
	case types.IntKind, types.UintKind:
		return "an int"
	case types.DoubleKind:
		return "a float"
	case types.ListKind:
		return "a list"
	case types.MapKind:
		return "a map"
	case types.NullTypeKind:
		return "null"
	default:
		return "a " + t.TypeName()
	}
}

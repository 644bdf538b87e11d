package param

import (
	"fmt"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// The types of what is not a map, so that a wrong field is found when a
// workflow is checked, not when it runs.
const (
	typeUpstream = "upstream task"
	typeRun      = "run"
	typeTask     = "task"
)

// facts tells CEL of those types. All else comes from its own registry.
type facts struct{ *types.Registry }

var fields = map[string]map[string]*types.FieldType{
	typeUpstream: {
		"state":   field(types.StringType, func(u Upstream) any { return u.State }),
		"outputs": field(types.NewMapType(types.StringType, types.StringType), func(u Upstream) any { return u.Outputs }),
	},
	typeRun: {
		"id":       field(types.StringType, func(r RunFacts) any { return r.ID }),
		"workflow": field(types.StringType, func(r RunFacts) any { return r.Workflow }),
	},
	typeTask: {
		"name":    field(types.StringType, func(t TaskFacts) any { return t.Name }),
		"attempt": field(types.IntType, func(t TaskFacts) any { return int64(t.Attempt) }),
	},
}

func field[T any](t *types.Type, read func(T) any) *types.FieldType {
	return &types.FieldType{
		Type:  t,
		IsSet: func(any) bool { return true },
		GetFrom: func(v any) (any, error) {
			facts, ok := v.(T)
			if !ok {
				return nil, fmt.Errorf("it is a %T", v)
			}
			return read(facts), nil
		},
	}
}

// FindStructType implements types.Provider.
func (f facts) FindStructType(name string) (*types.Type, bool) {
	if _, ok := fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return f.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (f facts) FindStructFieldNames(name string) ([]string, bool) {
	if known, ok := fields[name]; ok {
		return sorted(known), true
	}
	return f.Registry.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (f facts) FindStructFieldType(name, of string) (*types.FieldType, bool) {
	if known, ok := fields[name]; ok {
		t, ok := known[of]
		return t, ok
	}
	return f.Registry.FindStructFieldType(name, of)
}

// NewValue implements types.Provider.
func (f facts) NewValue(name string, values map[string]ref.Val) ref.Val {
	if _, ok := fields[name]; ok {
		return types.NewErr("no %s can be made", name)
	}
	return f.Registry.NewValue(name, values)
}

// view is a scope as one expression sees it.
type view struct {
	scope *Scope
	tasks map[string]any
}

// newView takes what the expression refers to from the scope.
func newView(e *expression, s *Scope) (*view, *Error) {
	v := &view{scope: s}
	for _, r := range e.refs {
		up, ok := s.Tasks[r.Task]
		if !ok {
			continue // it may never be read; if it is, the message names what is there
		}
		for _, key := range sorted(up.Outputs) {
			if read := r.Output == "" || r.Output == key; read && len(up.Outputs[key]) > valueBytesMax {
				return nil, &Error{e.start(), fmt.Sprintf("output %s of task %s is %d bytes long, an expression takes at most %d: let the task write a file and pass its path", quoted(key), r.Task, len(up.Outputs[key]), valueBytesMax)}
			}
		}
		if v.tasks == nil {
			v.tasks = make(map[string]any, len(e.refs))
		}
		v.tasks[r.Task] = up
	}
	return v, nil
}

// ResolveName implements interpreter.Activation.
func (v *view) ResolveName(name string) (any, bool) {
	switch name {
	case "params":
		return map[string]any(v.scope.Params), true
	case "tasks":
		return v.tasks, true
	case "run":
		return v.scope.Run, true
	case "task":
		return v.scope.Task, true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (v *view) Parent() interpreter.Activation { return nil }

package spec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// validate adds what is wrong with a workflow as a whole: needs that do not
// exist, cycles, names that nobody may have, settings that a task type does
// not take. What reading has found already is not said twice.
func (r *reader) validate(root value, w *flow.Workflow) {
	problems := flow.Validate(w)
	for i := range w.Tasks {
		t := &w.Tasks[i]
		kind, ok := task.Lookup(t.Type)
		if !ok {
			panic(fmt.Sprintf("spec: the language has a key for the task type %q, which does not exist", t.Type))
		}
		for _, p := range kind.Check(t.Config) {
			problems = append(problems, flow.Problem{Path: append([]any{"tasks", t.Name, "config"}, settingPath(p.Field)...), Message: p.Message})
		}
	}
	known := newCoverage(r.faults)
	for _, p := range problems {
		at, exact := r.locate(root, p.Path)
		if none := len(p.Path) == 1 && p.Path[0] == "tasks"; known.has(at.path, exact && !none) { // no task may mean: none that could be read
			continue
		}
		line, column := at.node.Line, at.node.Column
		if i := offset(at, p.Message); exact && i > 0 {
			line, column = r.inside(at.node, i)
		}
		r.faults = append(r.faults, Error{File: r.file, Line: line, Column: column, Field: at.path.String(), Message: p.Message})
	}
}

// coverage is where reading has found faults: a value that could not be read
// is missing in the model, which is not a second fault.
type coverage struct {
	at    map[string]bool // the fields themselves
	below map[string]bool // and whatever they are part of
}

func newCoverage(faults Errors) coverage {
	c := coverage{at: map[string]bool{}, below: map[string]bool{}}
	for _, e := range faults {
		c.at[e.Field] = true
		c.below[""] = true
		for i := range e.Field {
			if e.Field[i] == '.' || e.Field[i] == '[' {
				c.below[e.Field[:i]] = true
			}
		}
		c.below[e.Field] = true
	}
	return c
}

// has reports whether a problem is a consequence of a fault: of one at the
// same place, or above it within the same task; or, where what is wrong does
// not stand in the file, of one below the place where it is missing.
func (c coverage) has(path *step, exact bool) bool {
	if !exact && c.below[path.String()] {
		return true
	}
	for s := path; s != nil; s = s.up {
		isTask := s.up != nil && s.up.up == nil && s.up.key == "tasks"
		if isTask && s != path {
			return false
		}
		if c.at[s.String()] {
			return true
		}
	}
	return false
}

// settingPath is the path of a setting as task types write it: "headers.Accept",
// "expect[1]".
func settingPath(field string) []any {
	if field == "" {
		return nil
	}
	if name, key, ok := strings.Cut(field, "."); ok {
		return []any{name, key}
	}
	name, rest, ok := strings.Cut(field, "[")
	if !ok {
		return []any{field}
	}
	index, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	if err != nil {
		panic(fmt.Sprintf("spec: a task type names its setting %q", field))
	}
	return []any{name, index}
}

// locate finds the place in the file that a path in the model is about, by the
// names that the file has for it. If the file does not have it, that is the
// key above it, and the place is not exact.
func (r *reader) locate(root value, path []any) (at value, exact bool) {
	if len(path) < 2 || path[0] != "tasks" {
		return deepest(root, path)
	}
	t, ok := r.index[fmt.Sprint(path[1])]
	if !ok {
		return deepest(root, path[:1])
	}
	rest := path[2:]
	if len(rest) == 0 {
		return value{node: t.start(), path: t.path}, true
	}
	all := spellings(rest)
	for i, spelling := range all {
		if found, ok := descend(t, spelling); ok && (i == 0 || found.scalar()) { // a short form is a scalar
			return found, true
		}
	}
	for _, spelling := range all {
		if found, ok := descend(root, append([]any{"defaults"}, spelling...)); ok {
			return found, true
		}
	}
	return deepest(t, all[0])
}

// deepest follows a path as far as the file goes.
func deepest(at value, path []any) (value, bool) {
	for _, p := range path {
		next, ok := descend(at, []any{p})
		if !ok {
			return value{node: at.start(), path: at.path}, false
		}
		at = next
	}
	return at, true
}

// spellings are the places in a file where a part of a task's model can stand,
// the likeliest first.
func spellings(rest []any) [][]any {
	var all [][]any
	switch {
	case rest[0] != "config":
		all = append(all, rest)
		if rest[0] == "retry" || rest[0] == "timeout" {
			all = append(all, rest[:1]) // retry: 3 is all of it
		}
	case len(rest) > 1 && rest[1] == "dir":
		return [][]any{{"dir"}}
	case len(rest) > 1 && rest[1] == "interpreter":
		all = append(all, append([]any{"shell"}, rest[2:]...), []any{"shell"})
	case len(rest) > 1 && rest[1] == "script":
		for _, i := range interpreters {
			all = append(all, []any{i.key})
		}
	case len(rest) > 1 && rest[1] == "for":
		return [][]any{{"sleep"}}
	default:
		all = append(all, append([]any{"http"}, rest[1:]...), append([]any{"noop"}, rest[1:]...))
	}
	last := all[0]
	if index, ok := last[len(last)-1].(int); ok && index == 0 {
		all = append(all, last[:len(last)-1]) // needs: a is a list of one
	}
	if rest[0] == "config" && len(rest) > 1 && rest[1] == "url" {
		all = append(all, []any{"http"}) // http: URL is all of it
	}
	return all
}

// descend follows a path through a file, quietly.
func descend(at value, path []any) (value, bool) {
	for _, p := range path {
		var ok bool
		switch p := p.(type) {
		case int:
			if !at.list() || p < 0 || p >= len(at.node.Content) {
				return value{}, false
			}
			at = value{node: follow(at.node.Content[p]), path: &step{up: at.path, index: p, list: true}}
		default:
			if at, ok = child(at, fmt.Sprint(p)); !ok {
				return value{}, false
			}
		}
	}
	return at, true
}

// child finds a key in a mapping, or in what is merged into it.
func child(at value, key string) (value, bool) {
	if !at.mapping() {
		return value{}, false
	}
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		if k := follow(at.node.Content[i]); k.Kind == yaml.ScalarNode && k.Tag != "!!merge" && k.Value == key {
			return value{node: follow(at.node.Content[i+1]), key: at.node.Content[i], path: &step{up: at.path, key: key}}, true
		}
	}
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		if follow(at.node.Content[i]).Tag != "!!merge" {
			continue
		}
		sources := []*yaml.Node{at.node.Content[i+1]}
		if list := follow(sources[0]); list.Kind == yaml.SequenceNode {
			sources = list.Content
		}
		for _, n := range sources {
			if found, ok := child(value{node: follow(n), path: at.path}, key); ok {
				return found, true
			}
		}
	}
	return value{}, false
}

package spec

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/flow"
)

// validate adds what is wrong with a workflow as a whole: needs that do not
// exist, cycles, names that nobody may have. What reading has found already is
// not said twice.
func (r *reader) validate(root value, w *flow.Workflow) {
	known := map[string]bool{}
	for _, e := range r.faults {
		known[e.Field] = true
	}
	for _, p := range problemsOf(w) {
		at := r.locate(root, p.Path)
		if r.covered(at.path, known) {
			continue
		}
		message, hint := p.Message, ""
		if i := strings.Index(message, ": "); i >= 0 && strings.HasPrefix(message[i+2:], "did you mean") {
			message, hint = message[:i], message[i+2:]
		}
		r.fault(at, message, hint)
	}
}

// covered reports whether a fault has been found at a path, or above it
// within the same task.
func (r *reader) covered(path *step, known map[string]bool) bool {
	for s := path; s != nil && s.up != nil; s = s.up {
		if inTask := s.up.up == nil && s.up.key == "tasks"; inTask && s != path {
			return false
		}
		if known[s.String()] {
			return true
		}
	}
	return path != nil && path.up == nil && known[path.String()]
}

// locate finds the place in the file that a path in the model is about: as
// far as the file has it, and by the names that the file has for it.
func (r *reader) locate(root value, path []any) value {
	if len(path) < 2 || path[0] != "tasks" {
		return r.deepest(root, path)
	}
	task, ok := r.index[fmt.Sprint(path[1])]
	if !ok {
		return r.deepest(root, path[:1])
	}
	rest := path[2:]
	if len(rest) == 0 {
		return value{node: task.start(), path: task.path}
	}
	for _, spelling := range spellings(rest) {
		if found, ok := descend(task, spelling); ok {
			return found
		}
	}
	if found, ok := descend(root, append([]any{"defaults"}, rest...)); ok {
		return found
	}
	return r.deepest(task, rest)
}

// deepest follows a path as far as the file goes; what is missing in the file
// is said about the key above it.
func (r *reader) deepest(at value, path []any) value {
	for _, p := range path {
		next, ok := descend(at, []any{p})
		if !ok {
			return value{node: at.start(), path: at.path}
		}
		at = next
	}
	return at
}

// spellings are the places in a file where a part of a task's model can stand.
func spellings(rest []any) [][]any {
	all := [][]any{rest}
	if len(rest) == 0 {
		return all
	}
	switch rest[0] {
	case "retry", "timeout":
		all = append(all, rest[:1]) // retry: 3 is all of it
	case "type", "slots":
		for _, key := range workKeys {
			all = append(all, []any{key})
		}
	case "config":
		for _, key := range workKeys {
			all = append(all, append([]any{key}, rest[1:]...))
		}
		if len(rest) > 1 && rest[1] == "dir" {
			all = append(all, []any{"dir"})
		}
		if len(rest) > 1 && rest[1] == "interpreter" {
			all = append(all, []any{"shell"})
		}
		for _, key := range workKeys {
			all = append(all, []any{key}) // a script, or a short form, is all of it
		}
	}
	if index, ok := rest[len(rest)-1].(int); ok && index == 0 {
		all = append(all, rest[:len(rest)-1]) // needs: a is a list of one
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

package spec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// value is a place in a file: a node, the key in front of it, and the path
// from the root. The node is never an alias.
type value struct {
	node *yaml.Node
	key  *yaml.Node // nil in a list and at the root
	path *step
}

// step is the last step of a path, and what leads to it. Most paths are never
// read, so they are texts only when somebody asks.
type step struct {
	up    *step
	key   string
	index int // in a list, where key is empty
	list  bool
}

// String is the path as a person writes it: tasks.load.needs[0].
func (s *step) String() string {
	var b strings.Builder
	s.write(&b)
	return b.String()
}

func (s *step) write(b *strings.Builder) {
	if s == nil {
		return
	}
	s.up.write(b)
	if s.list {
		fmt.Fprintf(b, "[%d]", s.index)
		return
	}
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	b.WriteString(keyText(s.key))
}

// keyText is a key in a path: in quotes where it would be misread, cut where
// it would flood.
func keyText(key string) string {
	for _, c := range key {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c < 0x80 {
			return quote(key)
		}
	}
	if key == "" || len(key) > quoteMax {
		return quote(key)
	}
	return key
}

// quote repeats a text from the file in a message.
func quote(text string) string {
	if r := []rune(text[:min(len(text), 4*quoteMax+4)]); len(r) > quoteMax {
		return strconv.Quote(string(r[:quoteMax])) + "..."
	}
	return strconv.Quote(text)
}

// kind is what a value is, in words.
func (v value) kind() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch v.node.Tag {
		case "!!null":
			return "nothing"
		case "!!bool", "!!int", "!!float":
			return v.node.Value
		}
		return "the text " + quote(v.node.Value)
	case yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
	}
	panic(fmt.Sprintf("spec: kind %d of a value at line %d", v.node.Kind, v.node.Line))
}

func (v value) null() bool    { return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null" }
func (v value) scalar() bool  { return v.node.Kind == yaml.ScalarNode && v.node.Tag != "!!null" }
func (v value) list() bool    { return v.node.Kind == yaml.SequenceNode }
func (v value) mapping() bool { return v.node.Kind == yaml.MappingNode }

// start is where a message about a value as a whole points: to its key.
func (v value) start() *yaml.Node {
	if v.key != nil {
		return v.key
	}
	return v.node
}

// items are the values of a list.
func (v value) items() []value {
	all := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		all[i] = value{node: follow(n), path: &step{up: v.path, index: i, list: true}}
	}
	return all
}

// follow is what an alias stands for. The gauge has made sure that it ends.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// entry is a key of a mapping and its value.
type entry struct {
	key string
	value
	unread bool   // the table does not know the key, or it has no value
	meant  string // what an unknown key was probably meant to be
}

// entries are the keys of a mapping in the order of the file, those of merged
// mappings last. A key of its own is stronger than a merged one, and an
// earlier merged mapping stronger than a later one.
func (r *reader) entries(v value) []entry {
	all := make([]entry, 0, len(v.node.Content)/2)
	seen := make(map[string]*yaml.Node, len(v.node.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, n := follow(v.node.Content[i]), v.node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.add(key, v.path, "a key is a list or a mapping", "a key is a text")
			continue
		}
		if key.Tag == "!!merge" {
			merges = append(merges, n)
			continue
		}
		e := entry{key: key.Value, value: value{node: follow(n), key: v.node.Content[i], path: &step{up: v.path, key: key.Value}}}
		if first, twice := seen[key.Value]; twice {
			r.add(e.value.key, e.path, fmt.Sprintf("the key %s stands here twice, first in line %d", quote(key.Value), first.Line), "remove one of them")
			continue
		}
		seen[key.Value] = key
		all = append(all, e)
	}
	for _, n := range merges {
		for _, m := range r.merged(v, n) {
			if seen[m.key] == nil {
				seen[m.key] = m.value.key
				all = append(all, m)
			}
		}
	}
	return all
}

// merged are the entries that a merge key << brings in.
func (r *reader) merged(v value, n *yaml.Node) []entry {
	from := follow(n)
	switch from.Kind {
	case yaml.MappingNode:
		return r.entries(value{node: from, path: v.path})
	case yaml.SequenceNode:
		var all []entry
		for _, child := range from.Content {
			if follow(child).Kind != yaml.MappingNode {
				r.add(child, v.path, "<< brings in mappings only", "write <<: [*a, *b]")
				continue
			}
			all = append(all, r.entries(value{node: follow(child), path: v.path})...)
		}
		return all
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode, yaml.StreamNode:
	}
	r.add(n, v.path, "<< brings in a mapping", "write <<: *name, where &name is a mapping")
	return nil
}

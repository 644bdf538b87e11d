package spec

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// fault is an error whose file and field are still to be added.
type fault struct {
	line, column  int
	message, hint string
}

// load makes the one document of a file a tree of nodes, within the limits.
func load(s source) (*yaml.Node, *fault) {
	loader, err := yaml.NewLoader(strings.NewReader(s.text), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(depthMax))))
	if err != nil {
		panic(fmt.Sprintf("spec: yaml loader: %v", err))
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, &fault{line: 1, column: 1, message: "the file is empty", hint: "a workflow has at least a name and tasks"}
	} else if err != nil {
		return nil, syntaxFault(s, err)
	}
	var second yaml.Node
	if err := loader.Load(&second); err == nil {
		return nil, &fault{line: second.Line, column: second.Column, message: "a second document begins here", hint: "one file holds one workflow"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxFault(s, err)
	}
	root := doc.Content[0]
	if f := newGauge().check(root); f != nil {
		return nil, f
	}
	return root, nil
}

// syntaxFault says in a workflow author's words what the YAML parser found.
func syntaxFault(s source, err error) *fault {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return &fault{line: 1, column: 1, message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	f := &fault{line: max(e.Mark.Line, 1), column: max(e.Mark.Column, 1)}
	opened := func() { f.line, f.column = max(e.ContextMark.Line, 1), max(e.ContextMark.Column, 1) }
	next := s.from(f.line, f.column)
	switch {
	case strings.HasPrefix(e.Message, "exceeded max depth"):
		f.message, f.hint = fmt.Sprintf("nested deeper than %d levels", depthMax), "no workflow needs that"
	case strings.HasPrefix(e.Message, "unknown anchor"):
		name := strings.TrimSuffix(strings.TrimPrefix(e.Message, "unknown anchor '"), "' referenced")
		f.message, f.hint = fmt.Sprintf("no anchor &%s stands before this alias", name), "put a text that begins with * in quotes"
	case strings.HasPrefix(strings.TrimLeft(next, " "), "\t"):
		f.message, f.hint = "a tab indents this line", "YAML indents by spaces only"
	case strings.Contains(e.Message, "cannot start any token") && next != "":
		f.message, f.hint = fmt.Sprintf("a value cannot begin with %c", []rune(next)[0]), "put it in quotes"
	case strings.HasPrefix(e.Message, "mapping values are not allowed"):
		f.message, f.hint = "a colon where none can be", "put a text that holds a colon and a space in quotes; or look for a missing colon, or wrong indentation, in the line above"
	case strings.Contains(e.ContextMsg, "quoted scalar") && strings.Contains(e.Message, "end of"):
		opened()
		f.message, f.hint = "this quote is not closed", "add the same quote at the end of the text"
	case strings.HasSuffix(e.Message, "',' or ']'"):
		opened()
		f.message, f.hint = "this list is not closed, or a comma is missing in it", "write [a, b]"
	case strings.HasSuffix(e.Message, "',' or '}'"):
		opened()
		f.message, f.hint = "this mapping is not closed, or a comma is missing in it", "write {a: b, c: d}"
	case strings.Contains(e.Message, "expected ':'"):
		f.message, f.hint = "a key without a colon", `write "key: value"`
	case e.Message == "did not find expected key" || e.Message == "did not find expected '-' indicator":
		f.message, f.hint = "this does not belong to the lines above it", "check the indentation, and the quotes, of this line and the one before"
	default:
		f.message = "not YAML: " + e.Message
	}
	return f
}

// gauge measures what a tree becomes once its aliases are replaced by what
// they stand for: a few lines can stand for billions of values.
type gauge struct {
	sizes map[*yaml.Node]size // of what an anchor names; absent while inside it
	total size                // of all aliases so far
}

type size struct{ nodes, bytes, depth int }

func newGauge() *gauge { return &gauge{sizes: map[*yaml.Node]size{}} }

// check finds the first value that is over a limit.
func (g *gauge) check(root *yaml.Node) *fault {
	_, f := g.measure(root)
	return f
}

func (g *gauge) measure(n *yaml.Node) (size, *fault) {
	if n.Kind == yaml.AliasNode {
		return g.alias(n)
	}
	if f := checkNode(n); f != nil {
		return size{}, f
	}
	all := size{nodes: 1, bytes: len(n.Value), depth: 1}
	for _, child := range n.Content {
		s, f := g.measure(child)
		if f != nil {
			return size{}, f
		}
		all.nodes += s.nodes
		all.bytes += s.bytes
		all.depth = max(all.depth, s.depth+1)
	}
	if all.depth > depthMax+1 {
		return size{}, at(n, fmt.Sprintf("nested deeper than %d levels, with its aliases", depthMax), "no workflow needs that")
	}
	if n.Anchor != "" {
		g.sizes[n] = all
	}
	return all, nil
}

// alias adds what an alias stands for. Its anchor stands before it, so it has
// been measured already, unless the alias stands inside its own anchor.
func (g *gauge) alias(n *yaml.Node) (size, *fault) {
	s, known := g.sizes[n.Alias]
	if !known {
		return size{}, at(n, fmt.Sprintf("the alias *%s stands inside its own anchor", n.Value), "a value cannot hold itself")
	}
	g.total.nodes += s.nodes
	g.total.bytes += s.bytes
	if g.total.nodes > aliasNodesMax || g.total.bytes > sourceMax {
		return size{}, at(n, fmt.Sprintf("the aliases of this file stand for more than %d values or %d bytes", aliasNodesMax, sourceMax), "put what all tasks share under defaults")
	}
	return s, nil
}

// checkNode is what holds for a value whatever its place.
func checkNode(n *yaml.Node) *fault {
	if len(n.Value) > textMax {
		return at(n, fmt.Sprintf("a text of %d bytes, at most %d are allowed", len(n.Value), textMax), "keep a long script in a file of its own and call it")
	}
	if i := strings.IndexByte(n.Value, 0); i >= 0 {
		return at(n, "a text with a NUL character", "no program can be given one: remove it")
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str" {
		return at(n, fmt.Sprintf("the tag %s has no meaning here", quote(n.Tag)), "remove it")
	}
	return nil
}

func at(n *yaml.Node, message, hint string) *fault {
	return &fault{line: n.Line, column: n.Column, message: message, hint: hint}
}

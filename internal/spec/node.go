package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// builder is a mapping that is being written.
type builder struct{ node *yaml.Node }

func mapping() builder { return builder{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

func (b builder) add(key string, n *yaml.Node) {
	k := textNode(key)
	if k.Style == yaml.LiteralStyle {
		k.Style = yaml.DoubleQuotedStyle // a block cannot be a key
	}
	b.node.Content = append(b.node.Content, k, n)
}

func (b builder) text(key, text string) { b.add(key, textNode(text)) }

func (b builder) textIf(key, text string) {
	if text != "" {
		b.text(key, text)
	}
}

func (b builder) flagIf(key string, set bool) {
	if set {
		b.add(key, plain("!!bool", "true"))
	}
}

func (b builder) durationIf(key string, d, unsaid time.Duration) {
	if d != unsaid {
		b.text(key, formatDuration(d))
	}
}

func (b builder) textsIf(key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, text := range texts {
		n := textNode(text)
		if n.Style == yaml.LiteralStyle {
			n.Style = yaml.DoubleQuotedStyle // nor an item of a list in brackets
		}
		list.Content = append(list.Content, n)
	}
	b.add(key, list)
}

func (b builder) pairsIf(key string, pairs map[string]string) {
	if len(pairs) == 0 {
		return
	}
	m := mapping()
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		m.text(name, pairs[name])
	}
	b.add(key, m.node)
}

func plain(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// anyNode writes a value of a parameter.
func anyNode(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return textNode(v)
	case bool:
		return plain("!!bool", strconv.FormatBool(v))
	case int64:
		return plain("!!int", strconv.FormatInt(v, 10))
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0" // without it the value would come back as an int
		}
		return plain("!!float", text)
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			list.Content = append(list.Content, anyNode(item))
		}
		return list
	case map[string]any:
		m := mapping()
		for _, key := range slices.Sorted(maps.Keys(v)) {
			m.add(key, anyNode(v[key]))
		}
		return m.node
	}
	panic(fmt.Sprintf("spec: a parameter holds a %T: %v", v, v))
}

// words are texts that no reader of YAML takes for anything else; the rest
// goes in quotes.
var words = regexp.MustCompile(`^[\pL_./][\pL\pN_./+=-]*( [\pL\pN_./+=-]+)*$`)

// notTexts look like words and are not.
var notTexts = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", ".nan", ".inf"}

// textNode writes a text: as a block if it has lines, bare if it is a word.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
	switch {
	case strings.Contains(text, "\n") && blockSafe(text):
		n.Style = yaml.LiteralStyle
	case words.MatchString(text) && !slices.Contains(notTexts, strings.ToLower(text)) && numberless(text):
		n.Style = 0
	}
	return n
}

// numberless reports whether a word cannot be read as a number: .5 and 1e3
// are words otherwise.
func numberless(text string) bool {
	_, err := strconv.ParseFloat(strings.TrimPrefix(text, "."), 64)
	return err != nil
}

// blockSafe reports whether a text can stand after | as it is.
func blockSafe(text string) bool {
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i == 0 && (line == "" || line[0] == ' ' || line[0] == '\t') || strings.TrimRight(line, " \t") != line {
			return false
		}
	}
	for _, c := range text {
		if mustEscape(c) || c == '\r' {
			return false
		}
	}
	return !strings.HasSuffix(text, "\n\n")
}

package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// source says where an output comes from: "status", "body", "header:NAME" or
// "json:PATH".
type source struct {
	kind string
	name string // of the header
	path []step // in the JSON
}

// step is one move into a JSON value: to the member of an object, or to the
// element of an array.
type step struct {
	key   string
	index int // if key is empty
}

func parseSource(s string) (source, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "status", s == "body":
		return source{kind: s}, nil
	case kind == "header" && rest != "":
		return source{kind: kind, name: rest}, nil
	case kind == "json" && rest != "":
		path, err := parsePath(rest)
		return source{kind: kind, path: path}, err
	}
	return source{}, fmt.Errorf("%q is not known; write status, body, header:NAME, or json:PATH as json:items[0].id", s)
}

// parsePath reads a.b[0].c; a single dot is the whole answer.
func parsePath(s string) ([]step, error) {
	if s == "." {
		return nil, nil
	}
	var path []step
	for rest := s; rest != ""; {
		if rest[0] == '[' {
			inner, after, ok := strings.Cut(rest[1:], "]")
			index, err := strconv.Atoi(inner)
			if !ok || err != nil || index < 0 {
				return nil, fmt.Errorf("%q is not a path: a bracket holds a number, as items[0].id", s)
			}
			path, rest = append(path, step{index: index}), strings.TrimPrefix(after, ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 || strings.Contains(rest[:end], "]") {
			return nil, fmt.Errorf("%q is not a path: a name is missing, or a bracket; write it as items[0].id", s)
		}
		path = append(path, step{key: rest[:end]})
		rest = strings.TrimPrefix(rest[end:], ".")
	}
	return path, nil
}

// outputs picks what the task wants of an answer.
func (c *HTTP) outputs(response *http.Response, body []byte, cut bool) (map[string]string, error) {
	if len(c.Outputs) == 0 {
		return nil, nil
	}
	if cut && c.bodyLimit() == bodyMax {
		return nil, fmt.Errorf("the answer is larger than %d MiB, which is the most that can go into outputs", bodyMax>>20)
	}
	outputs := make(map[string]string, len(c.Outputs))
	for _, name := range slices.Sorted(maps.Keys(c.Outputs)) {
		from, err := parseSource(c.Outputs[name])
		if err != nil {
			return nil, fmt.Errorf("outputs.%s: %w", name, err)
		}
		switch from.kind {
		case "status":
			outputs[name] = strconv.Itoa(response.StatusCode)
		case "body":
			outputs[name] = string(body)
		case "header":
			outputs[name] = response.Header.Get(from.name)
		case "json":
			value, err := pick(body, from.path)
			if err != nil {
				return nil, fmt.Errorf("output %s (%s): %w", name, c.Outputs[name], err)
			}
			outputs[name] = value
		}
	}
	return outputs, nil
}

// pick goes along path into a JSON text. A string is given as it reads,
// anything else as JSON.
func pick(body []byte, path []step) (string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a large number keeps all its digits
	var value any
	if err := d.Decode(&value); err != nil {
		return "", errors.New("the answer is not JSON")
	}
	for _, s := range path {
		switch in := value.(type) {
		case map[string]any:
			member, ok := in[s.key]
			if !ok {
				return "", fmt.Errorf("the answer has no %q there", s.key)
			}
			value = member
		case []any:
			if s.key != "" || s.index >= len(in) {
				return "", fmt.Errorf("the answer has a list of %d there", len(in))
			}
			value = in[s.index]
		default:
			return "", errors.New("the answer ends before the path does")
		}
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}

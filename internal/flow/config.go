package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/semel-dev/semel/internal/param"
)

// mayHoldExpressions is the cheap question that spares most tasks the dear
// one. It errs on the side of yes: JSON can write ${{ in other ways.
func mayHoldExpressions[T ~string | ~[]byte](text T) bool {
	return strings.Contains(string(text), "${{") || strings.Contains(string(text), `\u00`)
}

// isObject reports whether a configuration is what it has to be.
func isObject(config json.RawMessage) bool {
	return len(bytes.TrimSpace(config)) > 0 && bytes.TrimSpace(config)[0] == '{' && json.Valid(config)
}

// parseConfig reads a configuration; numbers stay as they are written.
func parseConfig(config json.RawMessage) (map[string]any, error) {
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	if tree == nil {
		return nil, errors.New("it is null")
	}
	return tree, nil
}

// eachText visits the strings of a configuration, in a fixed order. The path
// given to visit is only good during the call.
func eachText(v any, path []any, visit func(path []any, s string)) {
	switch v := v.(type) {
	case string:
		visit(path, v)
	case []any:
		for i, item := range v {
			eachText(item, append(path, i), visit)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			eachText(v[key], append(path, key), visit)
		}
	}
}

// compileTexts returns the tree with each string that holds expressions
// replaced by its compiled form, and all that they refer to.
func compileTexts(v any, refs *[]param.Ref) (any, error) {
	switch v := v.(type) {
	case string:
		if !mayHoldExpressions(v) {
			return v, nil
		}
		text, err := param.CompileText(v)
		if err != nil {
			return nil, err
		}
		*refs = append(*refs, text.Refs()...)
		return text, nil
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			compiled, err := compileTexts(item, refs)
			if err != nil {
				return nil, err
			}
			items[i] = compiled
		}
		return items, nil
	case map[string]any:
		fields := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			compiled, err := compileTexts(v[key], refs)
			if err != nil {
				return nil, err
			}
			fields[key] = compiled
		}
		return fields, nil
	}
	return v, nil
}

// evaluate returns the tree with each compiled text replaced by its value. Of
// several faults it reports the first, in a fixed order.
func evaluate(v any, s *param.Scope) (any, error) {
	switch v := v.(type) {
	case *param.Text:
		return v.Eval(s)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			value, err := evaluate(item, s)
			if err != nil {
				return nil, err
			}
			items[i] = value
		}
		return items, nil
	case map[string]any:
		fields := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			value, err := evaluate(v[key], s)
			if err != nil {
				return nil, err
			}
			fields[key] = value
		}
		return fields, nil
	}
	return v, nil
}

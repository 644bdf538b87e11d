package sqlite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/store"
)

// micros is how a time is stored; null: not set.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// text stores an empty text as null, which takes no room.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// stamp reads what micros wrote.
type stamp struct{ to *time.Time }

// Scan is sql.Scanner.
func (s stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s.to = time.Time{}
	case int64:
		*s.to = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("%T is not a time", v)
	}
	return nil
}

// word reads what text wrote.
type word[T ~string] struct{ to *T }

func wordTo[T ~string](to *T) word[T] { return word[T]{to} }

// Scan is sql.Scanner.
func (w word[T]) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*w.to = ""
	case string:
		*w.to = T(v)
	default:
		return fmt.Errorf("%T is not a text", v)
	}
	return nil
}

// encode returns v as JSON without the escapes that are for HTML.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// decode reads JSON; numbers in an any stay text, see fromJSON.
func decode(s string, v any) error {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	return d.Decode(v)
}

// toJSON returns a parameter's value so that its JSON tells a whole float from
// an int: 1.0 from 1.
func toJSON(v any) any {
	switch v := v.(type) {
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".eE") {
			s += ".0"
		}
		return json.Number(s)
	case []any:
		return each(v, toJSON)
	case map[string]any:
		return eachKey(v, toJSON)
	}
	return v
}

// fromJSON takes a value back that came from toJSON.
func fromJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // not one that toJSON writes
		}
		return f
	case []any:
		return each(v, fromJSON)
	case map[string]any:
		return eachKey(v, fromJSON)
	}
	return v
}

func each(list []any, f func(any) any) []any {
	to := make([]any, len(list))
	for i := range list {
		to[i] = f(list[i])
	}
	return to
}

func eachKey(m map[string]any, f func(any) any) map[string]any {
	to := make(map[string]any, len(m))
	for key, v := range m {
		to[key] = f(v)
	}
	return to
}

func encodeParams(p param.Values) (any, error) {
	if p == nil {
		return nil, nil
	}
	return encode(eachKey(p, toJSON))
}

func decodeParams(s string) (param.Values, error) {
	if s == "" {
		return nil, nil
	}
	var m map[string]any
	if err := decode(s, &m); err != nil {
		return nil, err
	}
	return eachKey(m, fromJSON), nil
}

func encodeSelect(s flow.Select) (any, error) {
	if len(s.Tasks) == 0 && !s.Ancestors && !s.Descendants {
		return nil, nil
	}
	return encode(s)
}

func encodeOutputs(o flow.Outputs) (any, error) {
	if len(o) == 0 {
		return nil, nil
	}
	return encode(o)
}

// encodeWorkflow returns the model with its parameters' types kept.
func encodeWorkflow(w flow.Workflow) (string, error) {
	w.Params = defs(w.Params, toJSON)
	return encode(w)
}

func decodeWorkflow(s string) (w flow.Workflow, err error) {
	if err := decode(s, &w); err != nil {
		return flow.Workflow{}, err
	}
	w.Params = defs(w.Params, fromJSON)
	return w, nil
}

// defs returns a copy with every value passed through f.
func defs(list []param.Def, f func(any) any) []param.Def {
	if list == nil {
		return nil
	}
	to := make([]param.Def, len(list))
	for i, d := range list {
		d.Default = f(d.Default)
		if d.Enum != nil {
			d.Enum = each(d.Enum, f)
		}
		to[i] = d
	}
	return to
}

// reread returns an attempt as it would come back: what is not UTF-8 in its
// outputs does not survive.
func reread(a *flow.Attempt) (flow.Attempt, error) {
	c := store.CopyAttempt(a)
	if c.Outputs == nil {
		return c, nil
	}
	s, err := encode(c.Outputs)
	if err != nil {
		return c, err
	}
	c.Outputs = nil
	return c, json.NewDecoder(bytes.NewReader([]byte(s))).Decode(&c.Outputs)
}

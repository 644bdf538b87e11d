package spec

import (
	"fmt"

	"github.com/semel-dev/semel/internal/param"
)

var paramTypes = []string{string(param.String), string(param.Int), string(param.Float), string(param.Bool), string(param.List), string(param.Map)}

// paramDraft is a parameter while it is being read.
type paramDraft struct {
	param.Def
	at   value // of its default
	enum []value
}

var paramTable = &table[paramDraft]{
	what:    "a parameter",
	example: `{type: string}`,
	fields: []field[paramDraft]{
		{
			key: "type", doc: "Type: string, int, float, bool, list or map. Default: that of the default, else string.", schema: choiceSchema(paramTypes...),
			read: func(r *reader, v value, d *paramDraft) { d.Type = param.Type(r.choice(v, paramTypes)) },
		},
		{
			key: "default", doc: "The value if a run is not given one.", schema: schema{},
			read: func(r *reader, v value, d *paramDraft) { d.at = v },
		},
		{
			key: "required", doc: "A run must be given a value. Default false.", schema: booleanSchema(),
			read: func(r *reader, v value, d *paramDraft) { d.Required = r.boolean(v) },
		},
		{
			key: "description", doc: "What the parameter is for, for people.", schema: textSchema(),
			read: func(r *reader, v value, d *paramDraft) { d.Description = r.text(v) },
		},
		{
			key: "enum", doc: "The only values allowed.", schema: schema{"type": "array", "minItems": 1},
			read: func(r *reader, v value, d *paramDraft) {
				if !v.list() || len(v.node.Content) == 0 {
					r.fault(v, fmt.Sprintf("must be a list of values, found %s", v.kind()), "write [a, b]")
					return
				}
				d.enum = v.items()
			},
		},
		{
			key: "secret", doc: "Mask the value in logs, API and command line. Default false.", schema: booleanSchema(),
			read: func(r *reader, v value, d *paramDraft) { d.Secret = r.boolean(v) },
		},
	},
	elsewhere: map[string]string{
		"value": `did you mean "default"?`, "values": `did you mean "enum"?`, "options": `did you mean "enum"?`, "choices": `did you mean "enum"?`, "allowed": `did you mean "enum"?`,
		"desc": `did you mean "description"?`, "optional": "a parameter is optional unless it says required: true",
	},
}

// params reads the parameters, in the order of the file.
func (r *reader) params(v value) []param.Def {
	if !v.mapping() {
		r.fault(v, fmt.Sprintf("must be a mapping of names to parameters, found %s", v.kind()), "write params: {region: cn}")
		return nil
	}
	var all []param.Def
	entries := r.entries(v)
	if len(entries) > paramsMax {
		r.faultAtKey(v, fmt.Sprintf("there are %d parameters, at most %d are allowed", len(entries), paramsMax), "put some of them into one parameter of type map")
		return nil
	}
	for _, e := range entries {
		all = append(all, r.param(e))
	}
	return all
}

// param reads one parameter: a value, or a mapping that declares it.
func (r *reader) param(e entry) param.Def {
	d := paramDraft{Def: param.Def{Name: e.key}}
	switch {
	case e.null():
		r.faultAtKey(e.value, "has no value", `write a default, "" for an empty text, or {type: string}`)
		return param.Def{Name: e.key, Type: param.String}
	case e.mapping():
		fill(r, e.value, paramTable, &d)
		if len(e.node.Content) == 0 {
			r.fault(e.value, "declares nothing", "write {type: string}")
		}
	default:
		d.at = e.value
	}
	return r.define(d)
}

// define works out the type of a parameter, and brings its values into it.
func (r *reader) define(d paramDraft) param.Def {
	var v any
	before := len(r.faults)
	if d.at.node != nil && (d.Type != param.String || !d.at.scalar()) {
		v = r.any(d.at) // a declared text is never taken for anything else
	}
	if d.Type == "" {
		d.Type = typeOf(v)
	}
	if d.at.node != nil && len(r.faults) == before {
		d.Default = r.normal(d.at, d.Type, v)
	}
	for _, item := range d.enum {
		before := len(r.faults)
		var v any
		if d.Type != param.String || !item.scalar() {
			v = r.any(item)
		}
		if len(r.faults) == before {
			if v = r.normal(item, d.Type, v); v != nil {
				d.Enum = append(d.Enum, v)
			}
		}
	}
	return d.Def
}

// normal brings a value into a type.
func (r *reader) normal(at value, t param.Type, v any) any {
	if t == param.String && at.scalar() {
		return at.node.Value // a declared text is what is written: 0755, yes, 2024-01-01
	}
	n, err := param.Normal(t, v)
	if err != nil {
		r.fault(at, err.Error(), typeHint(t, v))
		return nil
	}
	return n
}

// typeHint says what to write for a value of the wrong type.
func typeHint(t param.Type, v any) string {
	if text, ok := v.(string); ok {
		if n, err := param.Parse(t, text); err == nil {
			return fmt.Sprintf("write %s, without quotes", param.Format(n))
		}
	}
	return "change the value, or the type"
}

// typeOf is the type of a value, as YAML has read it.
func typeOf(v any) param.Type {
	switch v.(type) {
	case int64:
		return param.Int
	case float64:
		return param.Float
	case bool:
		return param.Bool
	case []any:
		return param.List
	case map[string]any:
		return param.Map
	}
	return param.String
}

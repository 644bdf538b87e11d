package spec

import (
	"encoding/json"
	"fmt"
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// Schema is the JSON Schema (draft 2020-12) of a workflow file. It is made
// from the tables that the reader reads by, so that an editor completes what
// Parse accepts. Unions (retry: 3, or a mapping) are written out here, which a
// generator from Go structs cannot do.
func Schema() []byte {
	s := mappingSchema(workflowTable.fields)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://github.com/semel-dev/semel/workflow.schema.json"
	s["title"] = "Semel workflow"
	s["required"] = []string{"name", "tasks"}
	s["$defs"] = schema{"task": taskSchema()}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("spec: schema: %v", err))
	}
	return append(text, '\n')
}

// mappingSchema is a mapping with the keys of a table and no others.
func mappingSchema[T any](fields []field[T]) schema {
	properties := schema{}
	for _, f := range fields {
		property := schema{"description": f.doc}
		for key, part := range f.schema {
			property[key] = part
		}
		properties[f.key] = property
	}
	return schema{"type": "object", "properties": properties, "additionalProperties": false}
}

// taskSchema is a task: its settings, and exactly one thing to do. The name is
// for tasks in a list.
func taskSchema() schema {
	s := mappingSchema(taskTable.fields)
	s["properties"].(schema)["name"] = schema{"type": scalars, "description": "Name of the task, in a list of tasks. In a mapping it is the key."}
	one := []schema{}
	for _, key := range workKeys {
		one = append(one, schema{"required": []string{key}})
	}
	s["oneOf"] = one
	return s
}

func tasksSchema() schema {
	ref := schema{"$ref": "#/$defs/task"}
	return schema{"oneOf": []schema{
		{"type": "object", "additionalProperties": ref, "minProperties": 1},
		{"type": "array", "items": schema{"$ref": "#/$defs/task", "required": []string{"name"}}, "minItems": 1},
	}}
}

func paramsSchema() schema {
	return schema{"type": "object", "additionalProperties": schema{"oneOf": []schema{
		{"type": []string{"string", "number", "boolean", "array"}},
		mappingSchema(paramTable.fields),
	}}}
}

// scalars are the JSON types that a text may have in YAML: 8080 is one.
var scalars = []string{"string", "number", "boolean"}

func textSchema() schema    { return schema{"type": scalars} }
func booleanSchema() schema { return schema{"type": "boolean"} }

func textsSchema() schema {
	return schema{"oneOf": []schema{textSchema(), {"type": "array", "items": textSchema()}}}
}

func envSchema() schema { return schema{"type": "object", "additionalProperties": textSchema()} }

func integerSchema(low, high int) schema {
	return schema{"type": "integer", "minimum": low, "maximum": high}
}

func numberSchema(low, high float64) schema {
	return schema{"type": "number", "minimum": low, "maximum": high}
}

func choiceSchema(words ...string) schema { return schema{"type": "string", "enum": words} }

// durationSchema is what parseDuration reads. A zero needs no unit.
func durationSchema() schema {
	return schema{"type": []string{"string", "integer"}, "pattern": `^(0|([0-9]+(\.[0-9]+)?d)?((\.?[0-9]+|[0-9]+\.[0-9]*)(ns|us|µs|μs|ms|s|m|h))*)$`, "minLength": 1, "maximum": 0, "minimum": 0, "examples": []string{"30s", "10m", "1h30m", "2d"}}
}

// templateOr is what s allows, or a text with an expression.
func templateOr(s schema) schema {
	return schema{"anyOf": []schema{s, {"type": "string", "pattern": `\$\{\{`}}}
}

func retrySchema() schema {
	return schema{"oneOf": []schema{integerSchema(0, retriesMax), required(mappingSchema(retryTable.fields), "limit")}}
}

func timeoutSchema() schema {
	return schema{"oneOf": []schema{durationSchema(), required(mappingSchema(timeoutTable.fields), "after")}}
}

func httpSchema() schema {
	return schema{"oneOf": []schema{{"type": "string"}, required(mappingSchema(httpTable.fields), "url")}}
}

func noopSchema() schema {
	return schema{"oneOf": []schema{{"type": "null"}, {"const": true}, mappingSchema(noopTable.fields)}}
}

func required(s schema, keys ...string) schema {
	s["required"] = keys
	return s
}

// Package spec reads and writes workflow files: YAML to flow.Workflow and
// back, with the position of every fault, and the JSON Schema that editors
// check and complete by.
//
// A file becomes a workflow in four steps, each of which can find faults:
// source looks at bytes, load at YAML, the tables (workflow, task, param,
// http, retry) at keys and values, and flow.Validate and the task types at
// what has come of it; locate finds the place in the file for the last. The
// last two find everything there is to find in one reading.
package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/semel-dev/semel/internal/flow"
)

// Parse reads a workflow file. The name of the file appears in errors only.
// What it returns has passed flow.Validate. An error is of type Errors and
// holds every fault of the file.
func Parse(file string, src []byte) (*flow.Workflow, error) {
	r := &reader{file: file}
	var f *fault
	if r.source, f = newSource(src); f != nil {
		return nil, r.only(f)
	}
	node, f := load(r.source)
	if f != nil {
		return nil, r.only(f)
	}
	root := value{node: node}
	w := r.document(root)
	if root.mapping() {
		r.validate(root, w)
	}
	if len(r.faults) > 0 {
		return nil, r.faults.sorted()
	}
	return w, nil
}

// only is the error of a file that cannot be read any further.
func (r *reader) only(f *fault) error {
	return Errors{{File: r.file, Line: f.line, Column: f.column, Message: f.message, Hint: f.hint}}
}

// hasExpression reports whether a text holds an expression ${{ }}.
func hasExpression(s string) bool { return strings.Contains(s, "${{") }

// mustJSON is v as JSON. v is one of our own structs of texts and numbers.
// Scripts are full of < and >, which need no escapes here.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("spec: %T as JSON: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

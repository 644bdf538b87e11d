package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/semel-dev/semel/internal/flow"
)

// Digest is the SHA-256 of a workflow in one canonical form: two files have
// the same digest exactly if they define the same workflow, whatever their
// comments, layout and order of keys.
func Digest(w *flow.Workflow) string {
	c := *w
	c.Tasks = slices.Clone(w.Tasks)
	for i := range c.Tasks {
		c.Tasks[i].Config = canonical(c.Tasks[i].Config)
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("spec: digest of workflow %q: %v", w.Name, err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// canonical is a JSON text with sorted keys and no spaces.
func canonical(text json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // a number keeps its digits
	var v any
	if err := dec.Decode(&v); err != nil {
		panic(fmt.Sprintf("spec: digest of config %q: %v", text, err))
	}
	out, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("spec: digest of config %q: %v", text, err))
	}
	return out
}

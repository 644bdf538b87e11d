package spec

import "github.com/semel-dev/semel/internal/flow"

// Format writes a workflow as a file that Parse reads back as the same
// workflow.
func Format(w *flow.Workflow) ([]byte, error) {
	return mustJSON(w), nil
}

package spec

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// ResolveDirs makes the relative working directories of a workflow absolute,
// from base on. A file means its own directory by "dir: ."; once the workflow
// is in a store, nobody knows that directory any more. A task without a
// directory keeps its scratch directory.
func ResolveDirs(w *flow.Workflow, base string) error {
	base, err := filepath.Abs(base)
	if err != nil {
		return fmt.Errorf("find the directory of workflow %s: %w", w.Name, err)
	}
	for i := range w.Tasks {
		t := &w.Tasks[i]
		if t.Type != task.TypeShell {
			continue
		}
		var c task.Shell
		if err := json.Unmarshal(t.Config, &c); err != nil {
			return fmt.Errorf("read the settings of task %s: %w", t.Name, err)
		}
		switch {
		case c.Dir == "" || filepath.IsAbs(c.Dir) || strings.HasPrefix(c.Dir, "${{"):
			continue // what begins with an expression has to come out absolute
		case hasExpression(c.Dir):
			c.Dir = base + "/" + c.Dir // an expression is not a path to clean
		default:
			c.Dir = filepath.Join(base, c.Dir)
		}
		t.Config = mustJSON(c)
	}
	return nil
}

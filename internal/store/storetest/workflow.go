package storetest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/store"
)

func definition(name, digest string) store.Definition {
	return store.Definition{
		Workflow: flow.Workflow{Name: name, OnFailure: flow.Continue, Tasks: []flow.Task{{Name: "a", Config: json.RawMessage(`{}`)}}},
		Source:   "name: " + name, Digest: digest,
	}
}

func testWorkflows(t *testing.T, w world) {
	ctx := t.Context()
	for i, c := range []struct {
		name, digest string
		version      int
		created      bool
	}{
		{"b", "1", 1, true},
		{"b", "1", 1, false}, // nothing new
		{"b", "2", 2, true},
		{"b", "1", 3, true}, // back again is a new version
		{"a", "1", 1, true},
	} {
		d, created, err := w.Apply(ctx, definition(c.name, c.digest), start.Add(time.Duration(i)*time.Second))
		if err != nil || d.Version != c.version || created != c.created || d.Digest != c.digest || d.Source == "" {
			t.Errorf("apply %d: version %d, created %v, %v", i, d.Version, created, err)
		}
		if created && !d.CreatedAt.Equal(start.Add(time.Duration(i)*time.Second)) {
			t.Errorf("apply %d: created at %s", i, d.CreatedAt)
		}
	}
	for _, c := range []struct {
		name    string
		version int
		digest  string
	}{{"b", 0, "1"}, {"b", 1, "1"}, {"b", 2, "2"}, {"b", 3, "1"}, {"a", 0, "1"}} {
		if d, err := w.Workflow(ctx, c.name, c.version); err != nil || d.Digest != c.digest || d.Workflow.Name != c.name || d.Source == "" {
			t.Errorf("workflow %s %d: %+v, %v", c.name, c.version, d, err)
		}
	}
	for _, c := range []struct {
		name    string
		version int
	}{{"c", 0}, {"b", 4}, {"b", -1}} {
		if _, err := w.Workflow(ctx, c.name, c.version); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("workflow %s %d: %v, want not found", c.name, c.version, err)
		}
	}
	list := must[[]store.Definition](t)(w.WorkflowList(ctx))
	if len(list) != 2 || list[0].Workflow.Name != "a" || list[1].Workflow.Name != "b" || list[1].Version != 3 || list[1].Source != "" {
		t.Errorf("list: %+v", list)
	}
	versions := must[[]store.Definition](t)(w.WorkflowVersions(ctx, "b"))
	if len(versions) != 3 || versions[0].Version != 3 || versions[2].Version != 1 || versions[0].Source != "" {
		t.Errorf("versions: %+v", versions)
	}
	if _, err := w.WorkflowVersions(ctx, "c"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("versions of a workflow that is not there: %v", err)
	}
	if _, _, err := w.Apply(ctx, definition("", "1"), start); err == nil {
		t.Error("a definition without a name was stored")
	}
}

// A parameter's default comes back with its type: 1.0 is not 1.
func testWorkflowKeepsEverything(t *testing.T, w world) {
	want := definition("typed", "x")
	want.Workflow.Params = []param.Def{
		{Name: "f", Type: param.Float, Default: 1.0, Enum: []any{1.0, 2.5}},
		{Name: "n", Type: param.Int, Default: int64(1) << 60},
		{Name: "l", Type: param.List, Default: []any{1.0, int64(1), map[string]any{"x": 2.0}}},
		{Name: "none", Type: param.String, Required: true},
	}
	want.Workflow.Env = map[string]string{"A": "<&>"}
	want.Workflow.Tasks[0].Delay = time.Minute
	want, _, err := w.Apply(t.Context(), want, start)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "workflow", must[store.Definition](t)(w.Workflow(t.Context(), "typed", 0)), want)
}

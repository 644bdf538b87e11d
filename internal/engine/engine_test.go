package engine

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// running opens an engine on a directory and runs it until the returned
// function is called.
func running(t *testing.T, cfg Config) (*Engine, func()) {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	e, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(stop)
	return e, stop
}

func TestEngine_RunsAWorkflowToItsEnd(t *testing.T) {
	e, _ := running(t, Config{})
	run, err := e.Client().StartInline(t.Context(), api.StartInlineRequest{Source: `
name: hello
tasks:
  first:
    run: echo "rows=42" >> "$SEMEL_OUTPUT"
  second:
    needs: first
    run: test "${{ tasks.first.outputs.rows }}" = 42
  waits: {needs: first, sleep: 1ms}
`})
	if err != nil {
		t.Fatal(err)
	}
	detail, err := e.Client().Wait(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if detail.Run.State != flow.RunSucceeded {
		t.Fatalf("run is %s: %s\n%+v", detail.Run.State, detail.Run.Reason, detail.Tasks)
	}
}

// What was started before the end is there after it, and goes on.
func TestEngine_GoesOnWhereItWasLeft(t *testing.T) {
	dir := t.TempDir()
	e, stop := running(t, Config{Data: dir})
	run, err := e.Client().StartInline(t.Context(), api.StartInlineRequest{Source: `
name: long
tasks:
  gate: {run: 'while ! test -e "$GATE"; do sleep 0.01; done', env: {GATE: ` + dir + `/gate}}
  after: {needs: gate, noop: true}
`})
	if err != nil {
		t.Fatal(err)
	}
	for snapshot, err := range e.Client().Watch(t.Context(), run.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Tasks[0].State == flow.TaskRunning {
			break
		}
	}
	stop()
	again, _ := running(t, Config{Data: dir})
	if err := os.WriteFile(dir+"/gate", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	detail, err := again.Client().Wait(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if detail.Run.State != flow.RunSucceeded {
		t.Fatalf("run is %s: %s", detail.Run.State, detail.Run.Reason)
	}
	// The runner was in the process that ended: what ran was lost, and repeated.
	if n := len(detail.Tasks[0].Attempts); n != 2 {
		t.Errorf("gate has %d attempts, want 2", n)
	}
}

package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

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

func TestEngine_CountsForMetrics(t *testing.T) {
	gate := t.TempDir() + "/gate"
	e, _ := running(t, Config{Slots: 3})
	run, err := e.Client().StartInline(t.Context(), api.StartInlineRequest{Source: `
name: counted
tasks:
  gate: {run: 'while ! test -e "$GATE"; do sleep 0.01; done', env: {GATE: ` + gate + `}}
  light: {noop: true}
  after: {needs: [gate, light], run: exit 1}
`})
	if err != nil {
		t.Fatal(err)
	}
	for snapshot, err := range e.Client().Watch(t.Context(), run.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Tasks[0].State == flow.TaskRunning && snapshot.Tasks[1].State.Final() {
			break
		}
	}
	e.expect(t, `semel_runs_in_memory 1`, `semel_tasks_ready 0`, `semel_tasks_active 1`, `semel_slots_taken 1`,
		`semel_attempts_finished_total{state="succeeded"} 1`)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Client().Wait(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	position, err := e.Store().Position(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	e.expect(t, `semel_attempts_finished_total{state="succeeded"} 2`, `semel_attempts_finished_total{state="failed"} 1`,
		fmt.Sprintf("semel_commits_total %d", position.Seq))
}

// expect asks for metrics until they say what they should: the master counts
// just after its commits are seen.
func (e *Engine) expect(t *testing.T, lines ...string) {
	t.Helper()
	missing := func() string {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
		e.server.ServeHTTP(recorder, request)
		for _, line := range lines {
			if !strings.Contains(recorder.Body.String(), "\n"+line+"\n") {
				return line + " is missing from:\n" + recorder.Body.String()
			}
		}
		return ""
	}
	deadline := time.Now().Add(30 * time.Second)
	for missing() != "" {
		if time.Now().After(deadline) {
			t.Fatal(missing())
		}
		runtime.Gosched()
	}
}

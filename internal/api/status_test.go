package api_test

import (
	"context"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.yaml")

// TestOpenAPI keeps the committed description the one that is served.
func TestOpenAPI(t *testing.T) {
	f := open(t)
	response, served := f.call(http.MethodGet, "/api/v1/openapi.yaml", "", "")
	if response.StatusCode != http.StatusOK || !strings.Contains(served, "openapi: 3.1.0") {
		t.Fatalf("%d %.300s", response.StatusCode, served)
	}
	path := filepath.Join("..", "..", "docs", "openapi.yaml")
	if *update {
		if err := os.WriteFile(path, []byte(served), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), served); diff != "" {
		t.Errorf("docs/openapi.yaml is not what is served: run this test with -update (-committed +served):\n%s", diff)
	}
	asJSON, text := f.call(http.MethodGet, "/api/v1/openapi.json", "", "")
	if asJSON.StatusCode != http.StatusOK || !strings.HasPrefix(text, "{") {
		t.Errorf("as JSON: %d %.100s", asJSON.StatusCode, text)
	}
}

// TestOpenAPIListsEveryState compares the lists of states with flow's own.
func TestOpenAPIListsEveryState(t *testing.T) {
	f := open(t)
	_, served := f.call(http.MethodGet, "/api/v1/openapi.yaml", "", "")
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Enum []string `yaml:"enum"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal([]byte(served), &description); err != nil {
		t.Fatal(err)
	}
	source, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "flow", "state.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"RunState", "TaskState", "AttemptState"} {
		want := constants(t, source, kind)
		if len(want) == 0 {
			t.Errorf("flow has no %s", kind)
		}
		if diff := cmp.Diff(want, description.Components.Schemas[kind].Enum); diff != "" {
			t.Errorf("%s (-flow +described):\n%s", kind, diff)
		}
	}
}

// constants are the values of the constants of a type, in their order.
func constants(t *testing.T, file *ast.File, kind string) []string {
	t.Helper()
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == kind {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestHealth(t *testing.T) {
	f := open(t)
	if response, answer := f.call(http.MethodGet, "/healthz", "", ""); response.StatusCode != http.StatusOK {
		t.Errorf("healthz: %d %s", response.StatusCode, answer)
	}
	if err := f.client.Ready(t.Context()); statusOf(err) != http.StatusServiceUnavailable || !strings.Contains(err.Error(), "no owner") {
		t.Errorf("ready without an owner: %v", err)
	}
	f.claim()
	if err := f.client.Ready(t.Context()); err != nil {
		t.Errorf("not ready with an owner: %v", err)
	}
	status, err := f.client.Status(t.Context())
	if err != nil || status.Version != "test" || status.Node != masterID || status.StartedAt.IsZero() {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestNotReadyWhenTheStoreIsNot(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Store = failing{c.Store, errors.New("disk on fire")} })
	f.claim()
	if err := f.client.Ready(t.Context()); statusOf(err) != http.StatusServiceUnavailable || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("ready: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	f.start()
	f.finish(f.start().ID)
	for i := range 100 {
		f.call(http.MethodGet, "/api/v1/runs/nope"+strconv.Itoa(i), "", "")
		f.call(http.MethodGet, "/nothing"+strconv.Itoa(i), "", "")
	}
	_, answer := f.call(http.MethodGet, "/metrics", "", "")
	for _, want := range []string{
		`semel_info{version="test"} 1`,
		`semel_runs{state="queued"} 1`,
		`semel_runs{state="succeeded"} 1`,
		`semel_commands_pending 2`,
		`semel_store_bytes `,
		`semel_http_request_duration_seconds_count{route="POST /api/v1/runs",status="2xx"} 2`,
		`semel_http_request_duration_seconds_count{route="GET /api/v1/runs/{run}",status="4xx"} 100`,
		`semel_http_request_duration_seconds_bucket{route="GET /api/v1/runs/{run}",status="4xx",le="+Inf"} 100`,
		`semel_http_request_duration_seconds_count{route="none",status="4xx"} 100`,
	} {
		if !strings.Contains(answer, "\n"+want) {
			t.Errorf("%s is missing from:\n%s", want, answer)
		}
	}
	if strings.Contains(answer, "nope") || strings.Contains(answer, "nothing") {
		t.Errorf("a label holds what somebody asked for:\n%s", answer)
	}
}

// TestMetricsOfTheEngine asks a server with a master beside it, and one without.
func TestMetricsOfTheEngine(t *testing.T) {
	names := []string{
		"semel_runs_in_memory 1", "semel_tasks_ready 2", "semel_tasks_active 3", "semel_slots_taken 4",
		"semel_commits_total 5", "semel_commit_rows_total 6",
		`semel_attempts_finished_total{state="lost"} 7`, `semel_attempts_finished_total{state="succeeded"} 0`,
	}
	with := open(t, func(c *api.Config) {
		c.Engine = func() api.EngineCounts {
			return api.EngineCounts{
				Runs: 1, Ready: 2, Active: 3, Taken: 4, Commits: 5, Rows: 6,
				Finished: map[flow.AttemptState]uint64{flow.AttemptLost: 7},
			}
		}
	})
	_, answer := with.call(http.MethodGet, "/metrics", "", "")
	for _, want := range append(names, "go_goroutines ", "process_open_fds ") {
		if !strings.Contains(answer, "\n"+want) {
			t.Errorf("%s is missing from:\n%s", want, answer)
		}
	}
	without := open(t)
	_, answer = without.call(http.MethodGet, "/metrics", "", "")
	for _, line := range names {
		if name, _, _ := strings.Cut(strings.Fields(line)[0], "{"); strings.Contains(answer, name) {
			t.Errorf("%s without an engine:\n%s", name, answer)
		}
	}
}

// TestMetricsAreDocumented keeps the table in docs/operations.md complete, and
// the names as Prometheus would have them.
func TestMetricsAreDocumented(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Engine = func() api.EngineCounts { return api.EngineCounts{} } })
	f.call(http.MethodGet, "/healthz", "", "")
	_, answer := f.call(http.MethodGet, "/metrics", "", "")
	problems, err := promlint.New(strings.NewReader(answer)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "semel_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := func(pattern, text string) []string {
		var names []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
		slices.Sort(names)
		return names
	}
	served := named(`(?m)^# TYPE (semel_\w+) `, answer)
	if diff := cmp.Diff(named("(?m)^\\| `(semel_\\w+)", string(guide)), served); diff != "" || len(served) == 0 {
		t.Errorf("docs/operations.md lists others than are served (-documented +served):\n%s", diff)
	}
}

func TestMetricsWhenTheStoreFails(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Store = failing{c.Store, errors.New("disk on fire")} })
	if p := f.problem(http.StatusInternalServerError, http.MethodGet, "/metrics", "", ""); p.ID == "" {
		t.Errorf("problem %+v", p)
	}
}

func TestEvents(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run, other := f.start().ID, f.start().ID
	at := time.Now()
	f.commit(partition.Batch{Events: []partition.Event{
		{At: at, Cause: "takeover", Epoch: 1, Message: "partition 0"},
		{At: at, Cause: "timeout", Run: run, Task: "extract", Message: "extract runs longer than 10m"},
		{At: at, Cause: "lost", Run: other, Task: "load", Node: "w@1", Message: "its node has ended"},
	}})
	all, err := f.client.Events(t.Context(), "", 0)
	if err != nil || len(all) != 3 {
		t.Fatalf("events %+v, %v", all, err)
	}
	mine, err := f.client.Events(t.Context(), run, 10)
	if err != nil || len(mine) != 1 || mine[0].Cause != "timeout" || mine[0].Task != "extract" {
		t.Errorf("events of the run %+v, %v", mine, err)
	}
	if two, err := f.client.Events(t.Context(), "", 2); err != nil || len(two) != 2 {
		t.Errorf("two events: %+v, %v", two, err)
	}
	f.problem(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/events?limit=5000", "", "")
}

func TestExplain(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Engine = func() api.EngineCounts { return api.EngineCounts{Taken: 3} } })
	f.apply(sales)
	run := f.start().ID
	queued, err := f.client.Explain(t.Context(), run, "")
	if err != nil || !strings.Contains(queued.Run.Sentence, "no master owns partition 0") {
		t.Errorf("a run without an owner: %+v, %v", queued, err)
	}
	f.claim()
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run)}})
	waiting, err := f.client.Explain(t.Context(), run, "")
	if err != nil || len(waiting.Tasks) != 2 {
		t.Fatalf("explained %+v, %v", waiting, err)
	}
	if s := waiting.Tasks[0].Sentence; waiting.Tasks[0].State != flow.TaskReady || !strings.Contains(s, "no live worker") {
		t.Errorf("extract is %s because %q", waiting.Tasks[0].State, s)
	}
	if s := waiting.Tasks[1].Sentence; !strings.Contains(s, "extract") {
		t.Errorf("load is %s because %q", waiting.Tasks[1].State, s)
	}
	for _, id := range []fence.NodeID{"w@1", "w@2", "w@3"} {
		node := fence.Node{ID: id, Role: fence.Worker, State: fence.Live, Slots: 4, StartedAt: time.Now()}
		if err := f.store.Register(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.store.EndNode(t.Context(), "w@3", fence.Fenced, "certified death", time.Now()); err != nil {
		t.Fatal(err)
	}
	one, err := f.client.Explain(t.Context(), run, "extract")
	if err != nil || len(one.Tasks) != 1 || !strings.Contains(one.Tasks[0].Sentence, "2 live workers with 8 slots, 3 taken") {
		t.Errorf("explained %+v, %v", one, err)
	}
	f.finish(run)
	final, err := f.client.Explain(t.Context(), run, "")
	if err != nil || len(final.Tasks) != 0 || !strings.Contains(final.Run.Sentence, "succeeded; 2 of 2 task runs ended") {
		t.Errorf("a final run: %+v, %v", final, err)
	}
}

func TestVerify(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start().ID
	f.finish(run)
	good, err := f.client.Verify(t.Context())
	if err != nil || !good.Holds || len(good.Violations) != 0 || good.Runs != 1 {
		t.Errorf("verify of a good ledger: %+v, %v", good, err)
	}
	// Another run whose need was started after its dependant: not what any
	// machine of ours would write.
	bad := f.start().ID
	twice := ended(attempt(bad, "extract"), flow.AttemptSucceeded, nil)
	twice.Number, twice.Generation = 2, 2
	f.commit(partition.Batch{
		Runs:     []flow.Run{f.running(bad)},
		Attempts: []flow.Attempt{ended(attempt(bad, "extract"), flow.AttemptSucceeded, nil), twice},
	})
	broken, err := f.client.Verify(t.Context())
	if err != nil || broken.Holds || len(broken.Violations) == 0 {
		t.Fatalf("verify of two successes: %+v, %v", broken, err)
	}
	if !slices.ContainsFunc(broken.Violations, func(v api.Violation) bool { return v.Run == bad && v.Task == "extract" && v.Message != "" }) {
		t.Errorf("violations %+v", broken.Violations)
	}
	dialled := client.NewDialer(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(f.url, "http://"))
	})
	defer dialled.Close()
	if inProcess, err := dialled.Verify(t.Context()); err != nil || inProcess.Holds {
		t.Errorf("through a dialer: %+v, %v", inProcess, err)
	}
	response, answer := f.call(http.MethodPost, "/api/v1/verify", "", "")
	if response.StatusCode != http.StatusOK || !strings.Contains(answer, `"holds":false`) {
		t.Errorf("POST: %d %s", response.StatusCode, answer)
	}
}

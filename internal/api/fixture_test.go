package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/memory"
)

const masterID fence.NodeID = "127.0.0.1:1@2026-01-01T00:00:00Z"

// sales is the workflow of most tests: load needs extract.
const sales = `name: daily-sales
description: the sales of a day
params:
  region: cn
  count: {type: int, default: 1}
  token: {type: string, secret: true, default: s3cret-default}
tasks:
  extract:
    run: echo "rows=42" >> "$SEMEL_OUTPUT"
  load:
    needs: [extract]
    run: wc -l data.csv
`

// fixture is a server on a real listener, with a store that the test commits
// to as a master would.
type fixture struct {
	t      *testing.T
	store  store.Store
	server *api.Server
	url    string
	client *client.Client
	logs   string
	log    *bytes.Buffer // of the server, to be read after stop
	woken  *atomic.Int64
	stop   func() // ends the server and waits

	seq uint64
}

// open starts a server; configure may change what it is built from.
func open(t *testing.T, configure ...func(*api.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: openStore(t), logs: t.TempDir(), log: &bytes.Buffer{}, woken: &atomic.Int64{}}
	config := api.Config{
		Store:  f.store,
		Logs:   api.LogDir(f.logs),
		Wake:   func() { f.woken.Add(1) },
		Status: api.Status{Version: "test", Node: masterID, StartedAt: time.Now()},
		Log:    slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range configure {
		c(&config)
	}
	f.server = api.New(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + listener.Addr().String()
	f.client = client.New(f.url)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.server.Run(ctx, listener) }()
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
		f.client.Close()
		noneLeft(t)
		if strings.Contains(f.log.String(), "connections were cut") {
			t.Error("something did not end by itself when the server stopped")
		}
	}
	t.Cleanup(f.stop)
	return f
}

// in is the fixture for a subtest.
func (f fixture) in(t *testing.T) *fixture {
	f.t = t
	return &f
}

func openStore(t *testing.T) store.Store {
	t.Helper()
	s := memory.Open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// noneLeft fails if a goroutine of a server outlives it.
func noneLeft(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left := strings.Count(string(stacks), "internal/api.(*Server)") + strings.Count(string(stacks), "internal/api.(*followed)")
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("goroutines of the server are left:\n%s", stacks)
			return
		}
		runtime.Gosched()
	}
}

// call sends a request and returns the answer with its body.
func (f *fixture) call(method, path, contentType, body string, header ...string) (*http.Response, string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return f.send(r)
}

func (f *fixture) send(r *http.Request) (*http.Response, string) {
	f.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		f.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return response, string(answer)
}

// problem sends a request that is to be refused with a status, and returns the
// problem.
func (f *fixture) problem(status int, method, path, contentType, body string, header ...string) api.Problem {
	f.t.Helper()
	response, answer := f.call(method, path, contentType, body, header...)
	if response.StatusCode != status {
		f.t.Fatalf("%s %s: status %d, want %d; answer: %.500s", method, path, response.StatusCode, status, answer)
	}
	if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
		f.t.Errorf("%s %s: an error of type %q; answer: %.500s", method, path, kind, answer)
	}
	var p api.Problem
	if err := json.Unmarshal([]byte(answer), &p); err != nil {
		f.t.Fatalf("%s %s: %v in %.500s", method, path, err, answer)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
		f.t.Errorf("%s %s: incomplete problem %.500s", method, path, answer)
	}
	return p
}

// apply stores the workflow sales.
func (f *fixture) apply(source string) api.Applied {
	f.t.Helper()
	applied, err := f.client.Apply(f.t.Context(), api.Source{File: "sales.yaml", Source: source})
	if err != nil {
		f.t.Fatal(err)
	}
	return applied
}

// start starts a run of daily-sales.
func (f *fixture) start() api.Run {
	f.t.Helper()
	run, err := f.client.Start(f.t.Context(), api.StartRequest{Workflow: "daily-sales"})
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

// claim makes the test the owner of partition 0, with one worker beside it.
func (f *fixture) claim(workers ...fence.Node) store.Position {
	f.t.Helper()
	now := time.Now()
	master := fence.Node{ID: masterID, Role: fence.Master, State: fence.Live, StartedAt: now}
	for _, n := range append(workers, master) {
		if err := f.store.Register(f.t.Context(), n); err != nil {
			f.t.Fatal(err)
		}
	}
	position, err := f.store.Claim(f.t.Context(), 0, masterID, now)
	if err != nil {
		f.t.Fatal(err)
	}
	f.seq = position.Seq
	return position
}

// commit stores rows as the owner of partition 0.
func (f *fixture) commit(b partition.Batch) {
	f.t.Helper()
	f.seq++
	b.Epoch, b.Seq, b.At = 1, f.seq, time.Now()
	if err := f.store.Commit(f.t.Context(), &b); err != nil {
		f.t.Fatal(err)
	}
}

// row reads the stored row of a run.
func (f *fixture) row(id flow.RunID) flow.Run {
	f.t.Helper()
	run, err := f.store.Run(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

// running is the row of a run that was taken up.
func (f *fixture) running(id flow.RunID) flow.Run {
	run := f.row(id)
	run.State, run.StartedAt = flow.RunRunning, time.Now()
	return run
}

// succeeded is the row of a run that is over.
func (f *fixture) succeeded(id flow.RunID) flow.Run {
	run := f.running(id)
	run.State, run.FinishedAt = flow.RunSucceeded, time.Now()
	return run
}

// attempt is the first attempt of a task, as dispatched.
func attempt(run flow.RunID, task string) flow.Attempt {
	return flow.Attempt{
		Run: run, Task: task, Number: 1, Generation: 1, Epoch: 1, Node: "w@1",
		State: flow.AttemptDispatched, DispatchedAt: time.Now(),
	}
}

// ended is an attempt after its end.
func ended(a flow.Attempt, state flow.AttemptState, outputs flow.Outputs) flow.Attempt {
	code := 0
	if state == flow.AttemptFailed {
		code = 3
		a.Reason = "exit status 3"
	}
	now := time.Now()
	a.State, a.ExitCode, a.Outputs = state, &code, outputs
	a.Started, a.Finished = fence.Instant{Wall: now, Boot: 1}, fence.Instant{Wall: now, Boot: 2}
	return a
}

// finish makes the whole run succeed.
func (f *fixture) finish(id flow.RunID) {
	f.t.Helper()
	f.commit(partition.Batch{
		Runs: []flow.Run{f.succeeded(id)},
		Attempts: []flow.Attempt{
			ended(attempt(id, "extract"), flow.AttemptSucceeded, flow.Outputs{"rows": "42"}),
			ended(attempt(id, "load"), flow.AttemptSucceeded, nil),
		},
	})
}

// writeLog appends to the log of an attempt as a runner does.
func (f *fixture) writeLog(run flow.RunID, task string, number int, text string) {
	f.t.Helper()
	dir := filepath.Join(f.logs, string(run))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%s.%d.log", task, number)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		f.t.Fatal(err)
	}
}

func body(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// statusOf is the status of a problem that the client returned.
func statusOf(err error) int {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

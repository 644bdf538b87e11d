package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// startedRun is a run whose task extract has a running attempt.
func (f *fixture) startedRun() flow.RunID {
	f.t.Helper()
	f.claim()
	f.apply(sales)
	run := f.start().ID
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run)}, Attempts: []flow.Attempt{attempt(run, "extract")}})
	return run
}

func TestLog(t *testing.T) {
	f := open(t)
	run := f.startedRun()
	const text = "one\ntwo\n\x00\xff<script>\n"
	f.writeLog(run, "extract", 1, text)
	path := "/api/v1/runs/" + string(run) + "/tasks/extract/logs"
	for query, want := range map[string]string{
		"":                   text,
		"?attempt=1":         text,
		"?offset=4":          text[4:],
		"?offset=4&limit=3":  "two",
		"?limit=3":           "one",
		"?offset=-3":         text[len(text)-3:],
		"?offset=-1000":      text,
		"?offset=1000":       "",
		"?offset=4&limit=10": text[4:14],
	} {
		response, answer := f.call(http.MethodGet, path+query, "", "")
		if response.StatusCode != http.StatusOK || answer != want {
			t.Errorf("%s: %d %q, want %q", query, response.StatusCode, answer, want)
		}
		if response.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: a browser may take the log for a page: %v", query, response.Header)
		}
	}
	body, err := f.client.Log(t.Context(), client.LogQuery{Run: run, Task: "extract", Offset: -3})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if tail, err := io.ReadAll(body); err != nil || string(tail) != text[len(text)-3:] {
		t.Errorf("tail %q, %v", tail, err)
	}
	f.problem(http.StatusNotFound, http.MethodGet, path+"?attempt=2", "", "")
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+string(run)+"/tasks/load/logs", "", "")
	f.problem(http.StatusUnprocessableEntity, http.MethodGet, path+"?limit=-1", "", "")
	f.problem(http.StatusUnprocessableEntity, http.MethodGet, path+"?attempt=last", "", "")
}

// runReads counts how often a whole run is read.
type runReads struct {
	store.Store
	n atomic.Int64
}

func (r *runReads) LoadRun(ctx context.Context, id flow.RunID) (store.RunSnapshot, error) {
	r.n.Add(1)
	return r.Store.LoadRun(ctx, id)
}

// TestLogReadsOneTask: all logs of a run are as many requests as it has tasks,
// so that none of them may cost as much as the run is large.
func TestLogReadsOneTask(t *testing.T) {
	var reads *runReads
	f := open(t, func(c *api.Config) {
		reads = &runReads{Store: c.Store}
		c.Store = reads
	})
	run := f.startedRun()
	f.writeLog(run, "extract", 1, "one\n")
	f.finish(run)
	reads.n.Store(0)
	path := "/api/v1/runs/" + string(run) + "/tasks/extract/logs"
	for _, query := range []string{"", "?attempt=1", "?follow=true", "?follow=true&attempt=1"} {
		if response, answer := f.call(http.MethodGet, path+query, "", ""); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", query, response.StatusCode, answer)
		}
	}
	f.problem(http.StatusNotFound, http.MethodGet, path+"?attempt=2", "", "")
	if n := reads.n.Load(); n != 0 {
		t.Errorf("the whole run was read %d times for the log of one task", n)
	}
}

func TestLogOfWhatIsNotThere(t *testing.T) {
	f := open(t)
	run := f.startedRun()
	const nowhere = "/api/v1/runs/019aa4c0-1f2e-7a4b-9c3d-5e6f708192a3/tasks/extract/logs"
	tasks := "/api/v1/runs/" + string(run) + "/tasks/"
	for path, says := range map[string]string{
		nowhere:                             "there is no run 019aa4c0",
		"/api/v1/runs/x/tasks/extract/logs": `there is no run "x"`,
		tasks + "lod/logs":                  "has no task",
		tasks + "lod/logs?attempt=1":        "has no task",
		tasks + "load/logs":                 "has had no attempt yet",
		tasks + "load/logs?attempt=1":       "has no attempt 1: it has had 0 attempts",
	} {
		follow := "?follow=true"
		if strings.Contains(path, "?") {
			follow = "&follow=true"
		}
		for _, query := range []string{"", follow} {
			if query != "" && strings.HasSuffix(path, "load/logs") {
				continue // whoever follows waits for it
			}
			if p := f.problem(http.StatusNotFound, http.MethodGet, path+query, "", ""); !strings.Contains(p.Detail, says) {
				t.Errorf("%s: %q does not say %q", path+query, p.Detail, says)
			}
		}
	}
}

func TestLogOfAnAttemptThatHasNotStarted(t *testing.T) {
	f := open(t)
	run := f.startedRun()
	p := f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+string(run)+"/tasks/extract/logs", "", "")
	if !strings.Contains(p.Detail, "has no log") {
		t.Errorf("detail %q", p.Detail)
	}
}

// TestLargeLog sends more than any buffer holds, through characters that
// pieces cut in two.
func TestLargeLog(t *testing.T) {
	f := open(t)
	run := f.startedRun()
	text := "x" + strings.Repeat("日本語", 1<<18)
	f.writeLog(run, "extract", 1, text)
	body, err := f.client.Log(t.Context(), client.LogQuery{Run: run, Task: "extract"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if whole, err := io.ReadAll(body); err != nil || string(whole) != text {
		t.Errorf("%d bytes of %d, %v", len(whole), len(text), err)
	}
	f.finish(run)
	var followed strings.Builder
	for piece, err := range f.client.FollowLog(t.Context(), client.LogQuery{Run: run, Task: "extract"}) {
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(piece) {
			t.Errorf("a piece of %d bytes cuts a character in two", len(piece))
		}
		followed.Write(piece)
	}
	if followed.String() != text {
		t.Errorf("followed %d bytes of %d", followed.Len(), len(text))
	}
}

func TestFollowLog(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start().ID
	pieces := make(chan string, 100)
	go func() {
		defer close(pieces)
		for piece, err := range f.client.FollowLog(t.Context(), client.LogQuery{Run: run, Task: "extract"}) {
			if err != nil {
				t.Errorf("follow: %v", err)
				return
			}
			pieces <- string(piece)
		}
	}()
	f.waiting(1) // before there is an attempt at all
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run)}, Attempts: []flow.Attempt{attempt(run, "extract")}})
	got := ""
	for _, text := range []string{"one\n", "half of 日\xe6", "\x9c\xac\n", "\xff\xfe binary\n"} {
		f.writeLog(run, "extract", 1, text)
		for len(got) < 4 || !strings.HasSuffix(got, "\n") {
			piece, open := <-pieces
			got += piece
			if !open || strings.HasSuffix(got, "日") {
				break // the rest of the next character has not come, and must not be sent
			}
		}
	}
	f.writeLog(run, "extract", 1, "the end, without a new line")
	f.finish(run)
	for piece := range pieces {
		got += piece
	}
	if want := "one\nhalf of 日本\n\xff\xfe binary\nthe end, without a new line"; got != want {
		t.Errorf("followed %q, want %q", got, want)
	}
}

func TestFollowEndsForATaskThatNeverRuns(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start().ID
	stopped := f.succeeded(run)
	stopped.State = flow.RunStopped
	f.commit(partition.Batch{Runs: []flow.Run{stopped}, TaskRuns: []flow.TaskRun{
		{Run: run, Task: "extract", State: flow.TaskStopped, Cause: flow.CauseAsked},
		{Run: run, Task: "load", State: flow.TaskStopped, Cause: flow.CauseAsked},
	}})
	for piece, err := range f.client.FollowLog(t.Context(), client.LogQuery{Run: run, Task: "extract"}) {
		t.Errorf("followed %q, %v", piece, err)
	}
}

// TestFollowResumes breaks a stream and goes on with the id of its last
// message: no byte is missing, none comes twice.
func TestFollowResumes(t *testing.T) {
	f := open(t)
	run := f.startedRun()
	f.writeLog(run, "extract", 1, "first half, ")
	for _, query := range []string{"?follow=true", "?follow=true&attempt=1"} {
		path := "/api/v1/runs/" + string(run) + "/tasks/extract/logs" + query
		ctx, cancel := context.WithCancel(t.Context())
		lines := f.lines(ctx, path)
		var id string
		for line := range lines {
			if after, ok := strings.CutPrefix(line, "id: "); ok {
				id = after
				break
			}
		}
		cancel()
		if id == "" {
			t.Fatalf("%s: no message has an id", query)
		}
		if query == "?follow=true" {
			f.writeLog(run, "extract", 1, "second half")
			f.finish(run)
		}
		_, answer := f.call(http.MethodGet, path, "", "", "Last-Event-ID", id)
		if !strings.Contains(answer, `"text":"second half"`) && query == "?follow=true" || strings.Contains(answer, "first half") {
			t.Errorf("%s from %s: %s", query, id, answer)
		}
		if !strings.Contains(answer, "event: end\n") {
			t.Errorf("%s from %s: no end: %s", query, id, answer)
		}
	}
	path := "/api/v1/runs/" + string(run) + "/tasks/extract/logs?follow=true"
	for _, id := range []string{"x", "-1", "1-x", "1--3", "99999999999999999999"} {
		f.problem(http.StatusUnprocessableEntity, http.MethodGet, path, "", "", "Last-Event-ID", id)
	}
}

// lines yields the lines of a stream.
func (f *fixture) lines(ctx context.Context, path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+path, nil)
		if err != nil {
			f.t.Error(err)
			return
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			f.t.Error(err)
			return
		}
		defer response.Body.Close()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

func TestLogDirStaysInItsDirectory(t *testing.T) {
	const run = "018f0000-0000-7000-8000-000000000000"
	dir := t.TempDir()
	logs := api.LogDir(filepath.Join(dir, "logs"))
	if _, err := logs.Open(run, "extract", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there is a directory: %v", err)
	}
	inside := filepath.Join(dir, "logs", run)
	if err := os.MkdirAll(filepath.Join(inside, "directory.1.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "secret.1.log"):     "secret",
		filepath.Join(inside, "extract.1.log"): "mine",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../secret.1.log", filepath.Join(inside, "link.1.log")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		run    flow.RunID
		task   string
		number int
	}{
		{run, "../../secret", 1},
		{run, "..", 1},
		{run, "", 1},
		{run, "extract", 0},
		{run, "extract", -1},
		{run, "extract", 2},
		{run, "link", 1},
		{run, "directory", 1},
		{run, "extract\x00", 1},
		{"..", "secret", 1},
		{"", "secret", 1},
		{"../" + run, "extract", 1},
	} {
		if file, err := logs.Open(bad.run, bad.task, bad.number); err == nil {
			t.Errorf("%+v was opened", bad)
			file.Close()
		}
	}
	file, err := logs.Open(run, "extract", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if text, err := io.ReadAll(file); err != nil || string(text) != "mine" {
		t.Errorf("read %q, %v", text, err)
	}
}

// torn is a log whose disk fails after its first bytes.
type torn struct{ read bool }

func (l *torn) Open(flow.RunID, string, int) (io.ReadSeekCloser, error) { return &torn{}, nil }
func (l *torn) Seek(int64, int) (int64, error)                          { return 0, nil }
func (l *torn) Close() error                                            { return nil }

func (l *torn) Read(b []byte) (int, error) {
	if l.read {
		return 0, errors.New("input/output error")
	}
	l.read = true
	return copy(b, "the first half"), nil
}

// TestHalfALogIsNotTakenForAWhole cuts the connection, since the status is out.
func TestHalfALogIsNotTakenForAWhole(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Logs = &torn{} })
	run := f.startedRun()
	log, err := f.client.Log(t.Context(), client.LogQuery{Run: run, Task: "extract"})
	if err != nil {
		return // cut before the first bytes were out
	}
	defer log.Close()
	if text, err := io.ReadAll(log); err == nil {
		t.Errorf("read %q without an error", text)
	}
}

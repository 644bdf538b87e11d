package api_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

func TestWatch(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start().ID
	seen := make(chan api.Snapshot, 100)
	go func() {
		defer close(seen)
		for snapshot, err := range f.client.Watch(t.Context(), run) {
			if err != nil {
				t.Errorf("watch: %v", err)
				return
			}
			seen <- snapshot
		}
	}()
	first := <-seen
	if first.Run.State != flow.RunQueued || len(first.Tasks) != 2 || first.Tasks[0].Name != "extract" || first.Tasks[0].Attempt != 0 {
		t.Errorf("first snapshot %+v", first)
	}
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run)}, Attempts: []flow.Attempt{attempt(run, "extract")}})
	second := <-seen
	if second.Run.State != flow.RunRunning || second.Tasks[0].State != flow.TaskDispatched || second.Tasks[0].Attempt != 1 || second.Tasks[1].State != flow.TaskWaiting {
		t.Errorf("second snapshot %+v", second)
	}
	// Another run is none of this client's business.
	other := f.start().ID
	f.commit(partition.Batch{Runs: []flow.Run{f.running(other)}})
	f.finish(run)
	var last api.Snapshot
	more := 0
	for last = range seen {
		more++
	}
	if more != 1 || last.Run.State != flow.RunSucceeded || last.Tasks[1].State != flow.TaskSucceeded || last.Tasks[1].FinishedAt == nil {
		t.Errorf("%d more snapshots, the last %+v", more, last)
	}
}

// TestSlowClientGetsTheNewest has a client that reads nothing while the run
// changes a hundred times: nothing is kept for it, nobody waits for it, and when
// it reads at last it gets the end soon.
func TestSlowClientGetsTheNewest(t *testing.T) {
	f := open(t)
	f.claim()
	var source strings.Builder
	source.WriteString("name: daily-sales\ntasks:\n")
	for i := range 1000 {
		fmt.Fprintf(&source, "  a-task-with-a-rather-long-name-%04d: {run: 'true'}\n", i)
	}
	f.apply(source.String())
	run := f.start().ID
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(connection, "GET /api/v1/runs/%s/watch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", run); err != nil {
		t.Fatal(err)
	}
	f.waiting(1)
	for i := range 100 {
		row := f.running(run)
		row.Reason = fmt.Sprintf("change %d", i)
		f.commit(partition.Batch{Runs: []flow.Run{row}})
	}
	if response, _ := f.call(http.MethodGet, "/api/v1/runs/"+string(run), "", ""); response.StatusCode != http.StatusOK {
		t.Errorf("another client gets %d", response.StatusCode)
	}
	f.commit(partition.Batch{Runs: []flow.Run{f.succeeded(run)}})
	all, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(all), "event: snapshot"); n == 0 || n > 20 {
		t.Errorf("%d snapshots of a run that changed 101 times", n)
	}
	if !strings.Contains(string(all), `"state":"succeeded"`) || !strings.Contains(string(all), "event: end") {
		t.Errorf("the newest is not there: %.300s", all)
	}
}

// TestWatchingALargeRunIsCheap has a run of 10,000 tasks that changes every
// 10 ms: between two snapshots are 300 ms, but the end is told at once.
func TestWatchingALargeRunIsCheap(t *testing.T) {
	f := open(t)
	f.claim()
	var source strings.Builder
	source.WriteString("name: daily-sales\ntasks:\n")
	for i := range 10_000 {
		fmt.Fprintf(&source, "  t%04d: {noop: true}\n", i)
	}
	f.apply(source.String())
	run := f.start().ID
	synctest.Test(t, func(t *testing.T) {
		f := f.in(t)
		server := api.New(api.Config{Store: f.store, Logs: api.LogDir(f.logs), Log: slog.New(slog.DiscardHandler)})
		client := &watching{header: http.Header{}}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			server.ServeHTTP(client, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/v1/runs/"+string(run)+"/watch", nil))
		}()
		synctest.Wait()
		if client.status != http.StatusOK || len(client.snapshots) != 1 {
			t.Fatalf("status %d and %d snapshots at once, want one", client.status, len(client.snapshots))
		}
		for i := range 200 {
			row := f.running(run)
			row.Reason = fmt.Sprintf("change %d", i)
			f.commit(partition.Batch{Runs: []flow.Run{row}})
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(client.snapshots); n < 6 || n > 7 {
			t.Errorf("%d snapshots in two seconds, want one in 300 ms", n)
		}
		for i, at := range client.snapshots[1:] {
			if between := at.Sub(client.snapshots[i]); between < 300*time.Millisecond {
				t.Errorf("%v between two snapshots", between)
			}
		}
		begun, before := time.Now(), len(client.snapshots)
		f.commit(partition.Batch{Runs: []flow.Run{f.succeeded(run)}})
		<-ended
		if late := time.Since(begun); late > 2*10*time.Millisecond {
			t.Errorf("the end came after %v", late)
		}
		if len(client.snapshots) != before+1 || !client.end {
			t.Errorf("%d snapshots of the end, and end %t", len(client.snapshots)-before, client.end)
		}
	})
}

// watching is a client that notes when snapshots come.
type watching struct {
	header    http.Header
	status    int
	snapshots []time.Time
	end       bool
}

func (w *watching) Header() http.Header              { return w.header }
func (w *watching) WriteHeader(status int)           { w.status = status }
func (w *watching) Flush()                           {}
func (w *watching) SetWriteDeadline(time.Time) error { return nil }

func (w *watching) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("event: snapshot")) {
		w.snapshots = append(w.snapshots, time.Now())
	}
	w.end = w.end || bytes.HasPrefix(b, []byte("event: end"))
	return len(b), nil
}

// TestWatchOfNothing is answered as what it is, before a stream begins.
func TestWatchOfNothing(t *testing.T) {
	f := open(t)
	for _, run := range []string{"nope", "0190a000-0000-7000-8000-000000000000"} {
		f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+run+"/watch", "", "")
	}
}

// TestClientThatGoesAway leaves nothing behind, whatever it was reading.
func TestClientThatGoesAway(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := string(f.start().ID)
	var connections []net.Conn
	for _, path := range []string{"/watch", "/tasks/extract/logs?follow=true", "?wait=1m"} {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		connections = append(connections, connection)
		if _, err := fmt.Fprintf(connection, "GET /api/v1/runs/%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n", run, path); err != nil {
			t.Fatal(err)
		}
	}
	f.waiting(3)
	for _, connection := range connections {
		connection.Close()
	}
	f.waiting(0)
}

// TestStopEndsStreams stops the server under streams that are open.
func TestStopEndsStreams(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := f.start().ID
	ended := make(chan error, 1)
	go func() {
		var last error
		for _, err := range f.client.Watch(t.Context(), run) {
			last = err
		}
		ended <- last
	}()
	f.waiting(1)
	f.stop()
	if err := <-ended; err == nil {
		t.Error("a stream that the server cut ended as if the run had")
	}
}

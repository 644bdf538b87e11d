package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/api"
)

// server answers the requests of a test in their order.
type server struct {
	*httptest.Server

	mu   sync.Mutex
	seen []*http.Request
}

func answering(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		n := len(s.seen)
		s.seen = append(s.seen, r)
		s.mu.Unlock()
		if n >= len(answers) {
			t.Errorf("request %d is one too many: %s %s", n+1, r.Method, r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answers[n](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// requests are those that came so far.
func (s *server) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestStartIsRepeatedUnderOneKey(t *testing.T) {
	const started = `{"run":{"id":"r1","state":"queued"}}`
	s := answering(t, cut, status(http.StatusServiceUnavailable, `{}`), status(http.StatusCreated, started))
	run, err := New(s.URL).Start(t.Context(), api.StartRequest{Workflow: "w"})
	if err != nil || run.ID != "r1" {
		t.Fatalf("started %+v, %v", run, err)
	}
	first := s.requests()[0].Header.Get("Idempotency-Key")
	for i, r := range s.requests() {
		if key := r.Header.Get("Idempotency-Key"); key == "" || key != first {
			t.Errorf("request %d came under the key %q, the first under %q", i+1, key, first)
		}
	}
}

func TestRefusalIsNotRepeated(t *testing.T) {
	for _, code := range []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		s := answering(t, status(code, `{"title":"t","detail":"no"}`))
		_, err := New(s.URL).Start(t.Context(), api.StartRequest{Workflow: "w"})
		var p *Problem
		if !errors.As(err, &p) || p.Status != code || p.Error() != "no" {
			t.Errorf("status %d became %v", code, err)
		}
	}
}

func TestTriesEnd(t *testing.T) {
	s := answering(t, cut, cut, cut, cut)
	_, err := New(s.URL).Workflows(t.Context())
	var gone *Unreachable
	if !errors.As(err, &gone) || len(s.requests()) != triesMax {
		t.Errorf("%d tries, then %v", len(s.requests()), err)
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	err = New(url).Ready(t.Context())
	if want := fmt.Sprintf("no Semel server at %s: start one with `semel standalone` (connection refused)", url); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCancelledIsNotUnreachable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := New(s.URL).Workflows(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNew(t *testing.T) {
	for given, want := range map[string]string{
		"":                        DefaultURL,
		"127.0.0.1:1":             "http://127.0.0.1:1",
		"http://localhost:7130/":  "http://localhost:7130",
		"https://semel.example/x": "https://semel.example/x",
	} {
		if got := New(given).BaseURL(); got != want {
			t.Errorf("New(%q) speaks to %s, want %s", given, got, want)
		}
	}
}

func TestProblemText(t *testing.T) {
	for want, answer := range map[string]string{
		"the workflow has 1 fault\n  a.yaml:1:2: name: missing": `{"title":"t","detail":"the workflow has 1 fault","errors":[{"message":"a.yaml:1:2: name: missing","location":"body.source","line":1}]}`,
		"1 fault\n  body.params.x: unknown":                     `{"title":"t","detail":"1 fault","errors":[{"message":"unknown","location":"body.params.x"}]}`,
		"odd (error id 7; the server's log has the rest)":       `{"title":"t","detail":"odd","id":"7"}`,
		"<h1>proxy</h1>":                      `<h1>proxy</h1>`,
		"the server answered 400 Bad Request": ``,
	} {
		s := answering(t, status(http.StatusBadRequest, answer))
		if _, err := New(s.URL).Start(t.Context(), api.StartRequest{}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestFollowLogReconnects(t *testing.T) {
	s := answering(t,
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "event: log\nid: 2-4\ndata: {\"attempt\":2,\"offset\":0,\"text\":\"one\\n\"}\n\n: \n\n")
			_ = http.NewResponseController(w).Flush()
			cut(w, r)
		},
		status(http.StatusOK, "event: log\ndata: {\"attempt\":2,\"offset\":4,\"base64\":\"//4=\"}\n\nevent: end\ndata: {\"offset\":6,\"attempt\":2}\n\n"),
	)
	var got []byte
	for piece, err := range New(s.URL).FollowLog(t.Context(), LogQuery{Run: "r", Task: "a/b"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece...)
	}
	if !bytes.Equal(got, []byte("one\n\xff\xfe")) {
		t.Errorf("followed %q", got)
	}
	var urls []string
	for _, r := range s.requests() {
		urls = append(urls, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
	}
	want := []string{
		"/api/v1/runs/r/tasks/a%2Fb/logs?follow=true",
		"/api/v1/runs/r/tasks/a%2Fb/logs?attempt=2&follow=true&offset=4",
	}
	if diff := cmp.Diff(want, urls); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestStreamsThatBreak(t *testing.T) {
	for name, c := range map[string]struct{ answer, says string }{
		"ends early":    {"event: snapshot\ndata: {}\n\n", "no Semel server"},
		"is not JSON":   {"event: snapshot\ndata: {\n\n", "decode"},
		"half of it":    {"event: snapshot\ndata: {}\n", "no Semel server"},
		"line too long": {"data: " + strings.Repeat("x", lineMax+1), "no Semel server"},
	} {
		s := answering(t, status(http.StatusOK, c.answer))
		var last error
		for _, err := range New(s.URL).Watch(t.Context(), "r") {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, last, c.says)
		}
	}
}

package task

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// server answers by path, so that a table of requests reads as one.
func server(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("X-Token")+" "+r.Host)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/"))
		http.Error(w, "sorry:\n  "+strings.Repeat("no ", 100), code)
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"items":[{"id":12345678901234567890,"name":"a\"b","ok":true,"none":null}],"":1}`))
	})
	mux.HandleFunc("/loop/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/loop/"))
		if n == 0 {
			_, _ = w.Write([]byte("arrived"))
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/loop/%d", n-1), http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, bodyMax+1))
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

func send(ctx context.Context, c HTTP) (Outcome, string) {
	config, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	var log strings.Builder
	return httpType{}.Do(ctx, Request{Config: config, Log: &log}), log.String()
}

func TestHTTP(t *testing.T) {
	s := server(t)
	other := server(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	for name, c := range map[string]struct {
		request HTTP
		want    Outcome
	}{
		"Plain":         {HTTP{URL: "/echo"}, Outcome{}},
		"PostsABody":    {HTTP{URL: "/echo", Body: "hi", Headers: map[string]string{"X-Token": "t", "Host": "h"}, Outputs: map[string]string{"seen": "header:x-seen", "body": "body", "status": "status"}}, Outcome{Outputs: map[string]string{"seen": "POST t h", "body": "hi", "status": "200"}}},
		"Method":        {HTTP{URL: "/echo", Method: "DELETE", Outputs: map[string]string{"seen": "header:X-Seen"}}, Outcome{Outputs: map[string]string{"seen": "DELETE  " + s.Listener.Addr().String()}}},
		"404Fails":      {HTTP{URL: "/nowhere"}, Outcome{Failure: "HTTP 404 Not Found: 404 page not found"}},
		"500Fails":      {HTTP{URL: "/status/500"}, Outcome{Failure: "HTTP 500 Internal Server Error: sorry:" + strings.Repeat(" no", 64) + " ..."}},
		"404Expected":   {HTTP{URL: "/nowhere", Expect: []string{"200", "404"}, Outputs: map[string]string{"status": "status"}}, Outcome{Outputs: map[string]string{"status": "404"}}},
		"200Unexpected": {HTTP{URL: "/echo", Expect: []string{"201-299"}}, Outcome{Failure: "HTTP 200 OK"}},
		"JSON":          {HTTP{URL: "/json", Outputs: map[string]string{"id": "json:items[0].id", "name": "json:items[0].name", "item": "json:items[0].ok", "none": "json:items[0].none"}}, Outcome{Outputs: map[string]string{"id": "12345678901234567890", "name": `a"b`, "item": "true", "none": "null"}}},
		"JSONMissing":   {HTTP{URL: "/json", Outputs: map[string]string{"x": "json:items[0].color"}}, Outcome{Failure: `output x (json:items[0].color): the answer has no "color" there`}},
		"JSONShort":     {HTTP{URL: "/json", Outputs: map[string]string{"x": "json:items[1]"}}, Outcome{Failure: `output x (json:items[1]): the answer has a list of 1 there`}},
		"NotJSON":       {HTTP{URL: "/loop/0", Outputs: map[string]string{"x": "json:a"}}, Outcome{Failure: "output x (json:a): the answer is not JSON"}},
		"Redirects":     {HTTP{URL: "/loop/5", Outputs: map[string]string{"body": "body"}}, Outcome{Outputs: map[string]string{"body": "arrived"}}},
		"TooMany":       {HTTP{URL: "/loop/6"}, Outcome{Failure: "more than 5 redirects"}},
		"OtherHost":     {HTTP{URL: "/away?to=" + other.URL + "/echo", Headers: map[string]string{"X-Token": "secret"}, Outputs: map[string]string{"seen": "header:X-Seen"}}, Outcome{Outputs: map[string]string{"seen": "GET  " + other.Listener.Addr().String()}}},
		"OtherScheme":   {HTTP{URL: "/away?to=file:///etc/passwd"}, Outcome{Failure: "redirected from http to file"}},
		"Large":         {HTTP{URL: "/large", Outputs: map[string]string{"body": "body"}}, Outcome{Failure: "the answer is larger than 4 MiB, which is the most that can go into outputs"}},
		"LargeUnread":   {HTTP{URL: "/large"}, Outcome{}},
		"Timeout":       {HTTP{URL: "/hang", Timeout: "20ms"}, Outcome{Failure: "no answer within 20ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.URL = s.URL + c.request.URL
			got, log := send(t.Context(), c.request)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if strings.Contains(log, "secret") || len(log) > 2*logBodyMax {
				t.Errorf("log %q", log)
			}
		})
	}
}

func TestHTTP_SaysWhatItGotInItsLog(t *testing.T) {
	s := server(t)
	_, log := send(t.Context(), HTTP{URL: strings.Replace(s.URL, "http://", "http://user:password@", 1) + "/loop/0"})
	if !strings.Contains(log, "GET http://user:xxxxx@") || !strings.Contains(log, ": 200 OK after ") || !strings.HasSuffix(log, "\narrived\n") {
		t.Errorf("log %q", log)
	}
}

func TestHTTP_EndsWhenItIsKilled(t *testing.T) {
	s := server(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, _ := send(ctx, HTTP{URL: s.URL + "/hang"}); got.Failure == "" {
		t.Errorf("%+v, want a failure", got)
	}
}

func TestHTTP_NobodyListens(t *testing.T) {
	s := server(t)
	s.Close()
	got, _ := send(t.Context(), HTTP{URL: s.URL})
	if !strings.Contains(got.Failure, "connection refused") || strings.Contains(got.Failure, s.URL) {
		t.Errorf("%+v, want a plain reason", got)
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string][]step{
		".": nil, "a": {{key: "a"}}, "a.b[0].c": {{key: "a"}, {key: "b"}, {index: 0}, {key: "c"}}, "[1][2]": {{index: 1}, {index: 2}},
	} {
		got, err := parsePath(path)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", path, err, diff)
		}
	}
	for _, path := range []string{"a..b", "a[", "a[x]", "a[-1]", ".a.", "[0]]"} {
		if got, err := parsePath(path); err == nil {
			t.Errorf("%s: %v, want an error", path, got)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{".", "a.b[0].c", "[1]", "a..", "a[", "]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if path, err := parsePath(s); err == nil && len(path) > len(s) {
			t.Errorf("%q has %d steps", s, len(path))
		}
	})
}

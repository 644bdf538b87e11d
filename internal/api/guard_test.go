package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

func TestHost(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Hosts = []string{"semel.example"} })
	for host, status := range map[string]int{
		"localhost":            200,
		"LOCALHOST:7130":       200,
		"localhost.":           200,
		"127.0.0.1":            200,
		"127.0.0.1:7130":       200,
		"[::1]:7130":           200,
		"semel.example":        200,
		"Semel.Example:80":     200,
		"evil.example":         403,
		"evil.example:7130":    403,
		"localhost.evil":       403,
		"127.0.0.1.nip.io":     403,
		"semel.example.evil":   403,
		"127.0.0.1@evil":       403,
		"evil#127.0.0.1":       403,
		"2130706433.localhost": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/status", nil)
		r.Host = host
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("Host %q: %d, want %d: %s", host, w.Code, status, w.Body)
		}
	}
}

func TestOtherOriginsChangeNothing(t *testing.T) {
	f := open(t)
	f.apply(sales)
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"no browser":               {nil, 201},
		"same origin":              {[]string{"Origin", f.url, "Sec-Fetch-Site", "same-origin"}, 201},
		"another site":             {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another port":             {[]string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, 403},
		"an old browser":           {[]string{"Origin", "https://evil.example"}, 403},
		"a page without an origin": {[]string{"Origin", "null"}, 403},
	} {
		response, answer := f.call(http.MethodPost, "/api/v1/runs", "application/json", `{"workflow":"daily-sales"}`, c.header...)
		if response.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %s", name, response.StatusCode, c.status, answer)
		}
	}
	response, _ := f.call(http.MethodGet, "/api/v1/runs", "", "", "Origin", "https://evil.example")
	if allow := response.Header.Get("Access-Control-Allow-Origin"); allow != "" {
		t.Errorf("another origin may read answers: %q", allow)
	}
}

func TestNothingThere(t *testing.T) {
	f := open(t)
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v1/", "/api/v2/runs", "/favicon.ico", "/docs", "/schemas/Run", "/api/v1/runs/"} {
		f.problem(http.StatusNotFound, http.MethodGet, path, "", "")
	}
	p := f.problem(http.StatusMethodNotAllowed, http.MethodDelete, "/api/v1/runs", "", "")
	if !strings.Contains(p.Detail, "POST") {
		t.Errorf("detail %q", p.Detail)
	}
	f.problem(http.StatusMethodNotAllowed, http.MethodPost, "/api/v1/workflows", "application/json", "{}", "X-HTTP-Method-Override", "PUT")
}

// failing is a store in which reading runs fails as the test says.
type failing struct {
	store.Store
	err error
}

func (s failing) Runs(context.Context, store.RunFilter) ([]flow.Run, error) {
	if s.err == nil {
		panic("the sky falls")
	}
	return nil, s.err
}

func (s failing) Stats(context.Context) (store.Stats, error) { return store.Stats{}, s.err }

func (s failing) Health(context.Context) error { return s.err }

func TestErrorsOfTheStore(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"full":      {store.ErrFull, http.StatusInsufficientStorage, "space"},
		"read-only": {store.ErrReadOnly, http.StatusServiceUnavailable, "written"},
		"corrupt":   {store.ErrCorrupt, http.StatusServiceUnavailable, "damaged"},
		"unknown":   {store.ErrUnknown, http.StatusServiceUnavailable, "same idempotency key"},
		"reused":    {store.ErrKeyReused, http.StatusConflict, "new one"},
		"missing":   {store.ErrNotFound, http.StatusNotFound, ""},
		"any other": {errors.New("secret detail"), http.StatusInternalServerError, "log"},
		"a panic":   {nil, http.StatusInternalServerError, "log"},
	} {
		t.Run(name, func(t *testing.T) {
			var inner store.Store
			f := open(t, func(config *api.Config) {
				inner = config.Store
				err := c.err
				if err != nil {
					err = fmt.Errorf("list runs: %w", err)
				}
				config.Store = failing{inner, err}
			})
			p := f.problem(c.status, http.MethodGet, "/api/v1/runs", "", "")
			if !strings.Contains(p.Detail, c.says) || strings.Contains(p.Detail, "secret detail") {
				t.Errorf("detail %q, want %q in it", p.Detail, c.says)
			}
			if (c.status == http.StatusInternalServerError) != (p.ID != "") {
				t.Errorf("status %d with the id %q", c.status, p.ID)
			}
			f.stop()
			if p.ID != "" && !strings.Contains(f.log.String(), p.ID) {
				t.Errorf("the log does not name %s: %s", p.ID, f.log)
			}
			if name == "any other" && !strings.Contains(f.log.String(), "secret detail") {
				t.Errorf("the log does not have the rest: %s", f.log)
			}
			if name == "a panic" && !strings.Contains(f.log.String(), "guard_test.go") {
				t.Errorf("the log does not have the stack: %s", f.log)
			}
		})
	}
}

// TestHeaders sends what no client sends, on a bare connection.
func TestHeaders(t *testing.T) {
	f := open(t)
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no host":       {"GET /api/v1/status HTTP/1.0\r\n\r\n", 403},
		"two lengths":   {"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
		"smuggled":      {"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		"huge header":   {"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 512<<10) + "\r\n\r\n", 431},
		"dots in path":  {"GET /api/v1/runs/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0},
		"absolute path": {"GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 403},
	} {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(connection, c.request) }() // the server may hang up before it has read everything
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			connection.Close()
			continue
		}
		if c.status != 0 && response.StatusCode != c.status || response.StatusCode < 300 || response.StatusCode >= 500 {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode, c.status)
		}
		response.Body.Close()
		connection.Close()
	}
}

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

// listing serves GET /runs as the API does: newest first, below after.
func listing(t *testing.T, ids ...string) *client.Client {
	t.Helper()
	slices.Sort(ids)
	slices.Reverse(ids)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			t.Errorf("limit: %v", err)
		}
		page := api.RunList{Runs: []api.Run{}}
		for _, id := range ids {
			if after := r.URL.Query().Get("after"); (after == "" || id < after) && len(page.Runs) < limit {
				page.Runs = append(page.Runs, api.Run{ID: flow.RunID(id), Workflow: "w", State: flow.RunRunning})
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Errorf("answer: %v", err)
		}
	}))
	t.Cleanup(server.Close)
	c := client.New(server.URL)
	t.Cleanup(c.Close)
	return c
}

func TestFindRun(t *testing.T) {
	const (
		first  = "019aa4c0-1f2e-7a4b-9c3d-5e6f708192a3"
		second = "019aa4c0-1f2f-7a4b-9c3d-5e6f708192a3"
		third  = "019bffff-ffff-7fff-bfff-ffffffffffff"
	)
	c := listing(t, first, second, third)
	for typed, want := range map[string]string{
		lastRun:                            third,
		first:                              first,
		"019aa4c0-1f2e":                    first,
		"019aa4c01f2f":                     second,
		"019AA4C0-1F2F-7":                  second,
		"019aa4c0-1f2e-":                   first,
		"019b":                             third,
		"019bffffffff":                     third,
		"019aa4c01f2e7a4b9c3d5e6f708192a3": first,
		// A whole id is the server's to know.
		"019aa4c0-0000-7a4b-9c3d-5e6f708192a3": "019aa4c0-0000-7a4b-9c3d-5e6f708192a3",
	} {
		if got, err := findRun(t.Context(), c, typed); err != nil || string(got) != want {
			t.Errorf("findRun(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
	for typed, want := range map[string]string{
		"019aa4c0":  "more than one run: write more of it\n  " + second + "  w running\n  " + first,
		"019":       "more than one run",
		"018":       "there is no run",
		"02":        "there is no run",
		"xyz":       "is not the id of a run",
		"":          "is not the id of a run",
		first + "0": "is not the id of a run",
	} {
		got, err := findRun(t.Context(), c, typed)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("findRun(%q) = %q, %v; want an error with %q", typed, got, err, want)
		}
		if code := codeOf(err); code != exitBad {
			t.Errorf("findRun(%q): exit code %d, want %d", typed, code, exitBad)
		}
	}
	if got, err := findRun(t.Context(), listing(t), lastRun); err == nil {
		t.Errorf("without runs, the last one is %q", got)
	}
}

func TestConnect(t *testing.T) {
	for _, test := range []struct{ flag, env, want string }{
		{"", "", client.DefaultURL},
		{"", "localhost:8080", "http://localhost:8080"},
		{"https://semel.example.org/base/", "localhost:8080", "https://semel.example.org/base"},
		{"ftp://localhost", "", ""},
		{"http://", "", ""},
		{"http://a b", "", ""},
	} {
		t.Setenv(serverEnv, test.env)
		c, err := (&remote{url: test.flag}).connect()
		switch {
		case test.want == "" && err == nil:
			t.Errorf("%+v: connected to %s, want an error", test, c.BaseURL())
		case test.want != "" && (err != nil || c.BaseURL() != test.want):
			t.Errorf("%+v: got %v, %v", test, c, err)
		}
	}
}

func TestParseParams(t *testing.T) {
	got, err := parseParams([]string{"region=cn", "filter=a=b", "empty="})
	if err != nil || got["region"] != "cn" || got["filter"] != "a=b" || got["empty"] != "" || len(got) != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, wrong := range [][]string{{"region"}, {"=cn"}, {"a=1", "a=2"}} {
		if got, err := parseParams(wrong); err == nil {
			t.Errorf("parseParams(%q) = %v, want an error", wrong, got)
		}
	}
}

func TestIsFile(t *testing.T) {
	for name, want := range map[string]bool{
		"daily-sales": false, "daily.sales": false, "daily.yaml": true, "daily.yml": true, "./daily": true, "a/b": true, "-": true,
	} {
		if got := isFile(name); got != want {
			t.Errorf("isFile(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.1.2.3": true, "::1": true, "localhost": true,
		"": false, "0.0.0.0": false, "::": false, "192.168.1.1": false, "example.org": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %v, want %v", host, got, want)
		}
	}
}

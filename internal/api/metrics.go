package api

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/semel-dev/semel/internal/flow"
)

// durationBuckets are upper bounds, in seconds.
var durationBuckets = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30}

// metrics are the server's numbers, in the text format of Prometheus. Counts
// of rows are read when somebody asks; only durations are kept.
type metrics struct {
	server *Server

	mu        sync.Mutex
	durations map[durationLabels]*histogram
}

// durationLabels are bounded: a route is one of the patterns that are
// registered, never a path that somebody asked for.
type durationLabels struct {
	route string // with its method
	class string // 2xx, 4xx, ...
}

type histogram struct {
	buckets []uint64 // not cumulative; one more than durationBuckets
	sum     float64
}

func newMetrics(s *Server) *metrics {
	return &metrics{server: s, durations: map[durationLabels]*histogram{}}
}

// answered counts a request. Streams are not counted: their duration says how
// long somebody looked.
func (m *metrics) answered(r *http.Request, status int, took time.Duration) {
	if strings.HasSuffix(r.Pattern, "/watch") || r.URL.Query().Has("follow") || r.URL.Query().Has("wait") {
		return
	}
	labels := durationLabels{route: cmp.Or(r.Pattern, "none"), class: strconv.Itoa(status/100) + "xx"}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.durations[labels]
	if h == nil {
		h = &histogram{buckets: make([]uint64, len(durationBuckets)+1)}
		m.durations[labels] = h
	}
	bucket, _ := slices.BinarySearch(durationBuckets, took.Seconds())
	h.buckets[bucket]++
	h.sum += took.Seconds()
}

// ServeHTTP answers a scrape.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	stats, err := m.server.Store.Stats(r.Context())
	if err != nil {
		m.server.asProblem(r.Context(), "metrics", fmt.Errorf("count what is stored: %w", err)).write(w)
		return
	}
	var b bytes.Buffer
	head(&b, "semel_info", "gauge", "The version that answers.")
	fmt.Fprintf(&b, "semel_info{version=%q} 1\n", m.server.Status.Version)
	head(&b, "semel_runs", "gauge", "Runs in the store, by state.")
	for _, state := range []flow.RunState{
		flow.RunQueued, flow.RunRunning, flow.RunPausing, flow.RunPaused,
		flow.RunStopping, flow.RunStopped, flow.RunFailed, flow.RunSucceeded,
	} {
		fmt.Fprintf(&b, "semel_runs{state=%q} %d\n", state, stats.Runs[state])
	}
	gauge(&b, "semel_commands_pending", "Commands that nobody has consumed.", int64(stats.Pending))
	gauge(&b, "semel_store_bytes", "Size of the store.", stats.Bytes)
	gauge(&b, "semel_streams", "Followed logs, watched runs and waits.", int64(len(m.server.streams)))
	gauge(&b, "go_goroutines", "Goroutines of the process.", int64(runtime.NumGoroutine()))
	m.writeDurations(&b)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the client has gone
}

func (m *metrics) writeDurations(b *bytes.Buffer) {
	const name = "semel_http_request_duration_seconds"
	head(b, name, "histogram", "Time to answer, by route and class of status; streams and waits are left out.")
	m.mu.Lock()
	defer m.mu.Unlock()
	sorted := slices.SortedFunc(maps.Keys(m.durations), func(a, b durationLabels) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.class, b.class))
	})
	for _, l := range sorted {
		h := m.durations[l]
		var total uint64
		for i, n := range h.buckets {
			total += n
			bound := "+Inf"
			if i < len(durationBuckets) {
				bound = strconv.FormatFloat(durationBuckets[i], 'g', -1, 64)
			}
			fmt.Fprintf(b, "%s_bucket{route=%q,status=%q,le=%q} %d\n", name, l.route, l.class, bound, total)
		}
		fmt.Fprintf(b, "%s_sum{route=%q,status=%q} %g\n", name, l.route, l.class, h.sum)
		fmt.Fprintf(b, "%s_count{route=%q,status=%q} %d\n", name, l.route, l.class, total)
	}
}

func gauge(b *bytes.Buffer, name, help string, value int64) {
	head(b, name, "gauge", help)
	fmt.Fprintf(b, "%s %d\n", name, value)
}

func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

// durationBuckets are upper bounds, in seconds.
var durationBuckets = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30}

// EngineCounts are the numbers of the masters of this process. The totals
// count from its start.
type EngineCounts struct {
	Runs     int // in memory: those that are not final
	Ready    int // task runs that may start, and wait for a slot
	Active   int // attempts on workers, or on their way there
	Taken    int // slots that these attempts take
	Commits  uint64
	Rows     uint64 // that the commits brought
	Finished map[flow.AttemptState]uint64
}

// metrics are the server's numbers. Counts of rows are read when somebody
// asks; only durations are kept.
type metrics struct {
	server    *Server
	kept      *prometheus.Registry
	durations *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		server: s,
		kept:   prometheus.NewRegistry(),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "semel_http_request_duration_seconds",
			Help:    "Time to answer, by route and class of status; streams and waits are left out.",
			Buckets: durationBuckets,
		}, []string{"route", "status"}),
	}
	m.kept.MustRegister(m.durations, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answered counts a request. Streams are not counted: their duration says how
// long somebody looked. The labels are bounded: a route is one of the patterns
// that are registered, never a path that somebody asked for.
func (m *metrics) answered(r *http.Request, status int, took time.Duration) {
	if strings.HasSuffix(r.Pattern, "/watch") || r.URL.Query().Has("follow") || r.URL.Query().Has("wait") {
		return
	}
	m.durations.WithLabelValues(cmp.Or(r.Pattern, "none"), strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// ServeHTTP answers a scrape.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	stats, err := m.server.Store.Stats(r.Context())
	if err != nil {
		m.server.asProblem(r.Context(), "metrics", fmt.Errorf("count what is stored: %w", err)).write(w)
		return
	}
	counted := prometheus.NewRegistry()
	counted.MustRegister(m.count(&stats))
	promhttp.HandlerFor(prometheus.Gatherers{counted, m.kept}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// count makes the numbers of one scrape.
func (m *metrics) count(stats *store.Stats) readings {
	var now readings
	now.add("semel_info", "The version that answers.", prometheus.GaugeValue, 1, "version", m.server.Status.Version)
	for _, state := range []flow.RunState{
		flow.RunQueued, flow.RunRunning, flow.RunPausing, flow.RunPaused,
		flow.RunStopping, flow.RunStopped, flow.RunFailed, flow.RunSucceeded,
	} {
		now.add("semel_runs", "Runs in the store, by state.", prometheus.GaugeValue, float64(stats.Runs[state]), "state", string(state))
	}
	now.gauge("semel_commands_pending", "Commands that nobody has consumed.", float64(stats.Pending))
	now.gauge("semel_store_bytes", "Size of the store.", float64(stats.Bytes))
	now.gauge("semel_streams", "Followed logs, watched runs and waits.", float64(len(m.server.streams)))
	if m.server.Engine != nil {
		now.engine(m.server.Engine())
	}
	return now
}

// readings are numbers that somebody else counts, as of one moment.
type readings []prometheus.Metric

func (r *readings) engine(c EngineCounts) {
	r.gauge("semel_runs_in_memory", "Runs that the masters of this process drive.", float64(c.Runs))
	r.gauge("semel_tasks_ready", "Task runs that may start, and wait for a slot.", float64(c.Ready))
	r.gauge("semel_tasks_active", "Attempts on workers, or on their way there.", float64(c.Active))
	r.gauge("semel_slots_taken", "Slots of workers that these attempts take.", float64(c.Taken))
	r.add("semel_commits_total", "Commits of the masters of this process.", prometheus.CounterValue, float64(c.Commits))
	r.add("semel_commit_rows_total", "Rows that these commits brought.", prometheus.CounterValue, float64(c.Rows))
	for _, state := range []flow.AttemptState{
		flow.AttemptSucceeded, flow.AttemptFailed, flow.AttemptStopped, flow.AttemptLost, flow.AttemptBuried,
	} {
		r.add("semel_attempts_finished_total", "Attempts whose end these commits recorded, by state.",
			prometheus.CounterValue, float64(c.Finished[state]), "state", string(state))
	}
}

func (r *readings) gauge(name, help string, value float64) {
	r.add(name, help, prometheus.GaugeValue, value)
}

// add adds one number; label is nothing, or a name and its value.
func (r *readings) add(name, help string, kind prometheus.ValueType, value float64, label ...string) {
	var names, values []string
	if len(label) > 0 {
		names, values = label[:1], label[1:]
	}
	*r = append(*r, prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...))
}

// Describe is prometheus.Collector. It announces nothing: what is announced is
// collected once more when it is registered.
func (r readings) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector.
func (r readings) Collect(to chan<- prometheus.Metric) {
	for _, metric := range r {
		to <- metric
	}
}

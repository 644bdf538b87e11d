package bench

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/engine"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/spec"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/sqlite"
)

// BenchmarkNoop is 1,000 runs of 5 noop tasks, durable, against what the store
// alone takes of the same rows in batches. The runs are submitted first; what
// is measured is from the first of them being taken up to the end of the last.
func BenchmarkNoop(b *testing.B) {
	const runs, tasks = 1000, 5
	for _, level := range []string{"full", "normal"} {
		b.Run("sync="+level, func(b *testing.B) {
			var raw, ours time.Duration
			for b.Loop() {
				raw += rawCommits(b, level, runs*tasks)
				ours += queuedRuns(b, level, runs)
			}
			report(b, b.N*runs*tasks, raw, ours)
		})
	}
}

func report(b *testing.B, tasks int, raw, ours time.Duration) {
	n := float64(tasks)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(n/raw.Seconds(), "raw-tasks/s")
	b.ReportMetric(n/ours.Seconds(), "semel-tasks/s")
	b.ReportMetric(100*raw.Seconds()/ours.Seconds(), "%-of-raw")
}

// queuedRuns lets an engine find so many runs in its store.
func queuedRuns(b *testing.B, level string, runs int) time.Duration {
	b.Helper()
	e, start := stopped(b, engine.Config{Data: b.TempDir(), Sync: level})
	workflow, err := spec.Parse("chain.yaml", []byte(chain(5, "noop: true")))
	if err != nil {
		b.Fatal(err)
	}
	s := e.Store()
	if _, _, err := s.Apply(b.Context(), store.Definition{Workflow: *workflow, Digest: "chain"}, time.Now()); err != nil {
		b.Fatal(err)
	}
	for range runs {
		id := uuid.Must(uuid.NewV7()).String()
		c := partition.Command{ID: id, Key: id, Kind: partition.KindStart, Run: flow.RunID(id), Digest: id, CreatedAt: time.Now()}
		run := flow.Run{ID: flow.RunID(id), Workflow: workflow.Name, Version: 1, State: flow.RunQueued, CreatedAt: time.Now()}
		if _, _, err := s.Submit(b.Context(), c, &run); err != nil {
			b.Fatal(err)
		}
	}
	changed, cancel := s.Changed()
	defer cancel()
	start()
	for {
		stats, err := s.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if stats.Runs[flow.RunSucceeded] == runs {
			break
		}
		<-changed
	}
	return between(b, s, runs)
}

// between is the time from the first start to the last end of all runs.
func between(b *testing.B, s store.Store, runs int) time.Duration {
	b.Helper()
	all, err := s.Runs(b.Context(), store.RunFilter{Limit: runs})
	if err != nil {
		b.Fatal(err)
	}
	first, last := all[0].StartedAt, all[0].FinishedAt
	for i := range all {
		if all[i].StartedAt.Before(first) {
			first = all[i].StartedAt
		}
		if all[i].FinishedAt.After(last) {
			last = all[i].FinishedAt
		}
	}
	return last.Sub(first)
}

// BenchmarkNoopByHTTP is the same with every run started, and waited for, by a
// request of its own, 16 at a time: what the API costs.
func BenchmarkNoopByHTTP(b *testing.B) {
	const runs, tasks = 1000, 5
	e := embedded(b, engine.Config{Data: b.TempDir()})
	if _, err := e.Client().Apply(b.Context(), api.Source{Source: chain(tasks, "noop: true")}); err != nil {
		b.Fatal(err)
	}
	var raw, ours time.Duration
	for b.Loop() {
		raw += rawCommits(b, "full", runs*tasks)
		ours += manyRuns(b, e, runs)
	}
	report(b, b.N*runs*tasks, raw, ours)
}

func manyRuns(b *testing.B, e *engine.Engine, runs int) time.Duration {
	b.Helper()
	next := make(chan struct{})
	var wg sync.WaitGroup
	from := time.Now()
	for range 16 {
		wg.Go(func() {
			for range next {
				run, err := e.Client().Start(b.Context(), api.StartRequest{Workflow: "chain"})
				if err != nil {
					b.Error(err)
					continue
				}
				took(b, e, run.ID)
			}
		})
	}
	for range runs {
		next <- struct{}{}
	}
	close(next)
	wg.Wait()
	return time.Since(from)
}

// rawCommits is the limit: the two row writes of each task, in batches of
// 1,000 rows, by a loop that does nothing else.
func rawCommits(b *testing.B, level string, tasks int) time.Duration {
	b.Helper()
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "raw.db"), Sync: sqlite.Sync(level)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	owner := fence.Node{ID: "m@1", Role: fence.Master, State: fence.Live}
	if err := s.Register(b.Context(), owner); err != nil {
		b.Fatal(err)
	}
	p, err := s.Claim(b.Context(), 0, owner.ID, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	run := flow.Run{ID: flow.RunID(uuid.Must(uuid.NewV7()).String()), Workflow: "raw", Version: 1, State: flow.RunRunning, CreatedAt: time.Now()}
	from := time.Now()
	batch := &partition.Batch{Epoch: p.Epoch, Seq: p.Seq, Runs: []flow.Run{run}}
	flush := func() {
		batch.Seq++
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch.Runs, batch.Attempts = nil, batch.Attempts[:0]
	}
	for _, state := range []flow.AttemptState{flow.AttemptDispatched, flow.AttemptSucceeded} {
		for i := range tasks {
			batch.Attempts = append(batch.Attempts, flow.Attempt{
				Run: run.ID, Task: fmt.Sprintf("t%d", i), Number: 1, Generation: 1, Epoch: p.Epoch, Node: "w@1", State: state, DispatchedAt: from,
			})
			if len(batch.Attempts) == 1000 {
				flush()
			}
		}
	}
	flush()
	return time.Since(from)
}

// BenchmarkLargeRun is one run of many noop tasks side by side: time and memory
// per task have to stay the same as the run grows.
func BenchmarkLargeRun(b *testing.B) {
	for _, width := range []int{25_000, 50_000, 100_000} {
		b.Run(fmt.Sprintf("tasks=%d", width), func(b *testing.B) {
			source := fan(width, "noop: true")
			var total time.Duration
			var heap uint64
			for b.Loop() {
				e := embedded(b, engine.Config{Data: b.TempDir()})
				total += finish(b, e, source)
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				heap = max(heap, m.HeapInuse)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total.Seconds()/float64(b.N), "s/run")
			b.ReportMetric(total.Seconds()*1e6/float64(b.N*width), "us/task")
			b.ReportMetric(float64(heap)/float64(width), "heap-B/task")
			b.ReportMetric(float64(heap)/(1<<20), "heap-MiB")
		})
	}
}

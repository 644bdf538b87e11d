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
	"github.com/semel-dev/semel/internal/store/sqlite"
)

// BenchmarkNoop is 1,000 runs of 5 noop tasks, durable, from the first start to
// the last end, against what the store alone takes of the same rows in batches.
// The starts go through the API, 16 at a time.
func BenchmarkNoop(b *testing.B) {
	const runs, tasks = 1000, 5
	for _, level := range []string{"full", "normal"} {
		b.Run("sync="+level, func(b *testing.B) {
			e := embedded(b, engine.Config{Data: b.TempDir(), Sync: level})
			if _, err := e.Client().Apply(b.Context(), api.Source{Source: chain(tasks, "noop: true")}); err != nil {
				b.Fatal(err)
			}
			var raw, ours time.Duration
			for b.Loop() {
				raw += rawCommits(b, level, runs*tasks)
				ours += manyRuns(b, e, runs)
			}
			n := float64(b.N * runs * tasks)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(n/raw.Seconds(), "raw-tasks/s")
			b.ReportMetric(n/ours.Seconds(), "semel-tasks/s")
			b.ReportMetric(100*raw.Seconds()/ours.Seconds(), "%-of-raw")
		})
	}
}

func manyRuns(b *testing.B, e *engine.Engine, runs int) time.Duration {
	b.Helper()
	ids := make([]flow.RunID, runs)
	next := make(chan int)
	var wg sync.WaitGroup
	from := time.Now()
	for range 16 {
		wg.Go(func() {
			for i := range next {
				run, err := e.Client().Start(b.Context(), api.StartRequest{Workflow: "chain"})
				if err != nil {
					b.Error(err)
					continue
				}
				ids[i] = run.ID
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, id := range ids {
		took(b, e, id)
	}
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

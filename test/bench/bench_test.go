// Package bench measures what Semel costs, each figure beside its own limit,
// measured in the same run on the same machine: only the ratios mean anything.
package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/engine"
	"github.com/semel-dev/semel/internal/flow"
)

// embedded runs an engine in this process, as `semel run` does, until the
// benchmark ends.
func embedded(b *testing.B, cfg engine.Config) *engine.Engine {
	b.Helper()
	e, start := stopped(b, cfg)
	start()
	return e
}

// stopped is an engine that runs from start until the benchmark ends.
func stopped(b *testing.B, cfg engine.Config) (_ *engine.Engine, start func()) {
	b.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	e, err := engine.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e, func() { go func() { done <- e.Run(ctx) }() }
}

// finish starts a source and waits for the end of the run. It returns how long
// the run took by its own account: from the moment it was taken up to the
// commit of its end.
func finish(b *testing.B, e *engine.Engine, source string) time.Duration {
	b.Helper()
	run, err := e.Client().StartInline(b.Context(), api.StartInlineRequest{Source: source})
	if err != nil {
		b.Fatal(err)
	}
	return took(b, e, run.ID)
}

func took(b *testing.B, e *engine.Engine, id flow.RunID) time.Duration {
	b.Helper()
	detail, err := e.Client().Wait(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	if detail.Run.State != flow.RunSucceeded {
		b.Fatalf("run %s is %s: %s", id, detail.Run.State, detail.Run.Reason)
	}
	return detail.Run.FinishedAt.Sub(*detail.Run.StartedAt)
}

// chain is n tasks one behind the other.
func chain(n int, body string) string {
	var s strings.Builder
	s.WriteString("name: chain\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&s, "  t%d: {%s", i, body)
		if i > 0 {
			fmt.Fprintf(&s, ", needs: t%d", i-1)
		}
		s.WriteString("}\n")
	}
	return s.String()
}

// fan is n tasks side by side.
func fan(n int, body string) string {
	var s strings.Builder
	s.WriteString("name: fan\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&s, "  t%d: {%s}\n", i, body)
	}
	return s.String()
}

func spawn(b *testing.B) {
	if err := exec.CommandContext(b.Context(), "true").Run(); err != nil {
		b.Error(err)
	}
}

// spawnShell is fork, exec and wait of what a shell task really runs.
func spawnShell(b *testing.B) {
	if err := exec.CommandContext(b.Context(), "sh", "-e", "-c", "true").Run(); err != nil {
		b.Error(err)
	}
}

// BenchmarkChain is 40 sequential shell tasks `true` against 40 times fork,
// exec and wait from a plain loop: of `true` itself, and of `sh -c true`, which
// is what a shell task is.
func BenchmarkChain(b *testing.B) {
	for _, level := range []string{"off", "normal", "full"} {
		b.Run("sync="+level, func(b *testing.B) {
			e := embedded(b, engine.Config{Sync: level})
			source := chain(40, "run: 'true'")
			finish(b, e, source)
			var plain, shell, ours time.Duration
			for b.Loop() {
				from := time.Now()
				for range 40 {
					spawn(b)
				}
				plain += time.Since(from)
				from = time.Now()
				for range 40 {
					spawnShell(b)
				}
				shell += time.Since(from)
				ours += finish(b, e, source)
			}
			n := float64(b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(plain.Seconds()*1e3/n, "plain-ms")
			b.ReportMetric(shell.Seconds()*1e3/n, "plain-sh-ms")
			b.ReportMetric(ours.Seconds()*1e3/n, "semel-ms")
			b.ReportMetric(ours.Seconds()/plain.Seconds(), "x-plain")
			b.ReportMetric(ours.Seconds()/shell.Seconds(), "x-plain-sh")
		})
	}
}

// BenchmarkFanOut is 1,000 shell tasks side by side against the rate of plain
// fork, exec and wait on all cores.
func BenchmarkFanOut(b *testing.B) {
	const width = 1000
	for _, level := range []string{"off", "full"} {
		b.Run("sync="+level, func(b *testing.B) {
			e := embedded(b, engine.Config{Sync: level})
			source := fan(width, "run: 'true'")
			finish(b, e, source)
			var plain, shell, ours time.Duration
			for b.Loop() {
				plain += parallel(b, width, spawn)
				shell += parallel(b, width, spawnShell)
				ours += finish(b, e, source)
			}
			n := float64(b.N * width)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(n/plain.Seconds(), "plain/s")
			b.ReportMetric(n/shell.Seconds(), "plain-sh/s")
			b.ReportMetric(n/ours.Seconds(), "semel/s")
			b.ReportMetric(100*plain.Seconds()/ours.Seconds(), "%-of-plain")
			b.ReportMetric(100*shell.Seconds()/ours.Seconds(), "%-of-plain-sh")
		})
	}
}

// parallel does something count times, on twice as many goroutines as cores:
// the most a plain program gets out of this machine.
func parallel(b *testing.B, count int, do func(*testing.B)) time.Duration {
	from := time.Now()
	var wg sync.WaitGroup
	work := make(chan struct{})
	for range 2 * runtime.NumCPU() {
		wg.Go(func() {
			for range work {
				do(b)
			}
		})
	}
	for range count {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	return time.Since(from)
}

// BenchmarkStep is what Semel itself adds between the end of a task and the
// start of the next: a chain of noop tasks, which have no process.
func BenchmarkStep(b *testing.B) {
	const length = 400
	for _, level := range []string{"off", "full"} {
		b.Run("sync="+level, func(b *testing.B) {
			e := embedded(b, engine.Config{Sync: level})
			source := chain(length, "noop: true")
			var ours time.Duration
			for b.Loop() {
				ours += finish(b, e, source)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ours.Seconds()*1e6/float64(b.N*length), "us/step")
		})
	}
}

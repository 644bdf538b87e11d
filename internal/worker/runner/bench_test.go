package runner

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

// BenchmarkFork is the limit of all schedulers of processes: fork, exec and
// wait from a plain loop.
func BenchmarkFork(b *testing.B) {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sequential", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			fork(b, path)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		defer cpu(b)()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				fork(b, path)
			}
		})
	})
	b.Run("sh", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			fork(b, "/bin/sh", "-e", "-c", "true")
		}
	})
}

// cpu reports the processor time of this process and its children per
// operation: on a busy machine it says more than the clock.
func cpu(b *testing.B) func() {
	spent := func() time.Duration {
		var sum time.Duration
		for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
			var u unix.Rusage
			if err := unix.Getrusage(who, &u); err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
		return sum
	}
	before := spent()
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N)/1e3, "cpu-µs/op") }
}

func fork(b *testing.B, path string, args ...string) {
	p, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{})
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := p.Wait(); err != nil {
		b.Error(err)
	}
}

func BenchmarkShell(b *testing.B) {
	for _, kind := range rungs(b) {
		b.Run(string(kind)+"/sequential", func(b *testing.B) {
			w := newWorker(b, Config{Containment: kind})
			defer cpu(b)()
			for b.Loop() {
				if o := w.shell("true"); o.Result != flow.Succeeded {
					b.Fatalf("%+v", o)
				}
			}
		})
		b.Run(string(kind)+"/parallel", func(b *testing.B) {
			w := newWorker(b, Config{Containment: kind})
			flood(b, w, task.TypeShell, script("true"), 32)
		})
	}
}

func BenchmarkNoop(b *testing.B) {
	b.Run("local", func(b *testing.B) {
		flood(b, newWorker(b, Config{}), task.TypeNoop, nil, 1000)
	})
	b.Run("socket", func(b *testing.B) {
		w := newWorker(b, Config{})
		ctx, cancel := context.WithCancel(b.Context())
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := w.runner.Serve(ctx); err != nil {
				b.Error(err)
			}
		})
		defer serving.Wait()
		defer cancel()
		until(b, "a socket", func() bool {
			link, _, err := Dial(b.Context(), w.dir)
			if err == nil {
				w.link = link
			}
			return err == nil
		})
		w.extend(time.Hour)
		flood(b, w, task.TypeNoop, nil, 1000)
	})
}

// flood keeps so many attempts under way, and forgets what has ended, as a
// master does.
func flood(b *testing.B, w *worker, kind string, config json.RawMessage, width int) {
	owner := wire.Owner{Epoch: 1}
	sent, done := 0, 0
	b.ResetTimer()
	defer cpu(b)()
	var forget []wire.Ref
	for done < b.N {
		var m wire.ToWorker
		if len(forget) > 0 {
			m.Forget = []wire.Forget{{Owner: owner, Refs: forget}}
			forget = nil
		}
		for ; sent < b.N && sent-done < width; sent++ {
			m.Dispatch = append(m.Dispatch, wire.Dispatch{Owner: owner, Work: flow.Work{
				Run: testRun, Task: "t" + strconv.Itoa(sent), Generation: 1, Number: 1, Type: kind, Config: config, Key: "key",
			}})
		}
		w.send(ToRunner{Message: &m})
		answer, err := w.link.Recv()
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range answer.Reports {
			if r.Phase == wire.Finished {
				if r.Outcome.Result != flow.Succeeded {
					b.Fatalf("%+v", r.Outcome)
				}
				forget = append(forget, r.Ref)
				done++
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attempts/s")
	b.ReportMetric(float64(w.runner.Stats().Writes)/float64(b.N), "writes/attempt")
}

package flow

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/param"
)

// benchmarkRun runs a workflow to its end as often as it takes, and reports
// the time per task.
func benchmarkRun(b *testing.B, w *Workflow, r Run) {
	b.Helper()
	plan, err := Compile(w)
	if err != nil {
		b.Fatal(err)
	}
	r.ID, r.Workflow, r.State = "0190a000-0000-7000-8000-000000000000", w.Name, RunQueued
	now := noon
	b.ReportAllocs()
	tasks := 0
	for b.Loop() {
		m := New(plan, r)
		ready := m.Apply(now, Begin{}).Ready
		for len(ready) > 0 {
			i := ready[0]
			ready = ready[1:]
			now = now.Add(time.Microsecond)
			work := m.Apply(now, Place{Task: i, Node: "n", Epoch: 1}).Work
			out := m.Apply(now, Finished{Task: work.Task, Generation: work.Generation, Outcome: Outcome{Result: Succeeded}})
			ready = append(ready, out.Ready...)
			tasks++
		}
		if !m.Run().State.Final() {
			b.Fatalf("run is %s", m.Run().State)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tasks), "ns/task")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkNoop(b *testing.B)           { benchmarkRun(b, chain(5), Run{}) }
func BenchmarkChain100000(b *testing.B)    { benchmarkRun(b, chain(tasksMax), Run{}) }
func BenchmarkFanOut100000(b *testing.B)   { benchmarkRun(b, fanOut(tasksMax-2), Run{}) }
func BenchmarkFanOut10000(b *testing.B)    { benchmarkRun(b, fanOut(10_000), Run{}) }
func BenchmarkParallel100000(b *testing.B) { benchmarkRun(b, limited(fanOut(tasksMax-2), 64), Run{}) }

func limited(w *Workflow, n int) *Workflow {
	w.Parallel = n
	return w
}

func BenchmarkScript(b *testing.B) {
	w := chain(5)
	w.Params = []param.Def{{Name: "region", Type: param.String}}
	for i := range w.Tasks {
		w.Tasks[i].Type, w.Tasks[i].Config = "shell", json.RawMessage(`{"script":"echo ${{ params.region }}"}`)
	}
	benchmarkRun(b, w, Run{Params: param.Values{"region": "cn"}})
}

func BenchmarkValidate100000(b *testing.B) {
	w := fanOut(tasksMax - 2)
	for b.Loop() {
		if problems := Validate(w); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

// BenchmarkUpstream100000 is the worst case of the check that references lead
// upstream: each task refers to another one far above.
func BenchmarkUpstream100000(b *testing.B) {
	w := chain(tasksMax)
	v := &validator{workflow: w, graph: newGraph(w)}
	v.graph.check()
	for b.Loop() {
		v.refs = v.refs[:0]
		for i := range int32(tasksMax) {
			v.refs = append(v.refs, reference{from: i, to: max(0, i/2)})
		}
		v.upstream()
		if len(v.problems) > 1 { // the first task comes before itself only here
			b.Fatal(v.problems)
		}
		v.problems = nil
	}
}

func BenchmarkLoad100000(b *testing.B) {
	w := fanOut(tasksMax - 2)
	plan, err := Compile(w)
	if err != nil {
		b.Fatal(err)
	}
	var last []Attempt
	for i := range w.Tasks[:tasksMax/2] {
		last = append(last, Attempt{Run: "r", Task: w.Tasks[i].Name, Number: 1, Generation: 1, Node: "n", State: AttemptSucceeded})
	}
	b.ReportAllocs()
	for b.Loop() {
		m := Load(plan, Run{ID: "r", State: RunRunning}, nil, last)
		if got := len(m.Apply(noon, Tick{}).Ready); got != tasksMax-1-tasksMax/2 {
			b.Fatal(fmt.Sprint(got, " ready"))
		}
	}
}

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// ago is a moment before noon.
func ago(d time.Duration) *time.Time {
	t := noon.Add(-d)
	return &t
}

// pipeline is a run in the middle, with a bit of everything.
func pipeline() *view {
	v := newView([]api.WorkflowTask{
		{Name: "report", Needs: []string{"by-region", "by-day", "汇总销售数据"}},
		{Name: "fetch"},
		{Name: "clean", Needs: []string{"fetch"}},
		{Name: "by-region", Needs: []string{"clean"}},
		{Name: "by-day", Needs: []string{"clean"}},
		{Name: "汇总销售数据", Needs: []string{"clean"}},
		{Name: "alarm", Needs: []string{"clean"}},
		{Name: "archive"},
		{Name: "pay", Needs: []string{"archive"}},
	})
	v.update(&api.Snapshot{
		Run: api.Run{ID: "019aa4c0-1f2e-7a4b-9c3d-5e6f708192a3", Workflow: "daily-sales", Version: 3, State: flow.RunRunning, StartedAt: ago(95 * time.Second)},
		Tasks: []api.TaskSnapshot{
			{Name: "report", State: flow.TaskWaiting},
			{Name: "fetch", State: flow.TaskSucceeded, Attempt: 1, StartedAt: ago(95 * time.Second), FinishedAt: ago(94600 * time.Millisecond)},
			{Name: "clean", State: flow.TaskSucceeded, Attempt: 2, StartedAt: ago(90 * time.Second), FinishedAt: ago(60 * time.Second)},
			{Name: "by-region", State: flow.TaskRunning, Attempt: 1, StartedAt: ago(61500 * time.Millisecond)},
			{Name: "by-day", State: flow.TaskFailed, Attempt: 3, StartedAt: ago(30 * time.Second), FinishedAt: ago(25 * time.Second), Reason: "exit code 7"},
			{Name: "汇总销售数据", State: flow.TaskRetrying, Attempt: 1, Reason: "attempt 1 failed: 退出码 1; again in 12s"},
			{Name: "alarm", State: flow.TaskSkipped, Reason: "clean succeeded"},
			{Name: "archive", State: flow.TaskSucceeded, Attempt: 1, StartedAt: ago(95 * time.Second), FinishedAt: ago(94 * time.Second)},
			{Name: "pay", State: flow.TaskHeld, Attempt: 1, Reason: "the outcome of attempt 1 is unknown: resume or stop it"},
		},
	})
	return v
}

// wide is a run of 300 task runs.
func wide() *view {
	tasks := make([]api.WorkflowTask, 300)
	snapshot := api.Snapshot{
		Run: api.Run{ID: "019aa4c0-1f2e-7a4b-9c3d-5e6f708192a3", Workflow: "wide", Version: 1, State: flow.RunRunning, StartedAt: ago(10 * time.Minute)},
	}
	for i := range tasks {
		tasks[i].Name = fmt.Sprintf("item-%03d", i)
		t := api.TaskSnapshot{Name: tasks[i].Name, State: flow.TaskWaiting, Reason: "all 4 slots are taken"}
		switch {
		case i < 120 && i%40 == 7:
			t = api.TaskSnapshot{Name: t.Name, State: flow.TaskFailed, Attempt: 1, StartedAt: ago(9 * time.Minute), FinishedAt: ago(8 * time.Minute), Reason: "exit code 1"}
		case i < 120:
			t = api.TaskSnapshot{Name: t.Name, State: flow.TaskSucceeded, Attempt: 1, StartedAt: ago(9 * time.Minute), FinishedAt: ago(8 * time.Minute)}
		case i < 124:
			t = api.TaskSnapshot{Name: t.Name, State: flow.TaskRunning, Attempt: 1, StartedAt: ago(time.Duration(i) * time.Second)}
		}
		snapshot.Tasks = append(snapshot.Tasks, t)
	}
	v := newView(tasks)
	v.update(&snapshot)
	return v
}

func TestFrame(t *testing.T) {
	for _, test := range []struct {
		name  string
		view  *view
		sizes []size
		style style
	}{
		{"pipeline", pipeline(), []size{{120, 30}, {80, 24}, {40, 24}}, style{unicode: true}},
		{"pipeline-ascii", pipeline(), []size{{80, 24}}, style{}},
		{"pipeline-short", pipeline(), []size{{80, 10}, {80, 7}, {80, 4}, {80, 2}, {20, 1}}, style{unicode: true}},
		{"wide", wide(), []size{{80, 24}, {60, 10}}, style{unicode: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			for _, s := range test.sizes {
				fmt.Fprintf(&b, "--- %d x %d\n%s\n", s.width, s.height, strings.Join(test.view.frame(s, noon, test.style), "\n"))
			}
			golden(t, filepath.Join("testdata", "frames", test.name+".txt"), b.String())
		})
	}
}

func TestSummary(t *testing.T) {
	for name, v := range map[string]*view{"pipeline": pipeline(), "wide": wide()} {
		t.Run(name, func(t *testing.T) {
			v.run.State = flow.RunFailed
			v.run.FinishedAt = &noon
			v.run.Reason = "3 tasks failed"
			got := strings.Join(v.summary(80, noon, style{unicode: true}), "\n") + "\n"
			golden(t, filepath.Join("testdata", "frames", name+"-summary.txt"), got)
		})
	}
}

// Whatever is to be shown, it fits: a line too many or too wide would scroll
// the terminal, and the next frame would be drawn in the wrong place.
func TestFrame_Fits(t *testing.T) {
	states := append([]flow.TaskState{"unheard-of"}, allStates...)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "tasks")
		tasks := make([]api.WorkflowTask, n)
		snapshot := api.Snapshot{Run: api.Run{
			ID: "019aa4c0", Workflow: rapid.String().Draw(t, "workflow"), State: flow.RunRunning,
			Reason: rapid.String().Draw(t, "run reason"), StartedAt: ago(time.Minute),
		}}
		for i := range tasks {
			tasks[i].Name = rapid.StringN(1, 20, -1).Draw(t, "name") + fmt.Sprint(i)
			if i > 0 && rapid.Bool().Draw(t, "needs") {
				tasks[i].Needs = []string{tasks[rapid.IntRange(0, i-1).Draw(t, "need")].Name}
			}
			snapshot.Tasks = append(snapshot.Tasks, api.TaskSnapshot{
				Name: tasks[i].Name, State: rapid.SampledFrom(states).Draw(t, "state"),
				Reason: rapid.String().Draw(t, "reason"), Attempt: rapid.IntRange(0, 3).Draw(t, "attempt"), StartedAt: ago(time.Second),
			})
		}
		v := newView(tasks)
		v.update(&snapshot)
		s := size{width: rapid.IntRange(1, 200).Draw(t, "width"), height: rapid.IntRange(1, 40).Draw(t, "height")}
		st := style{color: rapid.Bool().Draw(t, "color"), unicode: rapid.Bool().Draw(t, "unicode")}
		lines := v.frame(s, noon, st)
		if len(lines) > max(1, s.height-1) {
			t.Fatalf("%d lines do not fit into %d", len(lines), s.height)
		}
		for _, line := range lines {
			if w := lipgloss.Width(line); w > s.width {
				t.Fatalf("%q is %d cells wide, the terminal %d", line, w, s.width)
			}
			if plain := ansi.Strip(line); strings.ContainsAny(plain, "\x1b\r\n\t\a") {
				t.Fatalf("%q moves the cursor", plain)
			}
		}
	})
}

func TestLayout_NeedsComeFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "tasks")
		order := rapid.Permutation(sequence(n)).Draw(t, "order")
		tasks := make([]api.WorkflowTask, n)
		for i, at := range order { // task at may need those before it in order
			tasks[at].Name = fmt.Sprint(at)
			for _, need := range order[:i] {
				if rapid.IntRange(0, 4).Draw(t, "needs") == 0 {
					tasks[at].Needs = append(tasks[at].Needs, fmt.Sprint(need))
				}
			}
		}
		placed, levels := layout(tasks)
		if len(placed) != n {
			t.Fatalf("%d of %d tasks are placed", len(placed), n)
		}
		level := map[string]int{}
		for i, task := range placed {
			deepest := -1
			for _, need := range tasks[task].Needs {
				at, ok := level[need]
				if !ok {
					t.Fatalf("task %d stands before %s, which it needs", task, need)
				}
				deepest = max(deepest, at)
			}
			if levels[i] != deepest+1 {
				t.Fatalf("task %d is at level %d, its needs reach %d", task, levels[i], deepest)
			}
			level[tasks[task].Name] = levels[i]
		}
	})
}

func sequence(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestView_Held(t *testing.T) {
	for _, test := range []struct {
		name  string
		run   flow.RunState
		first flow.TaskState // b needs a, c needs nothing
		other flow.TaskState
		want  bool
	}{
		{"held, and the rest waits for it", flow.RunRunning, flow.TaskHeld, flow.TaskSucceeded, true},
		{"something else runs", flow.RunRunning, flow.TaskHeld, flow.TaskRunning, false},
		{"something else waits for its delay", flow.RunRunning, flow.TaskHeld, flow.TaskWaiting, false},
		{"something else is tried again", flow.RunRunning, flow.TaskHeld, flow.TaskRetrying, false},
		{"nothing is held", flow.RunRunning, flow.TaskSucceeded, flow.TaskSucceeded, false},
		{"it ends anyway", flow.RunStopping, flow.TaskHeld, flow.TaskSucceeded, false},
		{"paused", flow.RunPaused, flow.TaskSucceeded, flow.TaskSucceeded, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newView([]api.WorkflowTask{{Name: "a"}, {Name: "b", Needs: []string{"a"}}, {Name: "c"}})
			v.update(&api.Snapshot{Run: api.Run{State: test.run}, Tasks: []api.TaskSnapshot{
				{Name: "a", State: test.first}, {Name: "b", State: flow.TaskWaiting}, {Name: "c", State: test.other},
			}})
			if got := v.held(); got != test.want {
				t.Errorf("held() = %v, want %v", got, test.want)
			}
		})
	}
}

func BenchmarkFrame(b *testing.B) {
	const n = 100_000
	tasks := make([]api.WorkflowTask, n)
	snapshot := api.Snapshot{Run: api.Run{State: flow.RunRunning}}
	for i := range tasks {
		tasks[i].Name = fmt.Sprintf("task-%06d", i)
		snapshot.Tasks = append(snapshot.Tasks, api.TaskSnapshot{Name: tasks[i].Name, State: allStates[i%len(allStates)]})
	}
	v := newView(tasks)
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			v.update(&snapshot)
		}
	})
	b.Run("frame", func(b *testing.B) {
		for b.Loop() {
			v.frame(size{100, 40}, noon, style{color: true, unicode: true})
		}
	})
}

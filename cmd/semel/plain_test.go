package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

func TestPlainLines(t *testing.T) {
	run := func(state flow.RunState, reason string) api.Run {
		return api.Run{ID: "019aa4c0", State: state, Reason: reason}
	}
	var b strings.Builder
	p := newPlainLines(&b)
	at := noon
	say := func(r api.Run, tasks ...api.TaskSnapshot) {
		t.Helper()
		if err := p.update(&api.Snapshot{Run: r, Tasks: tasks}, at); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
	}
	tick := func() {
		t.Helper()
		if err := p.tick(at); err != nil {
			t.Fatal(err)
		}
	}
	say(run(flow.RunQueued, ""), api.TaskSnapshot{Name: "a", State: flow.TaskWaiting})
	say(run(flow.RunRunning, ""), api.TaskSnapshot{Name: "a", State: flow.TaskReady}, api.TaskSnapshot{Name: "b", State: flow.TaskSkipped, Reason: "its condition was false"})
	say(run(flow.RunRunning, ""), api.TaskSnapshot{Name: "a", State: flow.TaskRunning, Attempt: 1, StartedAt: ago(time.Minute)})
	say(run(flow.RunRunning, ""), api.TaskSnapshot{Name: "a", State: flow.TaskRunning, Attempt: 1, StartedAt: ago(time.Minute)})
	tick() // too early
	at = at.Add(progressEvery)
	tick()
	tick() // said already
	say(run(flow.RunRunning, ""), api.TaskSnapshot{Name: "a", State: flow.TaskRetrying, Attempt: 1, Reason: "exit code 7"})
	say(run(flow.RunRunning, ""), api.TaskSnapshot{Name: "a", State: flow.TaskRunning, Attempt: 2, StartedAt: ago(0)})
	say(run(flow.RunFailed, "1 task failed"), api.TaskSnapshot{Name: "a", State: flow.TaskFailed, Attempt: 2, Reason: "exit\ncode\x1b[31m 7"})
	want := `2026-11-21T12:00:00.000Z run 019aa4c0 queued
2026-11-21T12:00:01.000Z run 019aa4c0 running
2026-11-21T12:00:01.000Z task b skipped: its condition was false
2026-11-21T11:59:00.000Z task a running
2026-11-21T12:00:34.000Z progress 0/1: 1 running
2026-11-21T12:00:34.000Z task a retrying: exit code 7
2026-11-21T12:00:00.000Z task a running attempt 2
2026-11-21T12:00:36.000Z task a failed attempt 2: exit code[31m 7
2026-11-21T12:00:36.000Z run 019aa4c0 failed: 1 task failed
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                  "0ms",
		0:                             "0ms",
		999 * time.Millisecond:        "999ms",
		9990 * time.Millisecond:       "9.9s",
		59 * time.Second:              "59s",
		time.Hour - 1:                 "59m59s",
		99*time.Hour + 59*time.Minute: "99h59m",
		100 * time.Hour:               "4d04h",
	} {
		if got := span(d); got != want || len(got) > spanCells {
			t.Errorf("span(%v) = %q, want %q in at most %d cells", d, got, want, spanCells)
		}
	}
}

func TestLastLines(t *testing.T) {
	got := lastLines([]byte("one\n  two\nload 10%\rload 50%\rload 100%\nred \x1b[31mtext\n"), 3)
	want := []string{"  two", "load 100%", "red [31mtext"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := lastLines(nil, 3); len(got) != 0 {
		t.Errorf("an empty log has lines: %q", got)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{"./state": "./state", "a b": "'a b'", "": "''", "it's": `'it'\''s'`} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
}

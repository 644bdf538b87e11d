package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// summaryRowsMax is up to how many task runs the summary lists; of more it
// lists those that did not succeed.
const (
	summaryRowsMax   = 40
	summaryFailedMax = 100
)

// summary is what stays on the terminal once a run is over: a table, and one
// sentence at its end.
func (v *view) summary(width int, now time.Time, st style) []string {
	var shown []int
	for i := range v.tasks {
		if state := v.tasks[i].State; len(v.tasks) <= summaryRowsMax || state != flow.TaskSucceeded && state != flow.TaskSkipped {
			shown = append(shown, i)
		}
	}
	left := max(0, len(shown)-summaryFailedMax)
	if left > 0 { // what has to be looked at is not to be among those left out
		slices.SortStableFunc(shown, func(a, b int) int { return urgency(v.tasks[a].State) - urgency(v.tasks[b].State) })
	}
	t := table{head: []string{"  TASK", "STATE", "ATTEMPT", "TOOK", "REASON"}}
	for _, i := range shown[:len(shown)-left] {
		task := &v.tasks[i]
		attempt := ""
		if task.Attempt > 0 {
			attempt = fmt.Sprint(task.Attempt)
		}
		t.add(
			st.task(task.State, st.glyph(task.State, 0))+" "+oneLine(task.Name),
			st.task(task.State, string(task.State)), padLeft(attempt, len("ATTEMPT")),
			padLeft(between(task.StartedAt, task.FinishedAt, now), spanCells), oneLine(task.Reason),
		)
	}
	lines := t.lines(width, st)
	if left > 0 {
		lines = append(lines, st.dim(fmt.Sprintf("  and %d more", left)))
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	return append(lines, v.verdict(now, st))
}

// verdict is the run in one sentence.
func (v *view) verdict(now time.Time, st style) string {
	line := fmt.Sprintf("%s v%d %s in %s", st.bold(oneLine(v.run.Workflow)), v.run.Version, st.run(v.run.State), span(v.elapsed(now)))
	if words := v.counts.words(st); words != "" {
		line += ": " + words
	}
	if reason := oneLine(v.run.Reason); reason != "" {
		line += "\n" + reason
	}
	return line
}

// failures are the failed task runs, the earliest first: what failed first is
// most likely the cause of the rest.
func failures(tasks []api.TaskSnapshot) []api.TaskSnapshot {
	var failed []api.TaskSnapshot
	for _, t := range tasks {
		if t.State == flow.TaskFailed && t.Attempt > 0 {
			failed = append(failed, t)
		}
	}
	slices.SortStableFunc(failed, func(a, b api.TaskSnapshot) int {
		if a.FinishedAt == nil || b.FinishedAt == nil {
			return strings.Compare(a.Name, b.Name)
		}
		return a.FinishedAt.Compare(*b.FinishedAt)
	})
	return failed
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
)

func (a *app) showCommand() *cobra.Command {
	var r remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show RUN [TASK]",
		Short: "Show a run, or one of its tasks with its attempts",
		Long: `Show a run with its tasks; with TASK, that task with all its attempts and
outputs.

` + runHelp,
		Example:           "  semel show last\n  semel show 0193 load\n  semel show last --json | jq '.tasks[] | select(.state == \"failed\")'",
		Args:              takes(1, 2),
		ValidArgsFunction: r.completeRuns(true),
		RunE: a.doesUntilInterrupted(func(ctx context.Context, args []string) error {
			c, err := r.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				task, err := c.Task(ctx, run, args[1])
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(task)
				}
				return a.print(a.showTask(&task)...)
			}
			detail, err := c.Run(ctx, run)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(detail)
			}
			return a.print(a.showRun(&detail)...)
		}),
	}
	r.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) showRun(d *api.RunDetail) []string {
	st, now := a.styleOf(a.out), time.Now()
	lines := []string{verdictLine(&d.Run, st)}
	fact := func(name, value string) {
		if value != "" {
			lines = append(lines, st.dim(pad(name, 10))+value)
		}
	}
	fact("run", string(d.Run.ID))
	fact("created", clock(d.Run.CreatedAt))
	fact("started", clockOf(d.Run.StartedAt))
	fact("finished", clockOf(d.Run.FinishedAt))
	for _, name := range sortedKeys(d.Run.Params) {
		fact("param", fmt.Sprintf("%s = %s", oneLine(name), value(d.Run.Params[name])))
	}
	counts := tally{}
	t := table{head: []string{"  TASK", "STATE", "ATTEMPT", "STARTED", "TOOK", "REASON"}}
	for i := range d.Tasks {
		task := &d.Tasks[i]
		counts[task.State]++
		var number, started, took string
		if n := len(task.Attempts); n > 0 {
			last := &task.Attempts[n-1]
			number = fmt.Sprint(last.Number)
			if last.StartedAt != nil {
				started = last.StartedAt.Local().Format("15:04:05")
			}
			took = between(last.StartedAt, last.FinishedAt, now)
		}
		t.add(
			st.task(task.State, st.glyph(task.State, 0))+" "+oneLine(task.Name), st.task(task.State, string(task.State)),
			padLeft(number, len("ATTEMPT")), started, padLeft(took, spanCells), oneLine(task.Reason),
		)
	}
	if len(d.Tasks) > 0 {
		lines = append(lines, "")
		lines = append(lines, t.lines(widthOf(a.out), st)...)
		lines = append(lines, "", st.bar(counts, barMax)+"  "+counts.words(st))
	}
	return lines
}

func (a *app) showTask(task *api.TaskRun) []string {
	st, now := a.styleOf(a.out), time.Now()
	line := fmt.Sprintf("%s %s", st.bold(oneLine(task.Name)), st.task(task.State, string(task.State)))
	if reason := oneLine(task.Reason); reason != "" {
		line += ": " + reason
	}
	lines := []string{line}
	for _, name := range sortedKeys(task.Outputs) {
		lines = append(lines, st.dim(pad("output", 10))+fmt.Sprintf("%s = %s", oneLine(name), oneLine(task.Outputs[name])))
	}
	t := table{head: []string{"ATTEMPT", "GENERATION", "EPOCH", "STATE", "EXIT", "STARTED", "TOOK", "NODE", "REASON"}}
	for i := range task.Attempts {
		n := &task.Attempts[i]
		exit := ""
		if n.ExitCode != nil {
			exit = fmt.Sprint(*n.ExitCode)
		}
		t.add(
			padLeft(fmt.Sprint(n.Number), len("ATTEMPT")), padLeft(fmt.Sprint(n.Generation), len("GENERATION")), padLeft(fmt.Sprint(n.Epoch), len("EPOCH")),
			string(n.State), padLeft(exit, len("EXIT")), clockOf(n.StartedAt), padLeft(between(n.StartedAt, n.FinishedAt, now), spanCells),
			oneLine(string(n.Node)), oneLine(n.Reason),
		)
	}
	if len(task.Attempts) > 0 {
		lines = append(append(lines, ""), t.lines(widthOf(a.out), st)...)
	}
	return lines
}

// value is a parameter's value in one line.
func value(v any) string {
	if text, ok := v.(string); ok {
		return oneLine(text)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return oneLine(fmt.Sprint(v))
	}
	return oneLine(string(text))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

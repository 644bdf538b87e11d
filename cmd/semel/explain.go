package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) explainCommand() *cobra.Command {
	var r remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain RUN [TASK]",
		Short: "Say why a run, or a task of it, has not ended",
		Long: `Say in one sentence why a run has not ended, and in one for each of its tasks
what that waits for. With TASK only that one is explained, also once it is over.

` + runHelp,
		Example:           "  semel explain last\n  semel explain 0193 load",
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
			task := ""
			if len(args) == 2 {
				task = args[1]
			}
			e, err := c.Explain(ctx, run, task)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(e)
			}
			st := a.styleOf(a.out)
			var lines []string
			if task == "" {
				lines = append(lines, fmt.Sprintf("run %s %s: %s", e.Run.ID, st.run(e.Run.State), oneLine(e.Run.Sentence)))
			}
			t := table{head: []string{"  TASK", "STATE", "WHY"}}
			for _, task := range e.Tasks {
				t.add(st.task(task.State, st.glyph(task.State, 0))+" "+oneLine(task.Task), st.task(task.State, string(task.State)), oneLine(task.Sentence))
			}
			return a.print(append(lines, t.lines(0, st)...)...) // a sentence is wrapped, not cut
		}),
	}
	r.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

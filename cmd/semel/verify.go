package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
)

func (a *app) verifyCommand() *cobra.Command {
	var r remote
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the ledger: was every task run once?",
		Long: `Check the history of a server, or of a data directory that no server uses: no
attempt started twice, no two attempts of a task overlapped, epochs and
generations only grew, and every outcome was recorded once.

The exit code is 0 if that holds, 1 if it does not: the first violations are
named.`,
		Example: "  semel verify\n  semel verify --data ./state",
		Args:    takes(0, 0),
		RunE: a.doesUntilInterrupted(func(ctx context.Context, _ []string) error {
			v, err := a.verified(ctx, &r, data)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.printJSON(v)
			} else {
				err = a.print(a.showVerification(&v)...)
			}
			if err == nil && !v.Holds {
				err = silent(exitFailed)
			}
			return err
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&data, "data", "", "check this `DIR`, while no server uses it")
	jsonFlag(cmd, &asJSON)
	cmd.MarkFlagsMutuallyExclusive("data", "server")
	must(cmd.MarkFlagDirname("data"))
	return cmd
}

func (a *app) verified(ctx context.Context, r *remote, data string) (api.Verification, error) {
	c, err := r.connect()
	if err != nil {
		return api.Verification{}, err
	}
	defer c.Close()
	return c.Verify(ctx)
}

func (a *app) showVerification(v *api.Verification) []string {
	st := a.styleOf(a.out)
	checked := fmt.Sprintf("%s with %s checked", count(v.Runs, "run"), count(v.Attempts, "attempt"))
	var lines []string
	for _, u := range v.Unproven {
		lines = append(lines, "not proven: "+oneLine(u))
	}
	if v.Holds {
		return append(lines, st.paint(taskColor("succeeded"), "the ledger holds")+": "+checked)
	}
	lines = append(lines, st.paint(taskColor("failed"), "the ledger does not hold")+": "+checked+", "+count(len(v.Violations), "violation"))
	for _, violation := range v.Violations {
		line := "  " + violation.Promise
		if violation.Run != "" {
			line += " run " + oneLine(string(violation.Run))
		}
		if violation.Task != "" {
			line += " task " + oneLine(violation.Task)
		}
		lines = append(lines, line+": "+oneLine(violation.Message))
	}
	return lines
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/sqlite"
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
	if data != "" {
		return verifyDir(ctx, data)
	}
	c, err := r.connect()
	if err != nil {
		return api.Verification{}, err
	}
	defer c.Close()
	return c.Verify(ctx)
}

// verifyDir checks the store of a directory. It is opened as a server would, so
// that no server can start meanwhile.
func verifyDir(ctx context.Context, data string) (_ api.Verification, err error) {
	path := filepath.Join(data, "semel.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return api.Verification{}, badf("there is no store in %s: name the --data directory of a server or a run", data)
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if errors.Is(err, store.ErrInUse) {
		return api.Verification{}, badf("a server uses %s now: check it with `semel verify --server URL`", data)
	}
	if err != nil {
		return api.Verification{}, bad(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return api.Verify(ctx, s)
}

func (a *app) showVerification(v *api.Verification) []string {
	st := a.styleOf(a.out)
	checked := fmt.Sprintf("%s with %s checked", count(v.Runs, "run"), count(v.Attempts, "attempt"))
	var lines []string
	switch {
	case !v.Holds:
		lines = append(lines, st.task(flow.TaskFailed, "the ledger does not hold")+": "+checked+", "+count(len(v.Violations)+v.More, "violation"))
	case v.Runs == 0:
		lines = append(lines, "the ledger is empty: nothing was checked")
	default:
		lines = append(lines, st.task(flow.TaskSucceeded, "the ledger holds")+": "+checked)
	}
	for i := range v.Violations {
		lines = append(lines, "  "+violation(&v.Violations[i]))
	}
	for _, sentence := range v.Unproven {
		lines = append(lines, "  not proven: "+oneLine(sentence))
	}
	if v.More > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", v.More))
	}
	return lines
}

// violation is one line: the promise, where, and what.
func violation(v *api.Violation) string {
	line := v.Promise
	if v.Run != "" {
		line += " run " + oneLine(string(v.Run))
	}
	if v.Task != "" {
		line += " task " + oneLine(v.Task)
	}
	if v.Generation != 0 {
		line += fmt.Sprintf(" generation %d", v.Generation)
	}
	return line + ": " + oneLine(v.Message)
}

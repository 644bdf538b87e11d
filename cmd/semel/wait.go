package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

func (a *app) waitCommand() *cobra.Command {
	var r remote
	var timeout time.Duration
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "wait RUN",
		Short: "Wait for the end of a run",
		Long: `Wait for the end of a run, and exit with its outcome. A terminal shows the run
meanwhile. A server that restarts is waited for.

` + runHelp + "\n\n" + exitHelp,
		Example:           "  semel wait last\n  semel wait 0193 --timeout 10m && echo done",
		Args:              takes(1, 1),
		ValidArgsFunction: r.completeRuns(false),
		RunE: a.doesUntilInterrupted(func(ctx context.Context, args []string) error {
			c, err := r.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, timeout, errWaited)
				defer cancel()
			}
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			err = a.waitShown(ctx, c, run, asJSON, quiet)
			if errors.Is(err, errWaited) || err != nil && errors.Is(context.Cause(ctx), errWaited) {
				return &exitError{code: exitUnfinished, err: fmt.Errorf("run %s goes on after %s", run, timeout)}
			}
			return err
		}),
	}
	r.flags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait at most this long, such as 10m; the exit code is 3 then (default: for ever)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	jsonFlag(cmd, &asJSON)
	return cmd
}

var errWaited = errors.New("the time to wait is over")

func (a *app) waitShown(ctx context.Context, c *client.Client, run flow.RunID, asJSON, quiet bool) error {
	if asJSON {
		return a.waitFor(ctx, c, run, true)
	}
	detail, err := c.Run(ctx, run)
	if err != nil {
		return err
	}
	live := isLive(a.out) && !quiet
	v, err := a.watchToEnd(ctx, c, detail.Run, !live)
	if err != nil {
		return err
	}
	if !live && !quiet {
		if err := a.print(v.verdict(time.Now(), a.styleOf(a.out))); err != nil {
			return err
		}
	}
	return outcome(v.run.State)
}

// waitFor waits without a view, prints how the run ended, and ends with its
// outcome.
func (a *app) waitFor(ctx context.Context, c *client.Client, run flow.RunID, asJSON bool) error {
	detail, err := c.Wait(ctx, run)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(detail)
	} else {
		err = a.print(verdictLine(&detail.Run, a.styleOf(a.out)))
	}
	if err != nil {
		return err
	}
	return outcome(detail.Run.State)
}

// commandWait is how long one request waits for a command; they are repeated.
const commandWait = 30 * time.Second

// carriedOut waits until a command was carried out. One that was refused is an
// error.
func carriedOut(ctx context.Context, c *client.Client, command api.Command) (api.Command, error) {
	for command.DoneAt == nil {
		var err error
		if command, err = c.Command(ctx, command.ID, commandWait); err != nil {
			return command, err
		}
		if ctx.Err() != nil {
			return command, context.Cause(ctx)
		}
	}
	if command.Refused != "" {
		return command, &exitError{code: exitFailed, err: fmt.Errorf("%s of run %s was refused: %s", command.Kind, command.Run, command.Refused)}
	}
	return command, nil
}

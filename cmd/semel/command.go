package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

// commandOptions are the flags that stop, pause, resume and rerun share.
type commandOptions struct {
	remote
	key  string
	wait bool
	json bool
}

// told is what a command does to a run, and what is said once it was done.
type told struct {
	send func(ctx context.Context, c *client.Client, run flow.RunID) (api.Command, error)
	done string
}

// commandOf fills in what the four commands have in common.
func (a *app) commandOf(cmd *cobra.Command, o *commandOptions, t told) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = takes(1, 1)
	}
	cmd.Long += "\n\n" + runHelp
	cmd.ValidArgsFunction = o.completeRuns(false)
	cmd.RunE = a.doesUntilInterrupted(func(ctx context.Context, args []string) error { return a.tell(ctx, o, t, args[0]) })
	o.flags(cmd)
	cmd.Flags().StringVar(&o.key, "key", "", "idempotency key: under one `KEY` it is carried out once")
	jsonFlag(cmd, &o.json)
	return cmd
}

func (a *app) tell(ctx context.Context, o *commandOptions, t told, typed string) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := findRun(ctx, c, typed)
	if err != nil {
		return err
	}
	command, err := t.send(ctx, c, run)
	if err != nil {
		return err
	}
	if command, err = carriedOut(ctx, c, command); err != nil {
		return err
	}
	if o.wait {
		return a.waitShown(ctx, c, run, o.json, false)
	}
	if o.json {
		return a.printJSON(api.Commanded{Command: command})
	}
	return a.print(fmt.Sprintf("run %s: %s", run, t.done))
}

func (a *app) stopCommand() *cobra.Command {
	o := &commandOptions{}
	var reason string
	cmd := &cobra.Command{
		Use:   "stop RUN",
		Short: "Stop a run",
		Long: `Stop a run: what has not started is stopped, what runs is asked to end and, after
its grace time, killed.`,
		Example: "  semel stop last\n  semel stop 0193 --reason 'wrong region' --wait",
	}
	cmd = a.commandOf(cmd, o, told{done: "stopping", send: func(ctx context.Context, c *client.Client, run flow.RunID) (api.Command, error) {
		return c.Stop(ctx, run, api.StopRequest{Reason: reason, Key: o.key})
	}})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who look at the run later")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until it has stopped; the exit code is 1 then, as for every run that did not succeed")
	return cmd
}

func (a *app) pauseCommand() *cobra.Command {
	o := &commandOptions{}
	return a.commandOf(&cobra.Command{
		Use:     "pause RUN",
		Short:   "Start nothing new in a run",
		Long:    `Pause a run: what runs goes on to its end, nothing new starts.`,
		Example: "  semel pause last",
	}, o, told{done: "pausing", send: func(ctx context.Context, c *client.Client, run flow.RunID) (api.Command, error) {
		return c.Pause(ctx, run, api.PauseRequest{Key: o.key})
	}})
}

func (a *app) resumeCommand() *cobra.Command {
	o := &commandOptions{}
	var tasks []string
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Continue a paused run, release what is held",
		Long: `Continue a paused run, and release every task that is held. With --task, only
these held or paused tasks are released.`,
		Example: "  semel resume last\n  semel resume last --task load,report",
	}
	cmd = a.commandOf(cmd, o, told{done: "resumed", send: func(ctx context.Context, c *client.Client, run flow.RunID) (api.Command, error) {
		return c.Resume(ctx, run, api.ResumeRequest{Tasks: tasks, Key: o.key})
	}})
	cmd.Flags().StringSliceVar(&tasks, "task", nil, "release only these `TASKS`, separated by commas")
	must(cmd.RegisterFlagCompletionFunc("task", o.completeTaskFlag))
	return cmd
}

func (a *app) rerunCommand() *cobra.Command {
	o := &commandOptions{}
	var request api.RerunRequest
	cmd := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run a finished run again, or a part of it",
		Long: `Run a finished run again: all of it, only what failed and what depends on that
(--failed), or only some tasks (--task). The attempts that were stay in the
ledger.`,
		Example: "  semel rerun last --failed --wait\n  semel rerun 0193 --task load --with-descendants",
		Args: func(cmd *cobra.Command, args []string) error {
			if request.Failed && len(request.Tasks) > 0 {
				return errors.New("--failed and --task choose differently: give one of them")
			}
			return errors.Join(takes(1, 1)(cmd, args), checkRerun(&request))
		},
	}
	cmd = a.commandOf(cmd, o, told{done: "running again", send: func(ctx context.Context, c *client.Client, run flow.RunID) (api.Command, error) {
		request.Key = o.key
		return c.Rerun(ctx, run, request)
	}})
	f := cmd.Flags()
	f.BoolVar(&request.Failed, "failed", false, "only what failed, and what depends on it")
	f.StringSliceVar(&request.Tasks, "task", nil, "only these `TASKS`, separated by commas")
	f.BoolVar(&request.Ancestors, "with-ancestors", false, "with --task: and all that they need")
	f.BoolVar(&request.Descendants, "with-descendants", false, "with --task: and all that needs them")
	f.BoolVar(&o.wait, "wait", false, "wait for the end of the run")
	must(cmd.RegisterFlagCompletionFunc("task", o.completeTaskFlag))
	return cmd
}

func checkRerun(r *api.RerunRequest) error {
	if (r.Ancestors || r.Descendants) && len(r.Tasks) == 0 {
		return errors.New("--with-ancestors and --with-descendants widen a choice of tasks: name them with --task")
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
)

// runOptions are the flags of `semel run`.
type runOptions struct {
	params      []string
	data        string
	resume      string
	tasks       []string
	ancestors   bool
	descendants bool
	slots       int
	sync        string
	keep        bool
	quiet       bool
	json        bool
}

func (a *app) runCommand() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a workflow here, to its end",
		Long: `Run a workflow in this process, without a server, and wait for its end.

A terminal shows the DAG while it runs, a pipe gets a line per change of state.
FILE may be "-" for stdin.

Without --data everything is kept in a scratch directory that is removed at the
end. With --data DIR, a run that was interrupted, by whatever, is continued by
"semel run --resume RUN --data DIR" or by a "semel standalone" on that
directory: what is finished is not repeated. --resume continues a paused run,
releases what is held, and runs again what was stopped or has failed.

Ctrl-C stops the run and waits for its tasks to end; a second Ctrl-C kills them.

Exit codes: 0 the run succeeded, 1 it failed or was stopped, 2 bad usage or bad
input, nothing was started.`,
		Example: `  semel run pipeline.yaml
  semel run pipeline.yaml -p region=cn -p day=2026-11-21
  semel run pipeline.yaml --data ./state        # survives a crash
  semel run --resume last --data ./state
  semel run pipeline.yaml --tasks report --with-ancestors
  semel run pipeline.yaml --json | jq .run.state`,
		Args: func(_ *cobra.Command, args []string) error {
			return checkRunArgs(o, args)
		},
		ValidArgsFunction: completeFiles,
		RunE:              a.does(func(ctx context.Context, args []string) error { return a.runHere(ctx, o, args) }),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.params, "param", "p", nil, "value of a parameter, as `name=value`; may be repeated")
	f.StringVar(&o.data, "data", "", "keep the run in this `DIR`, so that it survives a crash")
	f.StringVar(&o.resume, "resume", "", "continue `RUN` of the --data directory")
	f.StringSliceVar(&o.tasks, "tasks", nil, "run only these `TASKS`, separated by commas")
	f.BoolVar(&o.ancestors, "with-ancestors", false, "with --tasks: and all that they need")
	f.BoolVar(&o.descendants, "with-descendants", false, "with --tasks: and all that needs them")
	f.IntVar(&o.slots, "slots", 0, "most tasks at once (default: 16 for each core)")
	f.StringVar(&o.sync, "sync", "", syncHelp)
	f.BoolVar(&o.keep, "keep", false, "keep the scratch directory, with all logs, and say where it is")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but errors, and JSON with --json")
	f.BoolVar(&o.json, "json", false, "print the run with its tasks and attempts as JSON at its end")
	must(cmd.RegisterFlagCompletionFunc("sync", cobra.FixedCompletions(syncChoices, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.MarkFlagDirname("data"))
	return cmd
}

const syncHelp = "how safe a commit is: full survives power loss, normal may lose the last moments to it, off survives only crashes of programs (default: full with --data)"

var syncChoices = []string{"full", "normal", "off"}

func checkRunArgs(o *runOptions, args []string) error {
	switch {
	case o.resume != "" && len(args) > 0:
		return errors.New("--resume continues a run that is stored: leave FILE away")
	case o.resume != "" && o.data == "":
		return errors.New("--resume needs --data DIR, the directory the run was started with")
	case o.resume != "" && (len(o.params) > 0 || len(o.tasks) > 0):
		return errors.New("--resume continues the run as it was started: leave -p and --tasks away")
	case o.resume == "" && len(args) == 0:
		return errors.New("name a workflow: semel run FILE")
	case len(args) > 1:
		return fmt.Errorf("%q is too much: run takes one FILE, and parameters as -p name=value", args[1])
	case o.keep && o.data != "":
		return errors.New("--data keeps everything already: leave --keep away")
	}
	return checkEngineFlags(o.slots, o.sync, o.tasks, o.ancestors || o.descendants)
}

func checkEngineFlags(slots int, sync string, tasks []string, widened bool) error {
	switch {
	case slots < 0:
		return fmt.Errorf("--slots %d is not a number of tasks", slots)
	case sync != "" && !oneOf(sync, syncChoices):
		return fmt.Errorf("--sync %q is not known: use full, normal or off", sync)
	case widened && len(tasks) == 0:
		return errors.New("--with-ancestors and --with-descendants widen a choice of tasks: name the tasks too")
	}
	return nil
}

// startRequest reads the file and checks all that can be checked before
// anything is opened.
func (a *app) startRequest(o *runOptions, path string) (*api.StartInlineRequest, error) {
	file, err := a.load(path)
	if err != nil {
		return nil, err
	}
	params, err := parseParams(o.params)
	if err != nil {
		return nil, err
	}
	if err := checkStart(file.workflow, params, o.tasks); err != nil {
		return nil, err
	}
	source, err := file.source()
	if err != nil {
		return nil, bad(err)
	}
	return &api.StartInlineRequest{
		File: file.name, Source: source, Params: params,
		Select: selection(o.tasks, o.ancestors, o.descendants),
	}, nil
}

func selection(tasks []string, ancestors, descendants bool) *api.Select {
	if len(tasks) == 0 {
		return nil
	}
	return &api.Select{Tasks: tasks, Ancestors: ancestors, Descendants: descendants}
}

// runHere is `semel run`.
func (a *app) runHere(ctx context.Context, o *runOptions, args []string) (err error) {
	defer a.surviveBrokenPipes()()
	h := &here{app: a, options: o, to: a.out}
	if o.json {
		h.to = a.err // stdout is for the JSON alone
		h.silent = !isLive(a.err)
	}
	h.silent = h.silent || o.quiet
	if o.resume == "" {
		if h.request, err = a.startRequest(o, args[0]); err != nil {
			return err
		}
	}
	if o.keep {
		if o.data, err = os.MkdirTemp("", "semel-run-"); err != nil {
			return badf("make a scratch directory: %w", err)
		}
		a.say("data and logs stay in %s", o.data)
	}
	h.log.set(a.err)
	h.engine, err = openEngine(ctx, engineConfig{
		Data: o.data, Slots: o.slots, Sync: o.sync, Version: version(), Log: a.logTo(&h.log, slog.LevelError),
	})
	if err != nil {
		return bad(err)
	}
	err = h.execute(ctx)
	if closing := h.engine.Close(); closing != nil {
		a.say("semel: %v", closing) // what became of the run matters more
		if err == nil {
			err = silent(exitFailed)
		}
	}
	return err
}

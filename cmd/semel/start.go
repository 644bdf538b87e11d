package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
)

// startOptions are the flags of `semel start`.
type startOptions struct {
	remote
	params      []string
	key         string
	version     int
	priority    int
	tasks       []string
	ancestors   bool
	descendants bool
	wait        bool
	follow      bool
	json        bool
}

func (a *app) startCommand() *cobra.Command {
	o := &startOptions{}
	cmd := &cobra.Command{
		Use:   "start WORKFLOW|FILE",
		Short: "Start a run on a server",
		Long: `Start a run of a workflow of the server, or of a file, which is applied first.
What has a slash in it or ends in .yaml or .yml is a file; "-" is stdin.

The id of the run is printed. Repeated with the same --key, the run that was
started under it is returned, and no other is started. With --wait the exit code
is that of the run; with -f the run is shown meanwhile.

` + exitHelp,
		Example: `  semel start daily-sales -p region=cn
  semel start ./daily-sales.yaml -f
  semel start daily-sales --key sales-2026-11-21 --wait`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.version != 0 && len(args) == 1 && isFile(args[0]) {
				return errors.New("--version chooses among the versions of the server: name the workflow, not a file")
			}
			return errors.Join(takes(1, 1)(cmd, args), checkEngineFlags(0, "", o.tasks, o.ancestors || o.descendants))
		},
		ValidArgsFunction: o.completeWorkflows,
		RunE:              a.doesUntilInterrupted(func(ctx context.Context, args []string) error { return a.start(ctx, o, args[0]) }),
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.params, "param", "p", nil, "value of a parameter, as `name=value`; may be repeated")
	f.StringVar(&o.key, "key", "", "idempotency key: under one `KEY` one run is started")
	f.IntVar(&o.version, "version", 0, "version of the workflow (default: the latest)")
	f.IntVar(&o.priority, "priority", 0, "higher goes first")
	f.StringSliceVar(&o.tasks, "tasks", nil, "run only these `TASKS`, separated by commas")
	f.BoolVar(&o.ancestors, "with-ancestors", false, "with --tasks: and all that they need")
	f.BoolVar(&o.descendants, "with-descendants", false, "with --tasks: and all that needs them")
	f.BoolVar(&o.wait, "wait", false, "wait for the end of the run")
	f.BoolVarP(&o.follow, "follow", "f", false, "show the run until its end")
	jsonFlag(cmd, &o.json)
	cmd.MarkFlagsMutuallyExclusive("follow", "json")
	return cmd
}

func (a *app) start(ctx context.Context, o *startOptions, what string) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := a.started(ctx, c, o, what)
	if err != nil {
		return err
	}
	switch {
	case o.follow:
		a.say("run %s", run.ID)
		v, err := a.watchToEnd(ctx, c, run, false)
		if err != nil {
			return err
		}
		return outcome(v.run.State)
	case !o.wait && o.json:
		return a.printJSON(api.Started{Run: run})
	case !o.wait:
		return a.print(string(run.ID))
	}
	if !o.json {
		if err := a.print(string(run.ID)); err != nil {
			return err
		}
	}
	return a.waitFor(ctx, c, run.ID, o.json)
}

// started asks for the run.
func (a *app) started(ctx context.Context, c *client.Client, o *startOptions, what string) (api.Run, error) {
	params, err := parseParams(o.params)
	if err != nil {
		return api.Run{}, err
	}
	chosen := selection(o.tasks, o.ancestors, o.descendants)
	if !isFile(what) {
		return c.Start(ctx, api.StartRequest{
			Workflow: what, Version: o.version, Params: params, Select: chosen, Priority: o.priority, Key: o.key,
		})
	}
	file, err := a.load(what)
	if err != nil {
		return api.Run{}, err
	}
	if err := checkStart(file.workflow, params, o.tasks); err != nil {
		return api.Run{}, err
	}
	source, err := file.source()
	if err != nil {
		return api.Run{}, bad(err)
	}
	return c.StartInline(ctx, api.StartInlineRequest{
		File: file.name, Source: source, Params: params, Select: chosen, Priority: o.priority, Key: o.key,
	})
}

// verdictLine is a run in one sentence, as far as its row tells.
func verdictLine(run *api.Run, st style) string {
	line := fmt.Sprintf("%s v%d %s", st.bold(oneLine(run.Workflow)), run.Version, st.run(run.State))
	if run.StartedAt != nil && run.FinishedAt != nil {
		line += " in " + span(run.FinishedAt.Sub(*run.StartedAt))
	}
	if reason := oneLine(run.Reason); reason != "" {
		line += ": " + reason
	}
	return line
}

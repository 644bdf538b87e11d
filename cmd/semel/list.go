package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
)

// listOptions are the flags of `semel list`.
type listOptions struct {
	remote
	workflow  string
	states    []string
	after     string
	limit     int
	workflows bool
	json      bool
}

// listLimitMax is what the API grants at most.
const listLimitMax = 1000

var runStates = []flow.RunState{
	flow.RunQueued, flow.RunRunning, flow.RunPausing, flow.RunPaused,
	flow.RunStopping, flow.RunStopped, flow.RunFailed, flow.RunSucceeded,
}

func (a *app) listCommand() *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List runs, newest first, or workflows",
		Long: `List the runs of a server, newest first; with --workflows, its workflows.

A page is full if there may be more: go on with --after and the id of its last
run. JSON has it as "next".`,
		Example: `  semel list --state failed,stopped
  semel list --workflow daily-sales --limit 100
  semel list --workflows
  semel list --json | jq -r '.runs[].id'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := takes(0, 0)(cmd, args); err != nil {
				return err
			}
			return o.check()
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.doesUntilInterrupted(func(ctx context.Context, _ []string) error { return a.list(ctx, o) }),
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.workflow, "workflow", "", "only runs of this workflow; with --workflows, its versions")
	f.StringSliceVar(&o.states, "state", nil, "only runs in these `STATES`, separated by commas")
	f.StringVar(&o.after, "after", "", "only runs older than this `RUN`: the next page")
	f.IntVar(&o.limit, "limit", 20, "most runs to list, at most 1000")
	f.BoolVar(&o.workflows, "workflows", false, "list workflows instead of runs")
	jsonFlag(cmd, &o.json)
	must(cmd.RegisterFlagCompletionFunc("workflow", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		found, _ := o.completeWorkflows(cmd, nil, "")
		return found, cobra.ShellCompDirectiveNoFileComp
	}))
	must(cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("after", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return o.completeRuns(false)(cmd, nil, "")
	}))
	return cmd
}

func stateNames() []string {
	names := make([]string, len(runStates))
	for i, s := range runStates {
		names[i] = string(s)
	}
	return names
}

func (o *listOptions) check() error {
	if o.limit < 1 || o.limit > listLimitMax {
		return fmt.Errorf("--limit %d is out of range: 1 to %d", o.limit, listLimitMax)
	}
	for _, state := range o.states {
		if oneOf(state, stateNames()) {
			continue
		}
		if near, ok := param.Nearest(state, stateNames()); ok {
			return fmt.Errorf("--state %q is not a state of a run: did you mean %q?", state, near)
		}
		return fmt.Errorf("--state %q is not a state of a run: use %s", state, strings.Join(stateNames(), ", "))
	}
	return nil
}

func (a *app) list(ctx context.Context, o *listOptions) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	if o.workflows {
		return a.listWorkflows(ctx, c, o)
	}
	query := client.RunQuery{Workflow: o.workflow, Limit: o.limit}
	for _, state := range o.states {
		query.States = append(query.States, flow.RunState(state))
	}
	if o.after != "" {
		after, err := findRun(ctx, c, o.after)
		if err != nil {
			return err
		}
		query.After = string(after)
	}
	page, err := c.Runs(ctx, query)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(page)
	}
	if len(page.Runs) == 0 {
		a.say("no runs")
		return nil
	}
	st := a.styleOf(a.out)
	t := table{head: []string{"RUN", "WORKFLOW", "STATE", "CREATED", "TOOK", "REASON"}}
	for i := range page.Runs {
		run := &page.Runs[i]
		t.add(string(run.ID), fmt.Sprintf("%s v%d", oneLine(run.Workflow), run.Version), st.run(run.State), clock(run.CreatedAt),
			padLeft(between(run.StartedAt, run.FinishedAt, time.Now()), spanCells), oneLine(run.Reason))
	}
	if err := a.print(t.lines(widthOf(a.out), st)...); err != nil {
		return err
	}
	if page.Next != "" {
		a.say("there may be more: --after %s", page.Next)
	}
	return nil
}

func (a *app) listWorkflows(ctx context.Context, c *client.Client, o *listOptions) error {
	var found []api.WorkflowSummary
	var err error
	if o.workflow == "" {
		found, err = c.Workflows(ctx)
	} else {
		found, err = c.Versions(ctx, o.workflow)
	}
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(api.WorkflowList{Workflows: found})
	}
	if len(found) == 0 {
		a.say("no workflows: `semel apply FILE` stores one")
		return nil
	}
	t := table{head: []string{"WORKFLOW", "VERSION", "TASKS", "CREATED", "DESCRIPTION"}}
	for _, w := range found {
		t.add(oneLine(w.Name), padLeft(fmt.Sprint(w.Version), len("VERSION")), padLeft(fmt.Sprint(w.Tasks), len("TASKS")), clock(w.CreatedAt), oneLine(w.Description))
	}
	return a.print(t.lines(widthOf(a.out), a.styleOf(a.out))...)
}

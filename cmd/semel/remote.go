package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

// serverEnv names the server where no --server does.
const serverEnv = "SEMEL_SERVER"

// remote is a server that commands talk to.
type remote struct{ url string }

func (r *remote) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.url, "server", "", "server to talk to (default: $"+serverEnv+", else "+client.DefaultURL+")")
	must(cmd.RegisterFlagCompletionFunc("server", cobra.NoFileCompletions))
}

// connect makes the client. Nothing is sent yet.
func (r *remote) connect() (*client.Client, error) {
	from, address := "--server", r.url
	if address == "" {
		from, address = serverEnv, os.Getenv(serverEnv)
	}
	if address == "" {
		return client.New(""), nil
	}
	full := address
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	parsed, err := url.Parse(full)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, badf("%s %q is not the address of a server: write it as %s", from, address, client.DefaultURL)
	}
	return client.New(full), nil
}

// lastRun stands for the newest run wherever a run is named.
const lastRun = "last"

const runHelp = `RUN is the id of a run, the beginning of one if only one run has it, or "last"
for the newest run.`

// findRun turns what a person typed into the id of a run.
func findRun(ctx context.Context, c *client.Client, typed string) (flow.RunID, error) {
	if typed == lastRun {
		page, err := c.Runs(ctx, client.RunQuery{Limit: 1})
		if err != nil {
			return "", err
		}
		if len(page.Runs) == 0 {
			return "", badf("there is no run yet: `semel start` starts one")
		}
		return page.Runs[0].ID, nil
	}
	prefix := strings.ToLower(strings.ReplaceAll(typed, "-", ""))
	if !runPrefix.MatchString(prefix) {
		return "", badf("%q is not the id of a run: `semel list` shows what there is", typed)
	}
	id := dashed(prefix)
	if len(prefix) == runIDDigits {
		return flow.RunID(id), nil
	}
	return unique(ctx, c, typed, id)
}

// runIDDigits is the length of a run's id without its dashes.
const runIDDigits = 32

var runPrefix = regexp.MustCompile(`^[0-9a-f]{1,32}$`)

// dashed puts the dashes of a UUID into the beginning of one.
func dashed(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		switch i {
		case 8, 12, 16, 20:
			b.WriteByte('-')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// unique finds the one run whose id begins so. Ids are ordered, and pages go
// from high to low: what follows the highest id with that beginning has it, or
// nothing has.
func unique(ctx context.Context, c *client.Client, typed, prefix string) (flow.RunID, error) {
	digits := strings.ReplaceAll(prefix, "-", "")
	highest := dashed(digits + strings.Repeat("f", runIDDigits-len(digits)))
	const shownMax = 5
	page, err := c.Runs(ctx, client.RunQuery{After: highest, Limit: shownMax})
	if err != nil {
		return "", err
	}
	var found []api.Run
	for _, run := range page.Runs {
		if strings.HasPrefix(string(run.ID), prefix) {
			found = append(found, run)
		}
	}
	switch len(found) {
	case 0:
		return "", badf("there is no run %q: `semel list` shows what there is", typed)
	case 1:
		return found[0].ID, nil
	}
	lines := make([]string, len(found))
	for i, run := range found {
		lines[i] = fmt.Sprintf("\n  %s  %s %s", run.ID, oneLine(run.Workflow), run.State)
	}
	return "", badf("%q is the beginning of more than one run: write more of it%s", typed, strings.Join(lines, ""))
}

// completionTimeout bounds what pressing Tab may cost.
const completionTimeout = time.Second

// completeRuns offers the newest runs, then, for commands that take one, the
// tasks of the run that was named.
func (r *remote) completeRuns(tasksToo bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		c, err := r.connect()
		switch {
		case err != nil:
			return nil, cobra.ShellCompDirectiveError
		case len(args) == 0:
			return runCompletions(ctx, c), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		case len(args) == 1 && tasksToo:
			return taskCompletions(ctx, c, args[0]), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func runCompletions(ctx context.Context, c *client.Client) []cobra.Completion {
	page, err := c.Runs(ctx, client.RunQuery{Limit: 50})
	if err != nil {
		return nil // no server, no help: an error would only garble the prompt
	}
	found := []cobra.Completion{cobra.CompletionWithDesc(lastRun, "the newest run")}
	for _, run := range page.Runs {
		found = append(found, cobra.CompletionWithDesc(string(run.ID), fmt.Sprintf("%s %s", oneLine(run.Workflow), run.State)))
	}
	return found
}

func taskCompletions(ctx context.Context, c *client.Client, typed string) []cobra.Completion {
	run, err := findRun(ctx, c, typed)
	if err != nil {
		return nil
	}
	detail, err := c.Run(ctx, run)
	if err != nil {
		return nil
	}
	var found []cobra.Completion
	for _, task := range detail.Tasks {
		found = append(found, cobra.CompletionWithDesc(task.Name, string(task.State)))
	}
	return found
}

// completeTaskFlag offers the tasks of the run that was named before.
func (r *remote) completeTaskFlag(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, directive := r.completeRuns(true)(cmd, args[:1], "")
	return found, directive
}

// completeWorkflows offers workflows of the server, and files.
func (r *remote) completeWorkflows(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := r.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	workflows, err := c.Workflows(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var found []cobra.Completion
	for _, w := range workflows {
		found = append(found, cobra.CompletionWithDesc(w.Name, oneLine(w.Description)))
	}
	return found, cobra.ShellCompDirectiveDefault
}

// completeFiles offers workflow files.
func completeFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"charm.land/lipgloss/v2"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// logsOptions are the flags of `semel logs`.
type logsOptions struct {
	remote
	follow  bool
	attempt int
	tail    int64
}

func (a *app) logsCommand() *cobra.Command {
	o := &logsOptions{}
	cmd := &cobra.Command{
		Use:   "logs RUN [TASK]",
		Short: "Print the log of a task, or of a whole run",
		Long: `Print the log of a task: of its last attempt, or of the one named. Without TASK,
the logs of all tasks, one after the other.

With -f it goes on while the log grows, until the attempt has ended; without
TASK, until the run has ended, each line behind the name of its task.

` + runHelp,
		Example: "  semel logs last load -f\n  semel logs last load --attempt 1\n  semel logs last -f",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.attempt < 0:
				return fmt.Errorf("--attempt %d is not the number of an attempt: they start at 1", o.attempt)
			case o.attempt > 0 && len(args) == 1:
				return errors.New("--attempt is an attempt of one task: name the TASK, too")
			case o.tail < 0:
				return fmt.Errorf("--tail %d is not a number of bytes", o.tail)
			}
			return takes(1, 2)(cmd, args)
		},
		ValidArgsFunction: o.completeRuns(true),
		RunE:              a.doesUntilInterrupted(func(ctx context.Context, args []string) error { return a.logs(ctx, o, args) }),
	}
	o.flags(cmd)
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on while the log grows")
	cmd.Flags().IntVar(&o.attempt, "attempt", 0, "number of the attempt (default: the last)")
	cmd.Flags().Int64Var(&o.tail, "tail", 0, "only the last so many `BYTES` (default: all)")
	return cmd
}

func (a *app) logs(ctx context.Context, o *logsOptions, args []string) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := findRun(ctx, c, args[0])
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && o.follow:
		return a.followAll(ctx, c, run)
	case len(args) == 1:
		return a.logAll(ctx, c, run, o.tail)
	}
	query := client.LogQuery{Run: run, Task: args[1], Attempt: o.attempt, Offset: -o.tail}
	if !o.follow {
		return a.logOne(ctx, c, query)
	}
	for piece, err := range c.FollowLog(ctx, query) {
		if err != nil {
			return err
		}
		if _, err := a.out.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) logOne(ctx context.Context, c *client.Client, q client.LogQuery) error {
	log, err := c.Log(ctx, q)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = io.Copy(a.out, log)
	return err
}

// logAll prints the logs of all tasks, in the order of the DAG.
func (a *app) logAll(ctx context.Context, c *client.Client, run flow.RunID, tail int64) error {
	detail, err := c.Run(ctx, run)
	if err != nil {
		return err
	}
	silent, err := withoutLog(ctx, c, detail.Run.Workflow, detail.Run.Version)
	if err != nil {
		return err
	}
	st := a.styleOf(a.out)
	found := false
	for i := range detail.Tasks {
		task := &detail.Tasks[i]
		n := len(task.Attempts)
		if n == 0 || silent[task.Name] {
			continue
		}
		var text bytes.Buffer // the head is written only where there is a log
		log, err := c.Log(ctx, client.LogQuery{Run: run, Task: task.Name, Offset: -tail})
		if noLog(err) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s\n", st.bold(fmt.Sprintf("==> %s, attempt %d, %s <==", oneLine(task.Name), task.Attempts[n-1].Number, task.State)))
		_, err = io.Copy(a.out, io.MultiReader(&text, log))
		if err := errors.Join(err, log.Close()); err != nil {
			return err
		}
		found = true
	}
	if !found {
		a.say("run %s has no logs yet", run)
	}
	return nil
}

// withoutLog are the tasks of a workflow that run no process: in a run of ten
// thousand of them, asking for each log would take minutes.
func withoutLog(ctx context.Context, c *client.Client, workflow string, version int) (map[string]bool, error) {
	w, err := c.Workflow(ctx, workflow, version)
	if err != nil {
		return nil, err
	}
	silent := map[string]bool{}
	for _, t := range w.Tasks {
		if t.Type == task.TypeNoop || t.Type == task.TypeSleep {
			silent[t.Name] = true
		}
	}
	return silent, nil
}

// noLog reports whether an error says only that an attempt has written none.
func noLog(err error) bool {
	var problem *client.Problem
	return errors.As(err, &problem) && problem.Status == http.StatusNotFound
}

// logsAtOnce bounds how many logs are followed at the same time: a server has
// so many places for that, and others want some, too.
const logsAtOnce = 16

// followAll follows the log of each attempt from its start, until the run has
// ended.
func (a *app) followAll(ctx context.Context, c *client.Client, run flow.RunID) error {
	group, ctx := errgroup.WithContext(ctx)
	logs, logCtx := errgroup.WithContext(ctx)
	logs.SetLimit(logsAtOnce)
	out := &prefixed{to: a.out, style: a.styleOf(a.out)}
	group.Go(func() error {
		f := &attemptFollower{client: c, run: run, logs: logs, out: out, seen: map[string]int{}}
		_, err := follow(ctx, c, run, f.watcher(logCtx), nil, nil)
		return errors.Join(err, logs.Wait())
	})
	return group.Wait()
}

// attemptFollower starts to follow each attempt that it sees.
type attemptFollower struct {
	client *client.Client
	run    flow.RunID
	logs   *errgroup.Group
	out    *prefixed
	silent map[string]bool // tasks that have no logs; nil until the first snapshot
	seen   map[string]int  // task to its last attempt that is followed
}

func (f *attemptFollower) watcher(ctx context.Context) watcher {
	return snapshotFunc(func(s *api.Snapshot) (err error) {
		if f.silent == nil {
			if f.silent, err = withoutLog(ctx, f.client, s.Run.Workflow, s.Run.Version); err != nil {
				return err
			}
		}
		for i := range s.Tasks {
			t := &s.Tasks[i]
			for !f.silent[t.Name] && f.seen[t.Name] < t.Attempt {
				f.seen[t.Name]++
				q := client.LogQuery{Run: f.run, Task: t.Name, Attempt: f.seen[t.Name]}
				f.out.widen(t.Name)
				f.logs.Go(func() error { return f.follow(ctx, q) })
			}
		}
		return ctx.Err()
	})
}

func (f *attemptFollower) follow(ctx context.Context, q client.LogQuery) error {
	var rest []byte
	for piece, err := range f.client.FollowLog(ctx, q) {
		if noLog(err) {
			return nil
		}
		if err != nil {
			return err
		}
		rest = append(rest, piece...)
		if end := bytes.LastIndexByte(rest, '\n') + 1; end > 0 {
			if err := f.out.write(q.Task, rest[:end]); err != nil {
				return err
			}
			rest = append([]byte(nil), rest[end:]...)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return f.out.write(q.Task, append(rest, '\n'))
}

// prefixed writes whole lines, each behind the name of its task.
type prefixed struct {
	to    io.Writer
	style style

	mu    sync.Mutex
	width int
}

const prefixMax = 24

func (p *prefixed) widen(task string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.width = max(p.width, min(prefixMax, lipgloss.Width(oneLine(task))))
}

func (p *prefixed) write(task string, lines []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	head := p.style.dim(pad(fit(oneLine(task), p.width), p.width) + " | ")
	var b bytes.Buffer
	for line := range bytes.Lines(lines) {
		b.WriteString(head)
		b.Write(line)
	}
	_, err := p.to.Write(b.Bytes())
	return err
}

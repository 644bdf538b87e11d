package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

// here is one run in this process.
type here struct {
	*app
	options *runOptions
	request *api.StartInlineRequest // nil: resume
	engine  *engine
	to      io.Writer // of the view
	silent  bool
	log     redirect
	view    *view
	watcher watcher
	stopped bool // the run was asked to stop, since nobody could release it
}

var (
	errKilled = errors.New("killed by a second interrupt")
	errHeld   = errors.New("held") // the run goes on only once somebody resumes it
)

// execute runs the engine for as long as the run takes.
func (h *here) execute(ctx context.Context) error {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals...)
	defer signal.Stop(signals)
	engineCtx, stopEngine := context.WithCancel(ctx)
	group, groupCtx := errgroup.WithContext(engineCtx)
	group.Go(func() error {
		err := h.engine.Run(groupCtx)
		if engineCtx.Err() != nil {
			return nil // it was asked to end
		}
		return fmt.Errorf("the engine ended by itself: %w", err)
	})
	var result error
	group.Go(func() error {
		defer stopEngine()
		result = h.begin(groupCtx, signals, kill)
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return result
}

// begin starts or resumes the run, and stays until it is over.
func (h *here) begin(ctx context.Context, signals <-chan os.Signal, kill context.CancelCauseFunc) error {
	c := h.engine.Client()
	run, err := h.start(ctx, c)
	if err != nil {
		return err
	}
	if h.view, err = viewOf(ctx, c, run.Workflow, run.Version); err != nil {
		return err
	}
	h.watcher = h.watcherOf(h.to, h.view, h.silent)
	if live, ok := h.watcher.(*liveWatcher); ok {
		h.log.set(live.screen)
	}
	err = h.stay(ctx, c, run.ID, signals, kill)
	h.watcher.end()
	h.log.set(h.err)
	switch {
	case errors.Is(context.Cause(ctx), errKilled):
		h.hint(run.ID, "killed; continue with")
		return silent(exitFailed)
	case errors.Is(err, errHeld):
		h.say("%s", h.view.verdict(time.Now(), style{}))
		h.hint(run.ID, "held; once it may go on, release it with")
		return silent(exitFailed)
	case err != nil && ctx.Err() != nil:
		return nil // the engine says why
	case err != nil:
		return err
	}
	return h.finish(ctx, c)
}

// start returns the run to stay with.
func (h *here) start(ctx context.Context, c *client.Client) (api.Run, error) {
	if h.request == nil {
		return h.continued(ctx, c)
	}
	run, err := c.StartInline(ctx, *h.request)
	if err == nil {
		h.hint(run.ID, "if it is interrupted, continue with")
	}
	return run, err
}

// continued brings a stored run on: from wherever it was left, the same words
// make it go on.
func (h *here) continued(ctx context.Context, c *client.Client) (api.Run, error) {
	run, err := findRun(ctx, c, h.options.resume)
	if err != nil {
		return api.Run{}, err
	}
	detail, err := c.Run(ctx, run)
	if err != nil {
		return api.Run{}, err
	}
	var command api.Command
	switch detail.Run.State {
	case flow.RunQueued, flow.RunStopping, flow.RunSucceeded:
		return detail.Run, nil
	case flow.RunRunning:
		if !anyHeld(detail.Tasks) {
			return detail.Run, nil
		}
		command, err = c.Resume(ctx, run, api.ResumeRequest{})
	case flow.RunPausing, flow.RunPaused:
		command, err = c.Resume(ctx, run, api.ResumeRequest{})
	case flow.RunStopped, flow.RunFailed:
		command, err = c.Rerun(ctx, run, api.RerunRequest{Failed: true})
	}
	if err == nil {
		_, err = carriedOut(ctx, c, command)
	}
	return detail.Run, err
}

func anyHeld(tasks []api.TaskRun) bool {
	for i := range tasks {
		if state := tasks[i].State; state == flow.TaskHeld || state == flow.TaskPaused {
			return true
		}
	}
	return false
}

// hint says how the run can be continued, where it can.
func (h *here) hint(run flow.RunID, when string) {
	if h.options.data != "" && !h.options.quiet {
		h.say("run %s: %s: semel run --resume %s --data %s", run, when, run, shellWord(h.options.data))
	}
}

// stay watches the run to its end, and carries out interrupts: the first stops
// the run, the second kills it.
func (h *here) stay(ctx context.Context, c *client.Client, run flow.RunID, signals <-chan os.Signal, kill context.CancelCauseFunc) error {
	over := make(chan struct{})
	final := make(chan *api.Snapshot, 1)
	group, ctx := errgroup.WithContext(ctx)
	waiting, stopWaiting := context.WithCancel(ctx)
	group.Go(func() error {
		defer close(over)
		defer stopWaiting()
		_, err := follow(ctx, c, run, h.watcher, func() error { return h.checkHeld(ctx, c, run) }, final)
		return err
	})
	group.Go(func() error {
		if len(h.view.tasks) > promptMax {
			return nil
		}
		if detail, err := c.Wait(waiting, run); err == nil {
			final <- snapshotOf(&detail)
		}
		return nil // whatever is wrong, watching meets it, too
	})
	group.Go(func() error {
		select {
		case <-over:
			return nil
		case s := <-signals:
			h.watcher.note("stopping the run and waiting for its tasks to end; once more kills them")
			if _, err := c.Stop(ctx, run, api.StopRequest{Reason: fmt.Sprintf("a signal asked for it (%v)", s)}); err != nil {
				return err
			}
		}
		select {
		case <-over:
		case <-signals:
			kill(errKilled)
		}
		return nil
	})
	return group.Wait()
}

// promptMax is up to how many task runs the end of a run is asked for besides
// being watched for: a short run is over within milliseconds, and the answer is
// small.
const promptMax = 1000

// snapshotOf is a run in short.
func snapshotOf(d *api.RunDetail) *api.Snapshot {
	s := &api.Snapshot{Run: d.Run, Tasks: make([]api.TaskSnapshot, len(d.Tasks))}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		s.Tasks[i] = api.TaskSnapshot{Name: t.Name, State: t.State, Reason: t.Reason}
		if n := len(t.Attempts); n > 0 {
			last := &t.Attempts[n-1]
			s.Tasks[i].Attempt, s.Tasks[i].StartedAt, s.Tasks[i].FinishedAt = last.Number, last.StartedAt, last.FinishedAt
		}
	}
	return s
}

// checkHeld ends a run that waits for somebody to resume it: in this process
// nobody can. In a data directory it stays as it is, else it is stopped.
func (h *here) checkHeld(ctx context.Context, c *client.Client, run flow.RunID) error {
	switch {
	case h.stopped || !h.view.held():
		return nil
	case h.options.data != "":
		return errHeld
	}
	h.stopped = true
	h.watcher.note("tasks are held, and without --data nobody can release them: stopping the run")
	_, err := c.Stop(ctx, run, api.StopRequest{Reason: "tasks were held, and nobody could release them"})
	return err
}

// finish says how it ended.
func (h *here) finish(ctx context.Context, c *client.Client) error {
	if _, live := h.watcher.(*liveWatcher); live {
		if err := writeLines(h.to, h.view.summary(sizeOf(h.to).width, time.Now(), h.styleOf(h.to))); err != nil {
			return err
		}
	}
	run := h.view.run.ID
	if !h.options.quiet {
		h.tails(ctx, c, run, failures(h.view.tasks))
	}
	if h.options.data != "" && !h.options.quiet {
		h.say("run %s: for its logs: semel standalone --data %s, and beside it: semel logs %s", run, shellWord(h.options.data), run)
	}
	if h.options.json {
		detail, err := c.Run(ctx, run)
		if err != nil {
			return err
		}
		if err := h.printJSON(detail); err != nil {
			return err
		}
	}
	return outcome(h.view.run.State)
}

// What is shown of the logs of failed tasks.
const (
	tailsMax  = 3
	tailLines = 10
	tailBytes = 4096
	tailWidth = 200
)

// tails shows the ends of the logs of failed tasks: what one would look for
// next, and what a scratch directory takes along.
func (h *here) tails(ctx context.Context, c *client.Client, run flow.RunID, failed []api.TaskSnapshot) {
	st := h.styleOf(h.err)
	for _, t := range failed[:min(len(failed), tailsMax)] {
		log, err := c.Log(ctx, client.LogQuery{Run: run, Task: t.Name, Offset: -tailBytes})
		if err != nil {
			continue // an attempt without a process has no log
		}
		text, err := io.ReadAll(log)
		_ = log.Close()
		lines := lastLines(text, tailLines)
		if err != nil || len(lines) == 0 {
			continue
		}
		h.say("\n%s", st.bold(fmt.Sprintf("the end of the log of %s:", oneLine(t.Name))))
		for _, line := range lines {
			h.say("  %s", line)
		}
	}
	if len(failed) > 0 && h.options.data == "" {
		h.say("\n%s", st.dim("all logs are kept with --keep or --data DIR"))
	}
}

package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
)

const (
	redrawEvery   = 100 * time.Millisecond // ten times a second: smooth, and cheap over ssh
	reconnectWait = 2 * time.Second
	reconnectMax  = 5 * time.Minute // a server that restarts is back by then
)

// watcher is somebody who is shown a run.
type watcher interface {
	update(s *api.Snapshot, now time.Time) error
	tick(now time.Time) error
	note(text string) // something besides the run itself
	end()
}

// watcherOf picks what fits where output goes: a live view, plain lines, or,
// with quiet, nothing.
func (a *app) watcherOf(to io.Writer, v *view, quiet bool) watcher {
	switch {
	case quiet:
		return silentWatcher{v}
	case isLive(to):
		screen := newScreen(to, func() size { return sizeOf(to) })
		return &liveWatcher{view: v, screen: screen, style: a.styleOf(to)}
	}
	return &plainWatcher{plainLines: newPlainLines(to), view: v, notes: a.err}
}

// liveWatcher redraws a view.
type liveWatcher struct {
	view   *view
	screen *screen
	style  style
}

func (l *liveWatcher) update(s *api.Snapshot, now time.Time) error {
	l.view.update(s)
	return l.tick(now)
}

func (l *liveWatcher) tick(now time.Time) error {
	if l.view.run.ID != "" {
		l.screen.draw(l.view.frame(l.screen.size(), now, l.style))
	}
	return nil
}

func (l *liveWatcher) note(text string) { l.screen.above(text) }

func (l *liveWatcher) end() { l.screen.close() }

// plainWatcher writes lines, and keeps the view for the summary.
type plainWatcher struct {
	*plainLines
	view  *view
	notes io.Writer
}

func (p *plainWatcher) update(s *api.Snapshot, now time.Time) error {
	p.view.update(s)
	return p.plainLines.update(s, now)
}

func (p *plainWatcher) note(text string) { _, _ = io.WriteString(p.notes, text+"\n") }

func (p *plainWatcher) end() {}

// silentWatcher is for --quiet: it keeps the view, and says nothing.
type silentWatcher struct{ view *view }

func (s silentWatcher) update(snapshot *api.Snapshot, _ time.Time) error {
	s.view.update(snapshot)
	return nil
}
func (silentWatcher) tick(time.Time) error { return nil }
func (silentWatcher) note(string)          {}
func (silentWatcher) end()                 {}

// snapshotFunc is a watcher that only wants the snapshots.
type snapshotFunc func(*api.Snapshot) error

func (f snapshotFunc) update(s *api.Snapshot, _ time.Time) error { return f(s) }
func (snapshotFunc) tick(time.Time) error                        { return nil }
func (snapshotFunc) note(string)                                 {}
func (snapshotFunc) end()                                        {}

// follow shows a run until it is final, and returns its last snapshot. Where a
// server goes away it waits for it to come back. After each snapshot, check, if
// there is one, may end the watching with an error. The end may come through
// final, too, if that is not nil: snapshots are rare, and the end is prompt.
func follow(ctx context.Context, c *client.Client, run flow.RunID, w watcher, check func() error, final <-chan *api.Snapshot) (*api.Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	snapshots := make(chan *api.Snapshot)
	watched := make(chan error, 1)
	go func() { watched <- watch(ctx, c, run, w, snapshots) }()
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	var last *api.Snapshot
	var fault error // the first; then only the end of the watching is awaited
	over := false
	end := func(err error) {
		if !over {
			fault, over = err, true
			cancel()
		}
	}
	for {
		var err error
		select {
		case s := <-snapshots:
			if over {
				continue // it is older than the end
			}
			last = s
			if err = w.update(s, time.Now()); err == nil && check != nil {
				err = check()
			}
		case last = <-final:
			end(w.update(last, time.Now()))
		case now := <-ticker.C:
			if !over {
				err = w.tick(now)
			}
		case err = <-watched:
			if !over {
				fault = err
			}
			return last, fault
		}
		if err != nil {
			end(err)
		}
	}
}

// watch sends snapshots until the run is final.
func watch(ctx context.Context, c *client.Client, run flow.RunID, w watcher, to chan<- *api.Snapshot) error {
	var since time.Time // the server has been silent, zero: it has not
	for {
		final, err := watchOnce(ctx, c, run, to, func() { since = time.Time{} })
		var gone *client.Unreachable
		switch {
		case final:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !errors.As(err, &gone):
			return err
		case since.IsZero():
			since = time.Now()
			if err != nil {
				w.note("the server does not answer: waiting for it to come back")
			}
		case err != nil && time.Since(since) > reconnectMax:
			return err
		}
		select {
		case <-time.After(reconnectWait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watchOnce watches over one connection.
func watchOnce(ctx context.Context, c *client.Client, run flow.RunID, to chan<- *api.Snapshot, alive func()) (final bool, err error) {
	for snapshot, err := range c.Watch(ctx, run) {
		if err != nil {
			return final, err
		}
		alive()
		select {
		case to <- &snapshot:
			final = snapshot.Run.State.Final()
		case <-ctx.Done():
			return final, context.Cause(ctx)
		}
	}
	return final, nil
}

// viewOf lays out the view of a run of a workflow version.
func viewOf(ctx context.Context, c *client.Client, workflow string, version int) (*view, error) {
	w, err := c.Workflow(ctx, workflow, version)
	if err != nil {
		return nil, err
	}
	return newView(w.Tasks), nil
}

// watchToEnd shows a run of a server until it is final, and says how it ended.
func (a *app) watchToEnd(ctx context.Context, c *client.Client, run api.Run, quiet bool) (*view, error) {
	v, err := viewOf(ctx, c, run.Workflow, run.Version)
	if err != nil {
		return nil, err
	}
	w := a.watcherOf(a.out, v, quiet)
	_, err = follow(ctx, c, run.ID, w, nil, nil)
	w.end()
	if err != nil {
		return nil, err
	}
	if _, live := w.(*liveWatcher); live {
		err = writeLines(a.out, v.summary(sizeOf(a.out).width, time.Now(), a.styleOf(a.out)))
	}
	return v, err
}

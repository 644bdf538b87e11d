package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// progressEvery is how long a pipe stays silent while a run goes on.
const progressEvery = 30 * time.Second

// plainLines writes one line per change of state, for pipes, files and
// terminals that cannot redraw:
//
//	TIME run ID STATE[: REASON]
//	TIME task NAME STATE[ attempt N][: REASON]
//	TIME progress DONE/TOTAL: COUNTS
//
// A task run that passes through several states between two snapshots gets a
// line for the last one. Waiting, ready and dispatched are on the way to
// others and get none.
type plainLines struct {
	to      io.Writer
	run     flow.RunState
	reason  string
	seen    map[string]plainSeen
	counts  tally
	spokeAt time.Time
}

// plainSeen is what was last said of a task run.
type plainSeen struct {
	state   flow.TaskState
	attempt int
}

func newPlainLines(to io.Writer) *plainLines {
	return &plainLines{to: to, seen: map[string]plainSeen{}}
}

func (p *plainLines) update(s *api.Snapshot, now time.Time) error {
	var b strings.Builder
	if !s.Run.State.Final() {
		p.runLine(&b, &s.Run, now)
	}
	p.counts = tally{}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		p.counts[t.State]++
		saw := plainSeen{state: t.State, attempt: t.Attempt}
		if p.seen[t.Name] == saw || !worthLine(t.State) {
			continue
		}
		p.seen[t.Name] = saw
		fmt.Fprintf(&b, "%s task %s %s", stamp(changedAt(t, now)), oneLine(t.Name), t.State)
		if t.Attempt > 1 {
			fmt.Fprintf(&b, " attempt %d", t.Attempt)
		}
		endLine(&b, t.Reason)
	}
	if s.Run.State.Final() {
		p.runLine(&b, &s.Run, now)
	}
	if b.Len() == 0 {
		return nil
	}
	p.spokeAt = now
	_, err := io.WriteString(p.to, b.String())
	return err
}

// tick says how far the run is, once nothing else has been said for a while.
func (p *plainLines) tick(now time.Time) error {
	if now.Sub(p.spokeAt) < progressEvery || p.counts.total() == 0 {
		return nil
	}
	p.spokeAt = now
	_, err := fmt.Fprintf(p.to, "%s progress %d/%d: %s\n", stamp(now), p.counts.final(), p.counts.total(), p.counts.words(style{}))
	return err
}

func (p *plainLines) runLine(b *strings.Builder, r *api.Run, now time.Time) {
	if p.run == r.State && p.reason == r.Reason {
		return
	}
	p.run, p.reason = r.State, r.Reason
	at := now
	if r.FinishedAt != nil && r.State.Final() {
		at = *r.FinishedAt
	}
	fmt.Fprintf(b, "%s run %s %s", stamp(at), oneLine(string(r.ID)), r.State)
	endLine(b, r.Reason)
}

func endLine(b *strings.Builder, reason string) {
	if reason = oneLine(reason); reason != "" {
		b.WriteString(": " + reason)
	}
	b.WriteString("\n")
}

// worthLine reports whether a state gets a line of its own.
func worthLine(state flow.TaskState) bool {
	switch state {
	case flow.TaskWaiting, flow.TaskReady, flow.TaskDispatched:
		return false
	case flow.TaskRunning, flow.TaskRetrying, flow.TaskPaused, flow.TaskStopped,
		flow.TaskFailed, flow.TaskSkipped, flow.TaskSucceeded, flow.TaskHeld:
		return true
	}
	return true
}

// changedAt is when a task run came into its state, as far as that is known.
func changedAt(t *api.TaskSnapshot, now time.Time) time.Time {
	switch {
	case t.State.Final() && t.FinishedAt != nil:
		return *t.FinishedAt
	case t.State == flow.TaskRunning && t.StartedAt != nil:
		return *t.StartedAt
	}
	return now
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

package runner

import (
	"fmt"
	"sync"
	"time"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

// defaultGrace is the time from the polite signal to the kill, unless the task
// says otherwise.
const defaultGrace = 10 * time.Second

// ending is why the runner ends an attempt before its time.
type ending struct {
	result flow.Result
	reason string
}

// attempt is one that was accepted and has not ended.
type attempt struct {
	runner *Runner
	ref    wire.Ref
	work   *flow.Work
	kind   task.Type
	mask   *masker

	mu      sync.Mutex
	ending  ending         // zero: nobody ends it
	patient time.Duration  // how long it may take to end; zero: no time at all
	asked   bool           // was sent the polite signal, so how it exits may be its answer to that
	started fence.Instant  // zero: not yet
	kill    func()         // ends all of it at once; nil: not started, or over
	polite  func()         // asks it to end; nil likewise
	timers  [2]*time.Timer // of the timeout, and of the grace
}

// begins enters that the attempt has started, and how to end it. If its end
// was asked for meanwhile, it is killed at once.
func (a *attempt) begins(at fence.Instant, polite, kill func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.started, a.polite, a.kill = at, polite, kill
	if a.ending.result != "" {
		a.endLocked()
		return
	}
	if limit := a.work.Timeout; limit > 0 {
		a.timers[0] = time.AfterFunc(limit, func() {
			a.end(ending{flow.TimedOut, fmt.Sprintf("ran longer than its timeout of %s", limit)}, a.grace())
		})
	}
}

// over enters that nothing may be killed any more: from now on the numbers of
// its processes may belong to others.
func (a *attempt) over() ending {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.polite, a.kill = nil, nil
	for _, t := range a.timers {
		if t != nil {
			t.Stop()
		}
	}
	return a.ending
}

// end ends the attempt, politely if there is a grace. The first cause stands.
// An attempt that has not started yet will not.
func (a *attempt) end(e ending, grace time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.ending.result != ""
	if !asked {
		a.ending, a.patient = e, grace
	}
	if grace <= 0 {
		a.patient = 0
	}
	if !asked || grace <= 0 {
		a.endLocked()
	}
}

// endLocked sends the signal, if there is anything yet that can get one.
func (a *attempt) endLocked() {
	switch {
	case a.kill == nil:
	case a.patient <= 0:
		a.kill()
	default:
		a.asked = true
		a.polite()
		e := a.ending
		a.timers[1] = time.AfterFunc(a.patient, func() { a.end(e, 0) })
	}
}

// mark enters that the attempt is ended by a kill of the whole node, which is
// about to come.
func (a *attempt) mark(e ending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending.result == "" {
		a.ending = e
	}
	a.patient = 0
}

// mayStart reports whether the attempt may start at now, and else why not.
func (a *attempt) mayStart(now fence.Instant) (ending, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending.result != "" {
		return a.ending, false
	}
	if !a.runner.holds(now.Boot) {
		return expiry, false
	}
	return ending{}, true
}

// wasAsked reports whether the attempt was asked to end.
func (a *attempt) wasAsked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *attempt) startedAt() fence.Instant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.started
}

func (a *attempt) grace() time.Duration {
	if a.work.Grace > 0 {
		return a.work.Grace
	}
	return defaultGrace
}

// refuse ends an attempt that could not be started.
func (a *attempt) refuse(reason string) {
	a.over()
	a.finish(&flow.Outcome{Result: flow.Refused, Reason: reason})
}

// skip ends an attempt that was ended before it started.
func (a *attempt) skip(e ending) {
	a.over()
	a.finish(&flow.Outcome{Result: e.result, Reason: e.reason + " (before it started)"})
}

// finish hands the outcome to the loop. No process of the attempt lives.
func (a *attempt) finish(o *flow.Outcome) {
	o.Started, o.Finished = a.startedAt(), Now()
	o.Reason = a.mask.text(o.Reason)
	a.runner.inbox.put(event{exited: &agent.Exited{Ref: a.ref, Outcome: *o}})
}

func (a *attempt) newLog() *logFile {
	cfg := &a.runner.cfg
	return &logFile{
		path: LogPath(cfg.Dir, a.work.Run, a.work.Task, a.work.Number), limit: cfg.LogLimit, mask: a.mask,
	}
}

// contained reports whether the attempt is a process, so that a kill of the
// whole node reaches it.
func (a *attempt) contained() bool {
	_, ok := a.kind.(task.Process)
	return ok
}

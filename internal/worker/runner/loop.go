package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

const (
	// youngFor is how long an attempt runs before its start is told. One that
	// ends sooner is told once: its start would cost the master a commit, and
	// the end would have to wait for that.
	youngFor = 20 * time.Millisecond
	// restMax is the longest that the loop sleeps.
	restMax = time.Hour
)

// youngster is an attempt whose start was not told yet.
type youngster struct {
	attempt *attempt
	due     fence.Boot
}

// turn is one round: take what has arrived, decide, write it down, and only
// then act.
func (r *Runner) turn(ctx context.Context, now fence.Instant) {
	r.stats.turns.Add(1)
	events := r.inbox.drain(r.spare[:0])
	var out agent.Out
	for i := range events {
		r.take(now, &events[i], &out)
	}
	r.grow(now, &out)
	r.apply(now, agent.Tick{}, &out)
	r.journal.append(out.Journal, r.machine)
	r.arm()
	r.release(ctx, now, &out)
	clear(events)
	r.spare = events
}

// take applies one event.
func (r *Runner) take(now fence.Instant, e *event, out *agent.Out) {
	switch {
	case e.opened:
		if r.link != nil {
			r.link.end(ErrReplaced)
		}
		r.link = e.from
	case e.closed:
		if r.link == e.from {
			r.link = nil
		}
	case e.exited != nil:
		r.drop(e.exited.Ref)
		r.apply(now, *e.exited, out)
		r.stats.finished.Add(1)
	case e.from == r.link: // what a replaced agent still has to say does not count
		r.hear(now, e.message, out)
	}
}

func (r *Runner) hear(now fence.Instant, m *ToRunner, out *agent.Out) {
	if m.Extend != nil {
		r.apply(now, agent.Extend{Deadline: *m.Extend}, out)
	}
	if m.Attach {
		r.apply(now, agent.Attached{}, out)
	}
	if m.Message != nil {
		if m.Refuse != "" {
			for i := range m.Message.Dispatch {
				r.refused[m.Message.Dispatch[i].Ref()] = m.Refuse
			}
		}
		r.apply(now, agent.Message{ToWorker: *m.Message}, out)
		r.forget(m.Message.Forget)
	}
	if m.Shutdown {
		r.leaving = true
		for _, a := range r.attempts {
			a.end(stopping, a.grace())
		}
	}
}

// forget lets the directories of failed attempts go.
func (r *Runner) forget(all []wire.Forget) {
	if len(all) > 0 {
		r.clean(func() {
			for i := range all {
				r.dirs.forget(all[i].Refs)
			}
		})
	}
}

// apply adds what the machine decides to out.
func (r *Runner) apply(now fence.Instant, in agent.Input, out *agent.Out) {
	o := r.machine.Apply(now, in)
	out.Journal = append(out.Journal, o.Journal...)
	out.Start = append(out.Start, o.Start...)
	out.Kill = append(out.Kill, o.Kill...)
	out.Expire = out.Expire || o.Expire
	out.Reports = append(out.Reports, o.Reports...)
}

// grow tells the machine of attempts that have run for a while.
func (r *Runner) grow(now fence.Instant, out *agent.Out) {
	for len(r.young) > 0 && r.young[0].due <= now.Boot {
		a := r.young[0].attempt
		r.young = r.young[1:]
		if !r.has(a) {
			continue
		}
		if at := a.startedAt(); at != (fence.Instant{}) {
			r.apply(now, agent.Spawned{Ref: a.ref, At: at}, out)
		} else {
			r.young = append(r.young, youngster{a, now.Boot.Add(youngFor)}) // still in the queue
		}
	}
}

// arm sets the alarm to the machine's deadline.
func (r *Runner) arm() {
	d := r.machine.Deadline()
	if fence.Boot(r.deadline.Load()) == d {
		return
	}
	r.lease.Lock()
	defer r.lease.Unlock()
	r.deadline.Store(int64(d))
	if err := r.alarm.set(d); err != nil {
		panic(fmt.Sprintf("runner: cannot set the alarm to %d: %v", d, err))
	}
}

// release acts on what was decided. Kills come after starts: an attempt can be
// asked for and stopped in one turn.
func (r *Runner) release(ctx context.Context, now fence.Instant, out *agent.Out) {
	if out.Expire {
		r.cfg.Log.Error("the lease has ended: everything on this node is killed", "node", r.hello.Node)
		r.killNode(expiry)
	}
	for i := range out.Start {
		r.begin(ctx, now, &out.Start[i])
	}
	clear(r.refused)
	for _, k := range out.Kill {
		if a, ok := r.attempts[k.Ref]; ok {
			grace := k.Grace
			if grace <= 0 {
				grace = a.grace()
			}
			a.end(ending{flow.Stopped, k.Reason}, grace)
		}
	}
	if r.link != nil && len(out.Reports) > 0 {
		r.link.tell(out.Reports)
	}
}

// begin starts an attempt that is in the journal.
func (r *Runner) begin(ctx context.Context, now fence.Instant, d *wire.Dispatch) {
	r.stats.started.Add(1)
	a := &attempt{runner: r, ref: d.Ref(), work: &d.Work, mask: newMasker(d.Work.Secrets)}
	if err := r.journal.room(); err != nil {
		a.refuse("this worker cannot keep records of a new attempt: " + err.Error())
		return
	}
	if r.leaving {
		a.skip(stopping)
		return
	}
	if reason, ok := r.refused[a.ref]; ok {
		a.refuse(reason)
		return
	}
	kind, ok := task.Lookup(d.Work.Type)
	if !ok {
		a.refuse(fmt.Sprintf("this worker has no task type %q; is it of an older version?", d.Work.Type))
		return
	}
	a.kind = kind
	switch kind := kind.(type) {
	case task.Instant:
		a.started = now
		o := judge(kind.At(d.Work.Config))
		a.finish(&o)
	case task.Process:
		r.add(a, now)
		r.queue.put(a)
	case task.Function:
		r.add(a, now)
		r.waiting.Go(func() { a.call(ctx, kind) })
	default:
		panic(fmt.Sprintf("runner: task type %s says not how it is carried out", kind.Name()))
	}
}

func (r *Runner) add(a *attempt, now fence.Instant) {
	r.mu.Lock()
	if r.attempts[a.ref] != nil {
		panic(fmt.Sprintf("runner: attempt %v is started twice", a.ref))
	}
	r.attempts[a.ref] = a
	r.mu.Unlock()
	r.young = append(r.young, youngster{a, now.Boot.Add(youngFor)})
}

func (r *Runner) drop(ref wire.Ref) {
	r.mu.Lock()
	delete(r.attempts, ref)
	r.mu.Unlock()
}

func (r *Runner) has(a *attempt) bool { return r.attempts[a.ref] == a }

// rest returns how long the loop may sleep, or that it is time to leave.
func (r *Runner) rest(now fence.Instant) (time.Duration, bool) {
	if len(r.attempts) > 0 || r.link != nil {
		r.alone = time.Time{}
	} else if r.alone.IsZero() {
		r.alone = time.Now()
	}
	if r.leaving && len(r.attempts) == 0 && r.machine.Idle() {
		return 0, true
	}
	next := restMax
	if len(r.young) > 0 {
		next = min(next, max(0, r.young[0].due.Sub(now.Boot)))
	}
	if r.journal.room() != nil {
		next = min(next, retryEvery)
	}
	if !r.alone.IsZero() && r.cfg.Linger > 0 {
		left := r.cfg.Linger - time.Since(r.alone)
		d := r.machine.Deadline()
		if expired := d != 0 && !r.holds(now.Boot); (left <= 0 || expired) && r.machine.Idle() {
			return 0, true
		}
		next = min(next, max(0, left)) // not idle: an end is in the inbox
	}
	return next, false
}

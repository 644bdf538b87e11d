// Package worker drives the agent side of a worker: it stands between the
// masters and the runner, keeps the lease, watches the runner as the runner
// watches it, and certifies the runner's death. It remembers nothing: what a
// worker knows is in the runner (package agent), so this process may crash and
// be replaced without a task noticing.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
	"github.com/semel-dev/semel/internal/worker/runner"
)

const (
	// secondKiller is how long after the deadline the agent kills too: long
	// enough for the runner to have done it, short against the kill time.
	secondKiller = 100 * time.Millisecond
	retryFirst   = 100 * time.Millisecond
	retryMax     = 5 * time.Second
)

// Host is where the runner is: a process of its own, or this one.
type Host interface {
	// Open attaches to the living runner, or starts one. It blocks until the
	// runner has said Hello.
	Open(ctx context.Context) (runner.Link, runner.Hello, error)
	// Certify ends what is left of a dead runner and says what is known of its
	// attempts; nil if there was none. It fails rather than guess.
	Certify(ctx context.Context) (*runner.Certificate, error)
	// Former says which runner Certify has to account for; empty: none.
	Former() (fence.NodeID, error)
	// Discard says that the consequences of a certificate are recorded.
	Discard(c *runner.Certificate) error
	// Kill ends every process of a runner's node, without asking it.
	Kill(h runner.Hello) error
	// Close ends a runner that lives in this process.
	Close() error
}

// Config is what a worker needs.
type Config struct {
	Host Host
	// Ended reports whether a node is recorded as ended.
	Ended func(ctx context.Context, id fence.NodeID) (bool, error)
	// Connect opens a stream to a master.
	Connect func(ctx context.Context, h wire.Hello) (*stream.WorkerEnd, error)
	Slots   int // of this worker
	Address string
	Terms   fence.Terms
	Clock   func() fence.Instant
	Log     *slog.Logger
}

// Run keeps a runner attached to a master until ctx ends. It returns nil if
// ctx ended it; what runs then goes on under the runner, until its deadline.
// A runner that has served and died is replaced at once: only what does not
// even begin is tried at growing intervals.
func Run(ctx context.Context, cfg Config) error {
	wait := retryFirst
	for ctx.Err() == nil {
		served, err := cfg.life(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case served:
			cfg.Log.Warn("worker starts over", "cause", err)
			wait = retryFirst
			pause(ctx, wait) // one that dies at once again must not spin
			continue
		}
		cfg.Log.Warn("worker does not start", "cause", err, "next", wait)
		pause(ctx, wait)
		wait = min(2*wait, retryMax)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// life is that of one runner, as far as this agent sees it. It ends with an
// error when the runner, or the stream, is gone; served says that the two had
// been brought together.
func (cfg *Config) life(ctx context.Context) (served bool, err error) {
	if err := cfg.mourn(ctx); err != nil {
		if !errors.Is(err, runner.ErrUnproven) {
			return false, err
		}
		if err := cfg.abandon(ctx, err); err != nil {
			return false, err
		}
	}
	link, hello, err := cfg.Host.Open(ctx)
	if err != nil {
		return false, fmt.Errorf("open runner: %w", err)
	}
	defer link.Close()
	cfg.Log.Info("runner attached", "node", hello.Node, "pid", hello.PID, "containment", hello.Containment)
	a := &agent{cfg: cfg, link: link, hello: hello, lease: fence.NewLease(cfg.Terms), terms: cfg.Terms}
	err = a.serve(ctx)
	return a.welcomed.Load(), err
}

// node is the row of the runner's incarnation.
func (cfg *Config) node(h *runner.Hello) fence.Node {
	return fence.Node{
		ID: h.Node, Role: fence.Worker, Address: cfg.Address, State: fence.Live, Slots: cfg.Slots, TTL: cfg.Terms.TTL,
		MachineID: h.MachineID, BootID: h.BootID, Containment: h.Containment, StartedAt: cfg.Clock().Wall,
	}
}

// grant is a deadline, and how long after it was given the next is asked for.
type grant struct {
	deadline fence.Boot
	beat     time.Duration
}

// agent is one attachment of a runner to a master.
type agent struct {
	cfg   *Config
	link  runner.Link
	hello runner.Hello
	end   *stream.WorkerEnd
	lease *fence.Lease // owned by the goroutine of down, as are its terms
	terms fence.Terms

	welcomed atomic.Bool // the master has taken the stream
}

// serve relays between runner and master until one of them is gone or ctx
// ends.
func (a *agent) serve(ctx context.Context) error {
	end, err := a.cfg.Connect(ctx, wire.Hello{Node: a.cfg.node(&a.hello), Beat: a.cfg.Clock().Boot})
	if err != nil {
		return fmt.Errorf("connect to a master: %w", err)
	}
	a.end = end
	defer end.Close()
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { a.link.Close() }) // Recv of a link knows no context
	defer stop()
	grants := make(chan grant, 1)
	group.Go(func() error { return a.up() })
	group.Go(func() error { return a.down(ctx, grants) })
	group.Go(func() error { return a.watch(ctx, grants) })
	return group.Wait()
}

// up carries reports from the runner to the master.
func (a *agent) up() error {
	for {
		msg, err := a.link.Recv()
		if err != nil {
			return fmt.Errorf("runner %s: %w", a.hello.Node, err)
		}
		if len(msg.Reports) > 0 {
			a.end.Send(wire.FromWorker{Node: a.hello.Node, Reports: msg.Reports})
		}
	}
}

// down carries messages from the master to the runner. The Welcome brings the
// first grant, so that the runner holds a lease before anything is dispatched.
func (a *agent) down(ctx context.Context, grants chan grant) error {
	for {
		msg, err := a.end.Recv(ctx)
		if err != nil {
			return err
		}
		if msg.Welcome != nil {
			// Never longer than what the node is registered with: that is what
			// a fencer waits for.
			a.terms = a.cfg.Terms
			a.terms.TTL = min(a.terms.TTL, msg.Welcome.TTL)
			a.lease = fence.NewLease(a.terms)
		}
		if msg.Granted != 0 {
			if err := a.extend(msg.Granted, grants); err != nil {
				return err
			}
		}
		if msg.Welcome != nil {
			a.welcomed.Store(true)
			if err := a.link.Send(runner.ToRunner{Attach: true}); err != nil {
				return err
			}
		}
		if len(msg.Ask)+len(msg.Dispatch)+len(msg.Kill)+len(msg.Forget) == 0 {
			continue
		}
		if len(msg.Dispatch) > 0 && !a.lease.Acting(a.cfg.Clock().Boot) {
			a.beat() // this machine was asleep: the runner buries these, and the next may start again
		}
		if err := a.link.Send(runner.ToRunner{Message: &msg}); err != nil {
			return err
		}
	}
}

// extend passes a grant on, unless it came too late.
func (a *agent) extend(sent fence.Boot, grants chan grant) error {
	if !a.lease.Confirm(fence.StoreWitness, sent, a.cfg.Clock().Boot) {
		a.cfg.Log.Warn("a grant came too late and is dropped", "node", a.hello.Node)
		return nil
	}
	d := a.lease.Deadline()
	select {
	case <-grants: // replaced by the newer one
	default:
	}
	grants <- grant{deadline: d, beat: a.terms.Heartbeat()}
	return a.link.Send(runner.ToRunner{Extend: &d})
}

// watch asks for the lease, and is the second killer: should the deadline pass
// without a newer grant, it kills whatever the runner, frozen perhaps, has not.
func (a *agent) watch(ctx context.Context, grants <-chan grant) error {
	last := grant{beat: a.cfg.Terms.Heartbeat()}
	beat := time.NewTimer(last.beat)
	defer beat.Stop()
	kill := time.NewTimer(0)
	kill.Stop()
	defer kill.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
			a.beat()
			beat.Reset(last.beat)
		case last = <-grants:
			beat.Reset(last.beat)
			kill.Reset(a.untilKill(last.deadline))
		case <-kill.C:
			// Timers do not count a suspended machine: only the boot clock says
			// that it is time.
			select {
			case last = <-grants: // it came at the same moment
			default:
			}
			if left := a.untilKill(last.deadline); left > 0 {
				kill.Reset(left)
				continue
			}
			a.cfg.Log.Error("the lease has ended: everything on this node is killed", "node", a.hello.Node)
			if err := a.cfg.Host.Kill(a.hello); err != nil {
				return fmt.Errorf("kill node %s: %w", a.hello.Node, err)
			}
		}
	}
}

// beat asks for the lease.
func (a *agent) beat() {
	a.end.Send(wire.FromWorker{Node: a.hello.Node, Beat: a.cfg.Clock().Boot})
}

func (a *agent) untilKill(deadline fence.Boot) time.Duration {
	return deadline.Add(secondKiller).Sub(a.cfg.Clock().Boot)
}

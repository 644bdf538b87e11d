package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// commandsMax is how many commands are taken at once: with their runs they fit
// one commit of some ten milliseconds.
const commandsMax = 1000

// owner drives one partition. Its loop decides; its committer makes durable
// and releases. While one batch is in flight the loop decides the next, and
// what arrives meanwhile goes into the one after that.
type owner struct {
	master    *Master
	id        int
	inbox     *inbox
	machine   *partition.Machine
	plans     *plans
	committer *committer
	seen      uint64      // sequence of the last command taken
	behind    flow.Epoch  // the highest that a worker has seen, once it was above the owner's
	look      atomic.Bool // there may be new commands
	looked    time.Time   // when the store was last asked for them
	counts    atomic.Pointer[partition.Counts]
}

func newOwner(m *Master, id int) *owner {
	return &owner{master: m, id: id, inbox: newInbox(), plans: newPlans(m.cfg.Store)}
}

// errBehind says that a worker has seen a higher epoch than the owner's.
var errBehind = errors.New("a worker has seen a higher epoch")

// run claims the partition and drives it until ctx ends or it is lost. Where
// workers have seen a higher epoch than the store has, it was brought back from
// a backup: the owner claims on until it is ahead of them. Had somebody else
// claimed it, the store would refuse.
func (o *owner) run(ctx context.Context, loaded func()) error {
	defer loaded()
	for {
		if err := o.takeOver(ctx); err != nil {
			return fmt.Errorf("take over partition %d: %w", o.id, err)
		}
		loaded()
		err := o.drive(ctx)
		if !errors.Is(err, errBehind) {
			return err
		}
		o.master.cfg.Log.Error("workers have seen a higher epoch than the store: was it restored from a backup? claiming again",
			"partition", o.id, "seen", o.behind)
	}
}

// takeOver claims and loads the partition.
func (o *owner) takeOver(ctx context.Context) error {
	for {
		position, err := o.master.cfg.Store.Claim(ctx, o.id, o.master.cfg.Node.ID, o.master.cfg.Now())
		if err != nil {
			return err
		}
		if position.Epoch > o.behind {
			return o.load(ctx, position.Epoch, position.Seq)
		}
	}
}

// drive decides, and makes durable, until ctx ends or the partition is lost.
func (o *owner) drive(ctx context.Context) error {
	o.committer = newCommitter(o.master)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.committer.run(ctx) })
	group.Go(func() error {
		defer o.committer.close()
		return o.loop(ctx)
	})
	return group.Wait()
}

// load builds the machine from what is stored, and tells it which of the nodes
// it counts on have ended: levels, not events.
func (o *owner) load(ctx context.Context, epoch flow.Epoch, seq uint64) error {
	snapshot, err := o.master.cfg.Store.Load(ctx, o.id)
	if err != nil {
		return err
	}
	runs := make([]partition.Loaded, 0, len(snapshot.Runs))
	for i := range snapshot.Runs {
		loaded, err := o.plans.complete(ctx, &snapshot.Runs[i])
		if err != nil {
			return err
		}
		runs = append(runs, *loaded)
	}
	o.machine, o.seen = partition.New(o.id, epoch, seq, runs), 0
	o.inbox.drain() // what was for the former machine is told again by those who joined
	o.master.cfg.Log.Info("partition taken", "partition", o.id, "epoch", epoch, "seq", seq, "runs", len(runs), "node", o.master.cfg.Node.ID)
	nodes, err := o.master.cfg.Store.NodeList(ctx)
	if err != nil {
		return err
	}
	active := o.machine.Active()
	for _, n := range nodes {
		if n.State.Ended() && slices.Contains(active, n.ID) {
			o.inbox.put(partition.Ended{Node: n.ID, Reason: n.Reason, At: endInstant(&n)})
		}
	}
	o.master.rejoin(o)
	o.wake()
	return nil
}

func endInstant(n *fence.Node) fence.Instant { return fence.Instant{Wall: n.EndedAt} }

// loop takes what has arrived, decides, and hands the batch on.
func (o *owner) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.inbox.ready:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wake, err := o.turn(ctx)
		if err != nil {
			return err
		}
		timer.Reset(o.until(wake))
	}
}

// until is how long the loop may sleep.
func (o *owner) until(wake time.Time) time.Duration {
	poll := o.master.cfg.PollEvery
	if wake.IsZero() {
		return poll
	}
	return max(0, min(poll, wake.Sub(o.master.cfg.Now())))
}

// turn is one round: everything that has arrived becomes one batch.
func (o *owner) turn(ctx context.Context) (wake time.Time, err error) {
	inputs := append(o.inbox.drain(), partition.Tick{})
	if now := o.master.cfg.Now(); o.look.Swap(false) || now.Sub(o.looked) >= o.master.cfg.PollEvery {
		o.looked = now
		if inputs, err = o.commands(ctx, inputs); err != nil {
			return wake, err
		}
	}
	out, err := o.apply(ctx, inputs)
	if err != nil {
		return wake, err
	}
	if out.More {
		o.inbox.signal()
	}
	counts := o.machine.Counts()
	o.counts.Store(&counts)
	return out.Wake, nil
}

// apply steps the machine and hands what it decided to the committer, in
// order.
func (o *owner) apply(ctx context.Context, inputs []partition.Input) (partition.Out, error) {
	out := o.machine.Apply(o.master.cfg.Now(), inputs)
	if out.Behind > 0 {
		o.behind = out.Behind
		return out, fmt.Errorf("epoch %d: %w", out.Behind, errBehind)
	}
	return out, o.committer.put(ctx, decided{batch: out.Batch, effects: out.Effects})
}

// commands adds the stored commands to the inputs. A command on a run that is
// not in memory needs that run as it is stored, so whatever is ahead of the
// store is decided and committed first.
func (o *owner) commands(ctx context.Context, inputs []partition.Input) ([]partition.Input, error) {
	pending, err := o.master.cfg.Store.Pending(ctx, o.id, o.seen, commandsMax)
	if err != nil {
		// The commands are stored; the slow poll or the next wake-up finds them.
		o.master.cfg.Log.Warn("could not look for commands", "partition", o.id, "error", err)
		return inputs, nil
	}
	if len(pending) == commandsMax {
		o.wake()
	}
	brought := map[flow.RunID]bool{}
	for i := range pending {
		c := &pending[i]
		in := partition.Submitted{Command: *c}
		if c.Kind != partition.KindStart && brought[c.Run] {
			if _, err = o.apply(ctx, inputs); err != nil {
				return nil, err
			}
			inputs, brought = nil, map[flow.RunID]bool{}
		}
		if !o.machine.Has(c.Run) {
			if inputs, err = o.bring(ctx, &in, inputs); err != nil {
				return nil, fmt.Errorf("load run %s for its %s: %w", c.Run, c.Kind, err)
			}
			brought[c.Run] = true
		}
		inputs = append(inputs, in)
		o.seen = c.Sequence
	}
	return inputs, nil
}

// wake says that there may be new commands. It never blocks.
func (o *owner) wake() {
	o.look.Store(true)
	o.inbox.signal()
}

// bring adds the run to a command on one that is not in memory. One that is
// only to start has nothing ahead of the store.
func (o *owner) bring(ctx context.Context, in *partition.Submitted, inputs []partition.Input) (_ []partition.Input, err error) {
	if in.Command.Kind == partition.KindStart {
		in.Run, err = o.plans.queued(ctx, in.Command.Run)
		return inputs, err
	}
	if _, err = o.apply(ctx, inputs); err != nil {
		return nil, err
	}
	if err = o.committer.flush(ctx); err != nil {
		return nil, err
	}
	in.Run, err = o.plans.load(ctx, in.Command.Run)
	return nil, err
}

package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
	"github.com/semel-dev/semel/internal/worker/runner"
)

// mourn hands over what is known of a dead runner. First the exit records that
// were on disk, until the master has committed and forgotten every one of
// them; what the master asks about and never came is buried: the dead start
// nothing. Only then the death itself: what the node had and is not accounted
// for is lost. A crash anywhere on the way begins again with the same
// certificate, and every step of it is harmless the second time.
func (cfg *Config) mourn(ctx context.Context) error {
	c, err := cfg.Host.Certify(ctx)
	if err != nil {
		return fmt.Errorf("certify the end of the former runner: %w", err)
	}
	if c == nil {
		return nil
	}
	cfg.Log.Warn("former runner has ended", "node", c.Node, "proof", c.Proof, "finished", len(c.Finished), "lost", len(c.Lost))
	node := cfg.node(&runner.Hello{Node: c.Node})
	end, err := cfg.Connect(ctx, wire.Hello{Node: node, Dead: true})
	if err != nil {
		return fmt.Errorf("connect to a master: %w", err)
	}
	defer end.Close()
	if err := handOver(ctx, end, c); err != nil {
		return fmt.Errorf("hand over what node %s left: %w", c.Node, err)
	}
	if err := cfg.Host.Discard(c); err != nil {
		return fmt.Errorf("discard the journal of node %s: %w", c.Node, err)
	}
	return nil
}

// abandon gives up on a former runner whose end cannot be proven, once a master
// has fenced it: its lease has ended, so what it had was killed by its own
// clock, and counts as lost. Until then nothing new begins here: its lease may
// still be good.
func (cfg *Config) abandon(ctx context.Context, unproven error) error {
	id, err := cfg.Host.Former()
	if err != nil {
		return err
	}
	ended, err := cfg.Ended(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("look for node %s: %w", id, err)
	case !ended:
		return fmt.Errorf("wait for the end of its lease: %w", unproven)
	}
	cfg.Log.Warn("former runner is given up: it was fenced", "node", id, "cause", unproven)
	return cfg.Host.Discard(&runner.Certificate{Node: id})
}

// estate is what a dead node leaves, while it is handed over.
type estate struct {
	c       *runner.Certificate
	known   map[wire.Ref]bool // finished or lost: not to be buried
	untaken map[wire.Ref]bool // told, and not yet forgotten
	asks    int               // still to come
}

var errUnfinished = errors.New("the stream ended before everything was handed over")

func handOver(ctx context.Context, end *stream.WorkerEnd, c *runner.Certificate) error {
	e := &estate{c: c, known: map[wire.Ref]bool{}, untaken: map[wire.Ref]bool{}, asks: -1}
	for i := range c.Finished {
		e.known[c.Finished[i].Ref], e.untaken[c.Finished[i].Ref] = true, true
	}
	for _, ref := range c.Lost {
		e.known[ref] = true
	}
	end.Send(wire.FromWorker{Node: c.Node, Reports: c.Finished})
	told := false
	for {
		msg, err := end.Recv(ctx)
		if errors.Is(err, stream.ErrClosed) {
			return errUnfinished
		}
		if err != nil {
			return err
		}
		if len(msg.Ended) > 0 {
			return nil
		}
		if buried := e.take(&msg); len(buried) > 0 {
			end.Send(wire.FromWorker{Node: c.Node, Reports: buried})
		}
		if !told && e.asks == 0 && len(e.untaken) == 0 {
			told = true
			end.Send(wire.FromWorker{Node: c.Node, Deaths: []wire.Death{{Node: c.Node, At: c.At, Proof: c.Proof}}})
		}
	}
}

// take goes through one message of the master, and returns what is to be
// buried. Every partition asks once, after the Welcome has said how many there
// are.
func (e *estate) take(msg *wire.ToWorker) (buried []wire.Report) {
	if msg.Welcome != nil {
		e.asks = msg.Welcome.Partitions
	}
	for i := range msg.Ask {
		e.asks--
		for _, ref := range msg.Ask[i].Refs {
			// Of a torn journal it is not known what never came: that counts as
			// lost, with the death.
			if !e.known[ref] && !e.c.Torn {
				buried = append(buried, e.bury(msg.Ask[i].Owner.Partition, msg.Ask[i].Owner.Epoch, ref))
			}
		}
	}
	for i := range msg.Dispatch {
		// Placed before the master knew: it never started either.
		d := &msg.Dispatch[i]
		buried = append(buried, e.bury(d.Owner.Partition, d.Owner.Epoch, d.Ref()))
	}
	for i := range msg.Forget {
		for _, ref := range msg.Forget[i].Refs {
			delete(e.untaken, ref)
		}
	}
	return buried
}

func (e *estate) bury(partition int, epoch flow.Epoch, ref wire.Ref) wire.Report {
	e.known[ref], e.untaken[ref] = true, true
	return wire.Report{Partition: partition, Epoch: epoch, Ref: ref, Phase: wire.Buried}
}

package master

import (
	"context"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/partition"
)

// fenceEvery is how often it is looked without a reason; a worker that parts is
// one.
const fenceEvery = time.Minute

// fenceSilent ends the workers that nobody can certify: those that are recorded
// as live and whose lease has ended, for all that this master has given. It is
// for a master that is alone with its store. The lock on the store proves that
// nobody else has given a lease since this master began; so a worker that has
// been silent for its whole lease since then, or since its last grant, has
// killed what it had, by its own clock and with a margin.
func (m *Master) fenceSilent(ctx context.Context) error {
	began := m.cfg.Boot()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-m.parted:
		}
		next, err := m.fenceDue(ctx, began)
		if err != nil {
			// The rows are still there: the next round finds them.
			m.cfg.Log.Warn("could not look for workers whose lease has ended", "error", err)
		}
		timer.Reset(next)
	}
}

// fenceDue ends every worker whose lease is over, and returns when to look
// again.
func (m *Master) fenceDue(ctx context.Context, began fence.Boot) (next time.Duration, err error) {
	nodes, err := m.cfg.Store.NodeList(ctx)
	if err != nil {
		return fenceEvery, err
	}
	next = fenceEvery
	for i := range nodes {
		n := &nodes[i]
		if n.Role != fence.Worker || n.State.Ended() {
			continue
		}
		left, silent := m.silence(n, began)
		if !silent {
			continue
		}
		if left > 0 {
			next = min(next, left)
			continue
		}
		reason := fmt.Sprintf("its lease of %s has ended, and nobody could certify its end", n.TTL)
		if err := m.cfg.Store.EndNode(ctx, n.ID, fence.Fenced, reason, m.cfg.Now()); err != nil {
			return next, fmt.Errorf("end node %s: %w", n.ID, err)
		}
		m.cfg.Log.Warn("node has ended", "node", n.ID, "cause", reason)
		m.tell(partition.Ended{Node: n.ID, Reason: reason, At: fence.Instant{Wall: m.cfg.Now(), Boot: m.cfg.Boot()}})
	}
	return next, nil
}

// silence reports whether a worker has no stream, and how long its lease may
// still last.
func (m *Master) silence(n *fence.Node, began fence.Boot) (left time.Duration, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if end := m.streams[n.ID]; end != nil && !end.Hello.Dead {
		return 0, false
	}
	last := max(began, m.granted[n.ID])
	whole := n.TTL + time.Duration(m.cfg.Rho*float64(n.TTL))
	return last.Add(whole).Sub(m.cfg.Boot()), true
}

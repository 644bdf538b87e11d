package master

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
)

// send lets one effect leave. A worker without a stream gets nothing: when it
// is back it is asked about everything that was ever sent to it.
func (m *Master) send(s partition.Send) {
	m.mu.Lock()
	to := m.streams[s.Node]
	m.mu.Unlock()
	if to != nil {
		to.Send(s.Message)
	}
}

// Accept serves one worker's stream until it is closed or ctx ends. A second
// stream of the same node takes the place of the first.
func (m *Master) Accept(ctx context.Context, end *stream.MasterEnd) error {
	defer end.Close()
	select {
	case <-m.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	node := end.Hello.Node
	ttl, err := m.admit(ctx, &end.Hello)
	if err != nil {
		return err
	}
	m.mu.Lock() // held while telling: a stream that ends now must not be told of before
	m.streams[node.ID] = end
	m.granted[node.ID] = m.cfg.Boot()
	end.Send(wire.ToWorker{Welcome: &wire.Welcome{Partitions: len(m.owners), TTL: ttl}, Granted: end.Hello.Beat})
	m.tell(joined(end))
	m.mu.Unlock()
	m.cfg.Log.Info("worker joined", "node", node.ID, "slots", node.Slots, "containment", node.Containment, "dead", end.Hello.Dead)
	err = m.listen(ctx, end)
	m.part(node.ID, end)
	if errors.Is(err, stream.ErrClosed) {
		return nil
	}
	return err
}

// part takes a stream that has ended out of use, unless a newer one of the
// same node has taken its place.
func (m *Master) part(id fence.NodeID, end *stream.MasterEnd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[id] == end {
		delete(m.streams, id)
		m.granted[id] = m.cfg.Boot()
		m.tell(partition.Parted{Node: id})
		select {
		case m.parted <- struct{}{}:
		default:
		}
		m.cfg.Log.Info("worker parted; its attempts stay its own", "node", id)
	}
}

// joined is what a partition hears of a stream.
func joined(end *stream.MasterEnd) partition.Joined {
	return partition.Joined{Node: end.Hello.Node.ID, Slots: end.Hello.Node.Slots, Dead: end.Hello.Dead}
}

// rejoin tells a partition that begins anew of all the streams there are.
func (m *Master) rejoin(o *owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.streams)) {
		o.inbox.put(joined(m.streams[id]))
	}
}

// admit registers a node that comes for the first time, and turns away one
// that has ended: an incarnation never comes back. It returns how long the
// node's lease may be.
func (m *Master) admit(ctx context.Context, h *wire.Hello) (time.Duration, error) {
	nodes, err := m.cfg.Store.NodeList(ctx)
	if err != nil {
		return 0, fmt.Errorf("list nodes: %w", err)
	}
	for i := range nodes {
		if nodes[i].ID != h.Node.ID {
			continue
		}
		if nodes[i].State.Ended() && !h.Dead {
			return 0, fmt.Errorf("worker %s has ended (%s) and cannot join again: %w", h.Node.ID, nodes[i].Reason, ErrEnded)
		}
		return nodes[i].TTL, nil
	}
	n := h.Node
	n.Role, n.State = fence.Worker, fence.Live
	if err := m.cfg.Store.Register(ctx, n); err != nil {
		return 0, fmt.Errorf("register worker %s: %w", n.ID, err)
	}
	return n.TTL, nil
}

// ErrEnded says that a node has been fenced or has left.
var ErrEnded = errors.New("the node has ended")

func (m *Master) listen(ctx context.Context, end *stream.MasterEnd) error {
	for {
		msg, err := end.Recv(ctx)
		if err != nil {
			return err
		}
		if msg.Beat != 0 {
			m.mu.Lock()
			m.granted[end.Hello.Node.ID] = m.cfg.Boot()
			m.mu.Unlock()
			end.Send(wire.ToWorker{Granted: msg.Beat})
		}
		m.deliver(msg.Node, msg.Reports)
		for i := range msg.Deaths {
			if err := m.bury(ctx, end, &msg.Deaths[i]); err != nil {
				return err
			}
		}
	}
}

// deliver hands reports to the partitions they speak of.
func (m *Master) deliver(node fence.NodeID, reports []wire.Report) {
	if len(reports) == 0 {
		return
	}
	if len(m.owners) == 1 {
		m.owners[0].inbox.put(partition.Reported{Node: node, Reports: reports})
		return
	}
	by := make([][]wire.Report, len(m.owners))
	for i := range reports {
		if p := reports[i].Partition; p >= 0 && p < len(by) {
			by[p] = append(by[p], reports[i])
		}
	}
	for p, some := range by {
		if len(some) > 0 {
			m.owners[p].inbox.put(partition.Reported{Node: node, Reports: some})
		}
	}
}

// bury records a certified death, and only then lets the partitions take what
// the node had for lost: the record is what a successor goes by.
func (m *Master) bury(ctx context.Context, end *stream.MasterEnd, d *wire.Death) error {
	if err := m.cfg.Store.EndNode(ctx, d.Node, fence.Fenced, d.Proof, d.At.Wall); err != nil {
		return fmt.Errorf("record the end of node %s: %w", d.Node, err)
	}
	m.cfg.Log.Warn("node has ended", "node", d.Node, "cause", d.Proof)
	m.tell(partition.Ended{Node: d.Node, Reason: d.Proof, At: d.At})
	end.Send(wire.ToWorker{Ended: []fence.NodeID{d.Node}})
	return nil
}

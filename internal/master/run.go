// Package master drives partitions: it claims them, feeds what happens to
// their machines, makes what they decide durable, and only then lets it act.
package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/wire/stream"
)

// Config is what a master needs.
type Config struct {
	Store      store.Store
	Node       fence.Node // of the master; Run registers it
	Partitions int        // how many there are; default 1
	// Alone says that the caller holds the only lock on the store: every other
	// master that is still recorded as live is dead, and is ended.
	Alone bool
	Log   *slog.Logger
	Now   func() time.Time // default time.Now
	// Boot reads CLOCK_BOOTTIME, for leases. Required.
	Boot func() fence.Boot
	// Rho is the most by which the clock rates of two machines differ; default 1 %.
	Rho float64
	// PollEvery is the slow poll for commands whose wake-up was lost; default 30 s.
	PollEvery time.Duration
}

// Check fills in defaults and says what is missing.
func (c *Config) Check() error {
	switch {
	case c.Store == nil:
		return errors.New("master: no store")
	case c.Node.ID == "":
		return errors.New("master: no node")
	}
	if c.Partitions == 0 {
		c.Partitions = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Boot == nil {
		return errors.New("master: no clock for leases")
	}
	if c.Rho == 0 {
		c.Rho = 0.01
	}
	if c.PollEvery == 0 {
		c.PollEvery = 30 * time.Second
	}
	return nil
}

// Master owns partitions.
type Master struct {
	cfg    Config
	owners []*owner
	parted chan struct{} // holds a value after a worker has parted
	ready  chan struct{} // closed once every partition is claimed and loaded
	tally  tally

	mu      sync.Mutex
	streams map[fence.NodeID]*stream.MasterEnd
	granted map[fence.NodeID]fence.Boot // when each worker was last given its lease
}

// New returns a master that Run starts.
func New(cfg Config) (*Master, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	m := &Master{cfg: cfg, ready: make(chan struct{}), parted: make(chan struct{}, 1), streams: map[fence.NodeID]*stream.MasterEnd{}, granted: map[fence.NodeID]fence.Boot{}}
	for id := range cfg.Partitions {
		m.owners = append(m.owners, newOwner(m, id))
	}
	return m, nil
}

// Run registers the master, claims its partitions and drives them until ctx
// ends or a partition is lost. Then its node has left and its partitions are
// free. It returns nil if ctx ended it.
func (m *Master) Run(ctx context.Context) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.leave(ctx)
	group, ctx := errgroup.WithContext(ctx)
	var loaded sync.WaitGroup
	loaded.Add(len(m.owners))
	for _, o := range m.owners {
		group.Go(func() error { return o.run(ctx, sync.OnceFunc(loaded.Done)) })
	}
	group.Go(func() error {
		loaded.Wait()
		close(m.ready)
		return nil
	})
	if m.cfg.Alone {
		group.Go(func() error { return m.fenceSilent(ctx) })
	}
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// enter registers the node, and ends the masters that are certainly dead.
func (m *Master) enter(ctx context.Context) error {
	if m.cfg.Alone {
		nodes, err := m.cfg.Store.NodeList(ctx)
		if err != nil {
			return fmt.Errorf("list nodes: %w", err)
		}
		for _, n := range nodes {
			if n.Role != fence.Master || n.State.Ended() {
				continue
			}
			m.cfg.Log.Info("former master has ended", "node", n.ID, "cause", "its lock on the store is free")
			if err := m.cfg.Store.EndNode(ctx, n.ID, fence.Fenced, "its lock on the store is free", m.cfg.Now()); err != nil {
				return fmt.Errorf("end node %s: %w", n.ID, err)
			}
		}
	}
	if err := m.cfg.Store.Register(ctx, m.cfg.Node); err != nil {
		return fmt.Errorf("register master %s: %w", m.cfg.Node.ID, err)
	}
	return nil
}

// leave gives the partitions away, so that a successor need not wait.
func (m *Master) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.cfg.Store.EndNode(ctx, m.cfg.Node.ID, fence.Left, "stopped", m.cfg.Now()); err != nil {
		m.cfg.Log.Warn("could not leave; the successor will end this node", "node", m.cfg.Node.ID, "error", err)
	}
}

// Wake says that there may be new commands. It never blocks.
func (m *Master) Wake() {
	for _, o := range m.owners {
		o.wake()
	}
}

// Ready is closed once every partition is claimed and loaded.
func (m *Master) Ready() <-chan struct{} { return m.ready }

// Counts adds up what the partitions have in memory.
func (m *Master) Counts() partition.Counts {
	var sum partition.Counts
	for _, o := range m.owners {
		c := o.counts.Load()
		if c != nil {
			sum.Runs += c.Runs
			sum.Ready += c.Ready
			sum.Active += c.Active
			sum.Taken += c.Taken
		}
	}
	return sum
}

// tell hands an input to every partition.
func (m *Master) tell(in partition.Input) {
	for _, o := range m.owners {
		o.inbox.put(in)
	}
}

// Package engine puts a store, a master, a worker and an API together in one
// process: all of Semel that one machine needs.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/master"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/sqlite"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
	"github.com/semel-dev/semel/internal/worker"
	"github.com/semel-dev/semel/internal/worker/runner"
)

// insideTTL is the lease of a runner inside this process. It ends with the
// process, so the lease protects nothing: it is long enough for a laptop that
// sleeps, and short enough to fence by, should the data directory get lost.
const insideTTL = 48 * time.Hour

// standaloneTTL is the lease of a server that is alone: nobody else may fence
// its worker, so it only says how long tasks go on while no server comes back.
const standaloneTTL = 15 * time.Minute

// Config says what one process is to be.
type Config struct {
	Data      string        // empty: a scratch directory, removed at the end
	Listen    string        // empty: no port, only Client
	Slots     int           // zero: slotsPerCore for each core
	Sync      string        // full, normal or off; empty: full, and off in a scratch directory
	LeaseTTL  time.Duration // zero: standaloneTTL
	OwnRunner bool          // the runner is a process of its own, which survives this one
	Version   string
	Log       *slog.Logger
}

// slotsPerCore lets shell tasks that mostly wait share a core, and hides the
// time between the end of one task and the start of the next.
const slotsPerCore = 16

// Engine is a store, a master, a worker and an API in one process.
type Engine struct {
	cfg      Config
	scratch  bool
	store    *sqlite.Store
	master   *master.Master
	server   *api.Server
	host     worker.Host
	listener net.Listener // nil without Listen
	inside   *pipeListener
	client   *client.Client
}

// Open opens the data directory and the port. Nothing runs before Run.
// Close must be called.
func Open(ctx context.Context, cfg Config) (_ *Engine, err error) {
	e := &Engine{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if err = e.directory(); err != nil {
		return nil, err
	}
	if cfg.Listen != "" {
		var lc net.ListenConfig
		if e.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", cfg.Listen, err)
		}
	}
	config := sqlite.Config{Path: filepath.Join(e.cfg.Data, "semel.db"), Sync: sqlite.Sync(e.cfg.Sync)}
	if e.store, err = sqlite.Open(ctx, config); err != nil {
		return nil, err
	}
	return e, e.wire()
}

// directory settles where the data is, and what follows from that.
func (e *Engine) directory() error {
	if e.cfg.Data == "" {
		dir, err := os.MkdirTemp("", "semel-run-")
		if err != nil {
			return fmt.Errorf("make a scratch directory: %w", err)
		}
		e.cfg.Data, e.scratch = dir, true
	}
	if e.cfg.Sync == "" {
		e.cfg.Sync = "full"
		if e.scratch {
			e.cfg.Sync = "off" // what is removed at the end need not survive a power cut
		}
	}
	if e.cfg.Slots == 0 {
		e.cfg.Slots = slotsPerCore * runtime.NumCPU()
	}
	switch {
	case !e.cfg.OwnRunner:
		e.cfg.LeaseTTL = insideTTL
	case e.cfg.LeaseTTL == 0:
		e.cfg.LeaseTTL = standaloneTTL
	}
	if err := os.MkdirAll(e.workerDir(), 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

func (e *Engine) workerDir() string { return filepath.Join(e.cfg.Data, "worker") }

// wire puts the parts together.
func (e *Engine) wire() (err error) {
	started := runner.Now()
	node := fence.Node{
		ID:   fence.NodeID(fmt.Sprintf("master@%d.%d", started.Wall.UnixMicro(), os.Getpid())),
		Role: fence.Master, Address: "localhost", State: fence.Live, StartedAt: started.Wall,
	}
	e.master, err = master.New(master.Config{Store: e.store, Node: node, Alone: true, Log: e.cfg.Log, Boot: func() fence.Boot { return runner.Now().Boot }})
	if err != nil {
		return err
	}
	e.server = api.New(api.Config{
		Store: e.store, Logs: api.LogDir(filepath.Join(e.workerDir(), "logs")), Wake: e.master.Wake, Log: e.cfg.Log,
		Engine: e.counts,
		Status: api.Status{Version: e.cfg.Version, Node: node.ID, StartedAt: started.Wall},
	})
	config := runner.Config{Dir: e.workerDir(), Address: "localhost", Log: e.cfg.Log}
	if e.cfg.OwnRunner {
		e.host, err = worker.NewProcessHost(config)
	} else {
		e.host, err = worker.NewInsideHost(config)
	}
	if err != nil {
		return err
	}
	e.inside = newPipeListener()
	e.client = client.NewDialer(e.inside.dial)
	return nil
}

// counts are the master's numbers as the API shows them.
func (e *Engine) counts() api.EngineCounts {
	now, totals := e.master.Counts(), e.master.Totals()
	return api.EngineCounts{
		Runs: now.Runs, Ready: now.Ready, Active: now.Active, Taken: now.Taken,
		Commits: totals.Commits, Rows: totals.Rows, Finished: totals.Finished,
	}
}

// Client speaks to this engine without a port.
func (e *Engine) Client() *client.Client { return e.client }

// Store is the engine's store, for those who measure it or look into it.
func (e *Engine) Store() store.Store { return e.store }

// Address is where the engine listens; empty without a port.
func (e *Engine) Address() string {
	if e.listener == nil {
		return ""
	}
	return "http://" + e.listener.Addr().String()
}

// Run runs master, worker and API until ctx ends or one of them cannot go on.
// When it returns, what it started has ended; a runner of its own process, and
// the tasks under it, go on.
func (e *Engine) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.master.Run(ctx) })
	group.Go(func() error { return e.server.Run(ctx, e.inside) })
	if e.listener != nil {
		group.Go(func() error { return e.server.Run(ctx, e.listener) })
	}
	group.Go(func() error {
		return worker.Run(ctx, worker.Config{
			Host: e.host, Ended: e.ended, Connect: e.connect(group), Slots: e.cfg.Slots, Address: "localhost",
			Terms: fence.Terms{TTL: e.cfg.LeaseTTL, Kill: 2 * time.Second, Rho: 0.01},
			Clock: runner.Now, Log: e.cfg.Log,
		})
	})
	return group.Wait()
}

// ended reports whether a node is recorded as ended.
func (e *Engine) ended(ctx context.Context, id fence.NodeID) (bool, error) {
	nodes, err := e.store.NodeList(ctx)
	for i := range nodes {
		if nodes[i].ID == id {
			return nodes[i].State.Ended(), err
		}
	}
	return true, err // one that never joined has nothing
}

// connect opens streams to the master of this process.
func (e *Engine) connect(group *errgroup.Group) func(context.Context, wire.Hello) (*stream.WorkerEnd, error) {
	return func(ctx context.Context, h wire.Hello) (*stream.WorkerEnd, error) {
		masterEnd, workerEnd := stream.Pipe(h)
		group.Go(func() error {
			err := e.master.Accept(ctx, masterEnd)
			if err != nil && ctx.Err() == nil {
				e.cfg.Log.Warn("a worker's stream ended", "node", h.Node.ID, "cause", err)
			}
			return nil
		})
		return workerEnd, nil
	}
}

// Close gives back what Open took, and removes a scratch directory.
func (e *Engine) Close() error {
	var errs []error
	if e.client != nil {
		e.client.Close()
	}
	if e.host != nil {
		errs = append(errs, e.host.Close())
	}
	if e.listener != nil {
		if err := e.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	if e.scratch {
		errs = append(errs, os.RemoveAll(e.cfg.Data))
	}
	return errors.Join(errs...)
}

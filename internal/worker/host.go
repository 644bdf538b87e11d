package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/worker/runner"
)

// dialMax is how long a runner may take to say Hello. One that is frozen keeps
// its lock: it is tried again, and its deadline ends it if it stays so.
const dialMax = 5 * time.Second

// ProcessHost has its runner as a process of its own, which survives this one.
type ProcessHost struct {
	cfg  runner.Config
	exe  string
	args []string
}

var (
	_ Host = (*ProcessHost)(nil)
	_ Host = (*InsideHost)(nil)
)

// NewProcessHost returns the host of a runner that is started as this program's
// hidden command "runner".
func NewProcessHost(cfg runner.Config) (*ProcessHost, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start the runner: %w", err)
	}
	args := []string{"runner", "--dir", cfg.Dir, "--address", cfg.Address}
	if cfg.Containment != "" {
		args = append(args, "--containment", string(cfg.Containment))
	}
	if cfg.LogLimit > 0 {
		args = append(args, "--log-limit", strconv.FormatInt(cfg.LogLimit, 10))
	}
	return &ProcessHost{cfg: cfg, exe: exe, args: args}, nil
}

// Open implements Host.
func (h *ProcessHost) Open(ctx context.Context) (runner.Link, runner.Hello, error) {
	if link, hello, err := dial(ctx, h.cfg.Dir); err == nil {
		return link, hello, nil
	}
	if err := runner.Spawn(ctx, h.exe, h.args, h.cfg.Dir); err != nil {
		return nil, runner.Hello{}, err
	}
	return dial(ctx, h.cfg.Dir)
}

func dial(ctx context.Context, dir string) (runner.Link, runner.Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, dialMax)
	defer cancel()
	return runner.Dial(ctx, dir)
}

// Certify implements Host.
func (h *ProcessHost) Certify(ctx context.Context) (*runner.Certificate, error) {
	c, err := runner.Certify(ctx, h.cfg)
	if errors.Is(err, runner.ErrAlive) {
		return nil, nil
	}
	return c, err
}

// Former implements Host.
func (h *ProcessHost) Former() (fence.NodeID, error) { return former(h.cfg.Dir) }

func former(dir string) (fence.NodeID, error) {
	status, err := runner.Inspect(dir)
	if err != nil || status.Hello == nil {
		return "", err
	}
	return status.Hello.Node, nil
}

// Discard implements Host.
func (h *ProcessHost) Discard(c *runner.Certificate) error { return runner.Discard(h.cfg.Dir, c) }

// Kill implements Host.
func (h *ProcessHost) Kill(hello runner.Hello) error { return runner.KillNode(hello) }

// Close implements Host. The runner goes on.
func (h *ProcessHost) Close() error { return nil }

// InsideHost has its runner in this process: it dies with it.
type InsideHost struct {
	cfg runner.Config

	mu      sync.Mutex
	current *inside
}

// inside is one life of the runner.
type inside struct {
	runner *runner.Runner
	stop   context.CancelFunc
	ended  chan struct{}
	err    error
}

// NewInsideHost returns a host without a runner: Open makes it.
func NewInsideHost(cfg runner.Config) (*InsideHost, error) {
	cfg.Linger = 0
	return &InsideHost{cfg: cfg}, nil
}

// Open implements Host. A runner of its own process that still lives on this
// data directory, left behind by a server, is taken as it is: what runs under
// it goes on.
func (h *InsideHost) Open(ctx context.Context) (runner.Link, runner.Hello, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.alive() {
		if link, hello, err := dial(ctx, h.cfg.Dir); err == nil {
			return link, hello, nil
		}
		r, err := runner.New(h.cfg)
		if err != nil {
			return nil, runner.Hello{}, err
		}
		// The runner outlives the agent that opened it; Close ends it.
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		life := &inside{runner: r, stop: stop, ended: make(chan struct{})}
		go func() {
			life.err = r.Run(running)
			close(life.ended)
		}()
		h.current = life
	}
	return h.current.runner.Local(), h.current.runner.Hello(), nil
}

// alive reports whether there is a runner, with h.mu held.
func (h *InsideHost) alive() bool {
	if h.current == nil {
		return false
	}
	select {
	case <-h.current.ended:
		return false
	default:
		return true
	}
}

// Certify implements Host.
func (h *InsideHost) Certify(ctx context.Context) (*runner.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alive() {
		return nil, nil
	}
	c, err := runner.Certify(ctx, h.cfg)
	if errors.Is(err, runner.ErrAlive) {
		return nil, nil
	}
	return c, err
}

// Former implements Host.
func (h *InsideHost) Former() (fence.NodeID, error) { return former(h.cfg.Dir) }

// Discard implements Host.
func (h *InsideHost) Discard(c *runner.Certificate) error { return runner.Discard(h.cfg.Dir, c) }

// Kill implements Host.
func (h *InsideHost) Kill(hello runner.Hello) error { return runner.KillNode(hello) }

// Close implements Host: it ends the runner, and all that runs under it.
func (h *InsideHost) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil {
		return nil
	}
	h.current.stop()
	<-h.current.ended
	if err := h.current.err; err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("end the runner: %w", err)
	}
	return nil
}

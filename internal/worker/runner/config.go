package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Containment is how the processes of a node are held together, so that all of
// them can be found and killed.
type Containment string

// The rungs of the ladder, strongest first. Auto takes the first that works.
const (
	Auto      Containment = "auto"
	Cgroup    Containment = "cgroup" // a cgroup v2 per attempt: nothing leaves it by forking
	Pidns     Containment = "pidns"  // a PID namespace per attempt: dies with its first process
	Weak      Containment = "weak"   // process groups, and a search by environment: a process that hides is not found
	logLimit              = 16 << 20
	lingering             = 10 * time.Second
)

// Config is what a runner needs.
type Config struct {
	Dir         string        // the worker's data directory; no default
	Address     string        // first part of the node's id; default: the host's name
	Containment Containment   // default Auto; another one is taken or New fails
	Spawners    int           // threads that start processes; default: one per CPU
	LogLimit    int64         // bytes kept of one attempt's output; default 16 MiB
	Linger      time.Duration // the runner ends by itself when no agent was attached and nothing ran for so long; 0: never
	Log         *slog.Logger  // default: nothing is logged
}

// fill checks c and sets its defaults.
func (c *Config) fill() error {
	if c.Dir == "" {
		return errors.New("runner: no data directory given")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("find the data directory %s: %w", c.Dir, err)
	}
	c.Dir = dir
	if c.Address == "" {
		if c.Address, err = os.Hostname(); err != nil {
			c.Address = "localhost"
		}
	}
	if c.Containment == "" {
		c.Containment = Auto
	}
	if c.Spawners <= 0 {
		c.Spawners = runtime.NumCPU()
	}
	if c.LogLimit <= 0 {
		c.LogLimit = logLimit
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

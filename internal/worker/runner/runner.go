package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// Why the runner ends attempts before their time. In each case the outcome is
// unknown: nobody asked for the end of the task as such.
var (
	expiry   = ending{flow.Expired, "killed when the node's lease ended; how far it had come is unknown"}
	stopping = ending{flow.Expired, "killed when its worker was stopped; how far it had come is unknown"}
)

// Runner is the parent of all task processes of a worker.
type Runner struct {
	cfg      Config
	hello    Hello
	lock     *lock
	contain  containment
	journal  *journal
	dirs     *dirs
	alarm    *alarm
	null     *os.File
	env      []string
	programs programs
	inbox    *inbox
	queue    *queue[*attempt] // to be started
	cleanup  *queue[func()]
	waiting  sync.WaitGroup // goroutines that wait for an end
	ended    sync.Once
	lease    sync.Mutex   // held while the deadline moves, and while it kills
	deadline atomic.Int64 // fence.Boot, as the machine has it
	stats    counters

	outputWithin time.Duration // see there; shorter in tests

	// Owned by the loop.
	machine *agent.Machine
	link    *port
	spare   []event
	young   []youngster
	refused map[wire.Ref]string // dispatched in this turn and not to be started, and why
	leaving bool                // ends when nothing runs any more
	alone   time.Time           // since when nothing runs and nobody is attached; zero: not so

	mu       sync.Mutex
	attempts map[wire.Ref]*attempt // accepted and not ended
}

type counters struct{ turns, started, finished atomic.Int64 }

// Stats counts what a runner has done since it began.
type Stats struct {
	Turns    int64 // of the loop
	Started  int64 // attempts
	Finished int64
	Writes   int64 // to the journal
	Syncs    int64
}

// New makes a runner on a data directory. It fails with ErrAlive if another
// one lives there, and with ErrUncertified if a dead one is not accounted for
// (Certify, then Discard). The caller runs it, or closes it.
func New(cfg Config) (_ *Runner, err error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory of the worker: %w", err)
	}
	r := &Runner{
		cfg: cfg, env: baseEnv(), inbox: newInbox(),
		queue: newQueue[*attempt](), cleanup: newQueue[func()](),
		attempts: map[wire.Ref]*attempt{}, refused: map[wire.Ref]string{}, outputWithin: outputWithin,
	}
	if err := r.open(); err != nil {
		r.Close()
		return nil, fmt.Errorf("start a runner on %s: %w", cfg.Dir, err)
	}
	return r, nil
}

// open takes what the runner needs. The identity is written before anything
// can run under it.
func (r *Runner) open() (err error) {
	dir := r.cfg.Dir
	// What this process was given open by its own parent is not for the tasks.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // before Linux 5.11: they see it
	if r.lock, err = takeLock(dir); err != nil {
		return err
	}
	former, err := readHello(dir)
	if err != nil {
		return err
	}
	if former != nil {
		return fmt.Errorf("node %s: %w", former.Node, ErrUncertified)
	}
	if r.hello, err = newHello(r.cfg.Address, time.Now().UTC()); err != nil {
		return err
	}
	if r.null, err = os.Open(os.DevNull); err != nil {
		return err
	}
	if r.alarm, err = newAlarm(); err != nil {
		return err
	}
	if r.contain, err = newContainment(r.cfg.Containment, r.hello.Node, r.cfg.Log); err != nil {
		return err
	}
	r.hello.Containment, r.hello.Cgroup = string(r.contain.kind()), r.contain.cgroup()
	if r.dirs, err = openDirs(dir, r.cfg.Log); err != nil {
		return err
	}
	if r.journal, err = newJournal(dir); err != nil {
		return err
	}
	r.machine = agent.New(r.hello.Node)
	r.journal.append(r.machine.Compact(), r.machine)
	return writeJSON(filepath.Join(dir, nodeFile), r.hello)
}

// Hello says who this runner is.
func (r *Runner) Hello() Hello { return r.hello }

// Stats may be called at any time.
func (r *Runner) Stats() Stats {
	return Stats{
		Turns: r.stats.turns.Load(), Started: r.stats.started.Load(), Finished: r.stats.finished.Load(),
		Writes: r.journal.writes.Load(), Syncs: r.journal.syncs.Load(),
	}
}

// Local opens a link within this process.
func (r *Runner) Local() Link {
	p := newPort(r.inbox)
	r.inbox.put(event{from: p, opened: true})
	return p
}

// Run drives the runner until ctx is done, a Shutdown came, or Linger is over.
// When it returns, no task process lives, and its certificate is on the disk.
func (r *Runner) Run(ctx context.Context) error {
	defer r.Close()
	var spawners sync.WaitGroup
	for range r.cfg.Spawners {
		spawners.Go(r.spawn)
	}
	spawners.Go(r.guard)
	spawners.Go(r.tidy)
	r.loop(ctx)
	r.queue.close()
	r.waiting.Wait() // after it nobody has anything to clean up any more
	r.cleanup.close()
	r.alarm.close()
	spawners.Wait()
	r.certifySelf()
	return nil
}

// certifySelf leaves the certificate of a runner that ends in order. Nothing of
// it lives any more and it still holds the lock, so nobody has to prove that
// later: from another container, or another machine with the same volume, it
// could not be proven.
func (r *Runner) certifySelf() {
	path := filepath.Join(r.cfg.Dir, certificateFile)
	c := newCertificate(r.hello.Node, r.machine, "it ended in order")
	err := writeJSON(path, c)
	if err != nil { // a full disk, perhaps
		r.journal.free()
		err = writeJSON(path, c)
	}
	if err != nil {
		r.cfg.Log.Error("cannot write that this runner has ended in order; the next one has to prove it", "node", r.hello.Node, "cause", err)
	}
}

// loop goes round until the runner is to leave and nothing runs.
func (r *Runner) loop(ctx context.Context) {
	done := ctx.Done()
	calls := context.WithoutCancel(ctx) // functions are ended one by one, so that each knows why
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.inbox.wake:
		case <-timer.C:
		case <-done:
			done = nil
			r.leaving = true
			r.killNode(stopping)
		}
		now := Now()
		r.turn(calls, now)
		next, leave := r.rest(now)
		if leave {
			return
		}
		timer.Reset(next)
	}
}

// Close gives everything back. Run does it by itself.
func (r *Runner) Close() {
	r.ended.Do(func() {
		r.inbox.close()
		if r.link != nil {
			r.link.end(ErrEnded)
		}
		for _, e := range r.inbox.drain(nil) {
			if e.opened {
				e.from.end(ErrEnded)
			}
		}
		if r.contain != nil {
			r.contain.close()
		}
		if r.alarm != nil {
			r.alarm.close()
		}
		if r.null != nil {
			r.null.Close()
		}
		if r.journal != nil {
			if err := r.journal.close(); err != nil && !errors.Is(err, os.ErrClosed) {
				r.cfg.Log.Error("cannot bring the journal to the disk", "cause", err)
			}
		}
		if r.lock != nil {
			r.lock.close()
		}
	})
}

// clean has f called soon, off everybody's way.
func (r *Runner) clean(f func()) { r.cleanup.put(f) }

// tidy is the goroutine that cleans up.
func (r *Runner) tidy() {
	for {
		f, ok := r.cleanup.take()
		if !ok {
			return
		}
		f()
	}
}

// guard is the goroutine that kills at the deadline. It does not need the
// loop, which may be waiting for its disk.
func (r *Runner) guard() {
	for r.alarm.wait() == nil {
		// A new deadline waits for the kill, or the kill does not happen: else
		// it could hit what was started under the new one.
		r.lease.Lock()
		if !r.holds(bootNow()) {
			r.killNode(expiry)
		}
		r.lease.Unlock()
		r.inbox.nudge()
	}
}

// holds reports whether the node may act at now.
func (r *Runner) holds(now fence.Boot) bool { return now < fence.Boot(r.deadline.Load()) }

// killNode ends everything that runs, at once. What is being started at this
// moment finds the mark, or is in the container already.
func (r *Runner) killNode(e ending) {
	r.mu.Lock()
	all := make([]*attempt, 0, len(r.attempts))
	for _, a := range r.attempts {
		all = append(all, a)
	}
	r.mu.Unlock()
	for _, a := range all {
		a.mark(e)
	}
	swept := r.contain.killAll()
	for _, a := range all {
		if !swept || !a.contained() {
			a.end(e, 0)
		}
	}
}

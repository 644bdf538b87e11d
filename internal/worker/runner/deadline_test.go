package runner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// shortLease is long enough for a kill to be told from an end by itself, and
// is renewed until a test is ready to see it end.
const shortLease = time.Second

func TestP3_NothingRunsFromTheDeadlineOn(t *testing.T) {
	for _, kind := range rungs(t) {
		t.Run(string(kind), func(t *testing.T) {
			w := openWorker(t, Config{Containment: kind})
			w.extend(shortLease)
			dir := t.TempDir()
			ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "sleep 1000")})
			call := w.dispatch(flow.Work{Type: "sleep", Config: []byte(`{"for":"1000s"}`)})
			pid := daemonUnder(t, dir, func() { w.extend(shortLease) })
			for _, ref := range []wire.Ref{ref, call} {
				if o := w.outcome(ref); o.Result != flow.Expired || o.Reason != expiry.reason {
					t.Errorf("%+v, want expired", o)
				}
			}
			if running(pid) {
				t.Error("a process lives after the deadline")
			}
			late := w.dispatch(flow.Work{Config: script("true")})
			if r := w.report(late, wire.Buried); r.Outcome != nil {
				t.Errorf("%+v, want buried: there is no lease", r)
			}
			w.extend(time.Hour)
			if o := w.shell("true"); o.Result != flow.Succeeded {
				t.Errorf("%+v: with a new lease work goes on", o)
			}
		})
	}
}

// TestP3_TheDeadlineKillsWhileTheDiskHangs stops the loop in the middle of a
// write to its journal: the kill must not need it.
func TestP3_TheDeadlineKillsWhileTheDiskHangs(t *testing.T) {
	w := openWorker(t, Config{})
	w.extend(shortLease)
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "sleep 1000")})
	pid := daemonUnder(t, dir, func() { w.extend(shortLease) })
	w.report(ref, wire.Running)
	disk := &hangingDisk{file: w.runner.journal.f, hangs: make(chan struct{}), goes: make(chan struct{})}
	w.runner.journal.mu.Lock()
	w.runner.journal.f = disk // the loop rests: nothing has arrived
	w.runner.journal.mu.Unlock()
	w.dispatch(flow.Work{Config: script("true")})
	<-disk.hangs
	w.awaitDeath(pid)
	close(disk.goes)
	if o := w.outcome(ref); o.Result != flow.Expired {
		t.Errorf("%+v, want expired", o)
	}
}

// hangingDisk does not return from its first write until it is let go.
type hangingDisk struct {
	file
	hangs, goes chan struct{}
}

func (d *hangingDisk) WriteAt(p []byte, off int64) (int, error) {
	select {
	case <-d.goes:
	default:
		close(d.hangs)
		<-d.goes
	}
	return d.file.WriteAt(p, off)
}

// TestP3_AQueuedAttemptDoesNotStartAfterTheDeadline is for the moment in which
// the lease has ended and no kill of the node has left a mark yet: the clock
// alone must do.
func TestP3_AQueuedAttemptDoesNotStartAfterTheDeadline(t *testing.T) {
	w := openWorker(t, Config{})
	a := &attempt{runner: w.runner, work: &flow.Work{}}
	w.extend(100 * time.Millisecond)
	until(t, "a lease", func() bool { return w.runner.deadline.Load() != 0 })
	until(t, "its end", func() bool { return !w.runner.holds(bootNow()) })
	if e, ok := a.mayStart(Now()); ok || e != expiry {
		t.Errorf("%+v, %v; want expired", e, ok)
	}
}

// TestP3_AFrozenRunnerIsReplacedByTheSecondKiller stops the runner with
// SIGSTOP, as swapping or a debugger would.
func TestP3_AFrozenRunnerIsReplacedByTheSecondKiller(t *testing.T) {
	for _, kind := range rungs(t) {
		t.Run(string(kind), func(t *testing.T) {
			dir, marks := t.TempDir(), t.TempDir()
			w := spawnWorker(t, dir, "SEMEL_TEST_CONTAINMENT="+string(kind))
			w.extend(shortLease)
			ref := w.dispatch(flow.Work{Config: script(daemon(marks) + "sleep 1000")})
			pid := daemonUnder(t, marks, func() { w.extend(shortLease) })
			w.report(ref, wire.Running)
			if err := syscall.Kill(w.hello.PID, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			until(t, "all of its threads to stand", func() bool { return frozen(w.hello.PID) })
			deadline := bootNow().Add(shortLease)
			if !running(pid) {
				t.Fatal("the daemon is dead before anybody killed it")
			}
			if err := KillNode(w.hello); err != nil {
				t.Fatal(err)
			}
			w.awaitDeath(pid)
			until(t, "the deadline", func() bool { return bootNow() >= deadline })
			if err := syscall.Kill(w.hello.PID, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if o := w.outcome(ref); o.Result != flow.Expired {
				t.Errorf("%+v: what the second killer has killed has expired", o)
			}
		})
	}
}

// frozen reports whether every thread of a process is stopped.
func frozen(pid int) bool {
	stats, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if _, after, ok := strings.Cut(string(stat), ") "); err != nil || !ok || after[0] != 'T' {
			return false
		}
	}
	return err == nil && len(stats) > 0
}

func TestRunner_EndsAtTheDeadlineWhenItIsAlone(t *testing.T) {
	dir, marks := t.TempDir(), t.TempDir()
	w := spawnWorker(t, dir, "SEMEL_TEST_LINGER=1h")
	w.extend(shortLease)
	ref := w.dispatch(flow.Work{Config: script(daemon(marks) + "sleep 1000")})
	pid := daemonUnder(t, marks, func() { w.extend(shortLease) })
	w.report(ref, wire.Running)
	w.link.Close()
	w.awaitDeath(w.hello.PID)
	if running(pid) {
		t.Error("a process lives although its runner has left")
	}
	c := w.certify()
	if len(c.Finished) != 1 || c.Finished[0].Outcome.Result != flow.Expired {
		t.Errorf("%+v, want one that has expired", c.Finished)
	}
}

func TestRunner_LeavesWhenNobodyNeedsIt(t *testing.T) {
	w := spawnWorker(t, t.TempDir(), "SEMEL_TEST_LINGER=1s")
	w.extend(time.Hour)
	done := w.dispatch(flow.Work{Config: script("true")})
	w.outcome(done)
	w.link.Close()
	w.awaitDeath(w.hello.PID)
	if c := w.certify(); len(c.Finished) != 1 || c.Finished[0].Ref != done {
		t.Errorf("finished %+v, want the one that was not forgotten", c.Finished)
	}
}

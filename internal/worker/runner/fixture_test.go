package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

// runnerVariable makes the test binary a runner, on the directory it names.
const runnerVariable = "SEMEL_TEST_RUNNER"

func TestMain(m *testing.M) {
	dir := os.Getenv(runnerVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	linger, err := time.ParseDuration(os.Getenv("SEMEL_TEST_LINGER"))
	if err != nil {
		linger = time.Minute
	}
	err = Main(context.Background(), Config{
		Dir: dir, Address: "test", Containment: Containment(os.Getenv("SEMEL_TEST_CONTAINMENT")), Linger: linger,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const testRun = flow.RunID("01920000-0000-7000-8000-000000000001")

// worker is a runner as a test sees it, through its link.
type worker struct {
	tb     testing.TB
	dir    string
	link   Link
	hello  Hello
	runner *Runner // nil if it is a process of its own
	told   map[wire.Ref]wire.Report
	ended  chan error
	stop   context.CancelFunc // ends Run; nil if it is a process of its own
	next   flow.Generation
}

// newWorker runs a runner within the test, with a lease of an hour.
func newWorker(tb testing.TB, cfg Config) *worker {
	tb.Helper()
	w := openWorker(tb, cfg)
	w.extend(time.Hour)
	return w
}

// openWorker runs a runner within the test, without a lease.
func openWorker(tb testing.TB, cfg Config) *worker {
	tb.Helper()
	if cfg.Dir == "" {
		cfg.Dir = tb.TempDir()
	}
	if cfg.Address == "" {
		cfg.Address = "test"
	}
	r, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w := &worker{tb: tb, dir: cfg.Dir, runner: r, link: r.Local(), hello: r.Hello(), told: map[wire.Ref]wire.Report{}, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	w.stop = cancel
	go func() { w.ended <- r.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-w.ended; err != nil {
			tb.Errorf("the runner ended with %v", err)
		}
	})
	return w
}

// spawnWorker starts a runner as a process of its own, without a lease.
func spawnWorker(tb testing.TB, dir string, env ...string) *worker {
	tb.Helper()
	for _, v := range append(env, runnerVariable+"="+dir) {
		name, value, _ := strings.Cut(v, "=")
		tb.Setenv(name, value)
	}
	if err := Spawn(tb.Context(), executable(tb), nil, dir); err != nil {
		tb.Fatal(err)
	}
	w := &worker{tb: tb, dir: dir, told: map[wire.Ref]wire.Report{}}
	w.dial()
	tb.Cleanup(func() {
		_ = syscall.Kill(w.hello.PID, syscall.SIGKILL)
		w.awaitDeath(w.hello.PID)
		if w.hello.Cgroup != "" {
			_ = emptyCgroup(w.hello.Cgroup, killWithin)
			_ = removeCgroup(w.hello.Cgroup)
		}
	})
	return w
}

func executable(tb testing.TB) string {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return exe
}

// awaitEnd waits for the return of Run.
func (w *worker) awaitEnd() {
	w.tb.Helper()
	err := <-w.ended
	w.ended <- err // for the cleanup
	if err != nil {
		w.tb.Fatal(err)
	}
}

func (w *worker) dial() {
	w.tb.Helper()
	link, hello, err := Dial(w.tb.Context(), w.dir)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.link, w.hello = link, hello
	w.tb.Cleanup(link.Close)
}

func (w *worker) send(m ToRunner) {
	w.tb.Helper()
	if err := w.link.Send(m); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *worker) extend(d time.Duration) {
	w.tb.Helper()
	until := bootNow().Add(d)
	w.send(ToRunner{Extend: &until})
}

// dispatch hands over one attempt and returns its name.
func (w *worker) dispatch(work flow.Work) wire.Ref {
	w.tb.Helper()
	work = w.fill(work)
	d := wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: work}
	w.send(ToRunner{Message: &wire.ToWorker{Dispatch: []wire.Dispatch{d}}})
	return d.Ref()
}

func (w *worker) fill(work flow.Work) flow.Work {
	if work.Run == "" {
		work.Run = testRun
	}
	w.next++
	work.Generation = w.next
	if work.Task == "" {
		work.Task = "t" + strconv.Itoa(int(w.next))
	}
	if work.Type == "" {
		work.Type = task.TypeShell
	}
	if work.Number == 0 {
		work.Number = 1
	}
	work.Workflow, work.Key = "test", "key"
	return work
}

// script is the settings of a shell task.
func script(text string) json.RawMessage { return config(task.Shell{Script: text}) }

func config(c any) json.RawMessage {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return text
}

// shell runs a script to its end and returns the outcome.
func (w *worker) shell(text string) flow.Outcome {
	w.tb.Helper()
	return w.outcome(w.dispatch(flow.Work{Config: script(text)}))
}

// outcome waits for the end of an attempt.
func (w *worker) outcome(ref wire.Ref) flow.Outcome {
	w.tb.Helper()
	r := w.report(ref, wire.Finished)
	return *r.Outcome
}

// report waits until the attempt is told to be in the phase, or finished.
func (w *worker) report(ref wire.Ref, phase wire.Phase) wire.Report {
	w.tb.Helper()
	for {
		if r, ok := w.told[ref]; ok && (r.Phase == phase || r.Phase == wire.Finished) {
			if r.Phase != phase {
				w.tb.Fatalf("%s is %s (%+v), want %s", ref.Task, r.Phase, r.Outcome, phase)
			}
			return r
		}
		w.recv()
	}
}

// recv takes in one message.
func (w *worker) recv() {
	w.tb.Helper()
	m, err := w.link.Recv()
	if err != nil {
		w.tb.Fatalf("the link has ended: %v", err)
	}
	for _, r := range m.Reports {
		w.told[r.Ref] = r
	}
}

func (w *worker) kill(ref wire.Ref) {
	w.tb.Helper()
	w.send(ToRunner{Message: &wire.ToWorker{Kill: []wire.Kill{{Owner: wire.Owner{Epoch: 1}, Ref: ref, Reason: "asked"}}}})
}

func (w *worker) forget(refs ...wire.Ref) {
	w.tb.Helper()
	w.send(ToRunner{Message: &wire.ToWorker{Forget: []wire.Forget{{Owner: wire.Owner{Epoch: 1}, Refs: refs}}}})
}

func (w *worker) log(ref wire.Ref) string {
	w.tb.Helper()
	text, err := os.ReadFile(LogPath(w.dir, ref.Run, ref.Task, 1))
	if err != nil {
		w.tb.Fatal(err)
	}
	return string(text)
}

// until polls for a condition that no message tells.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tb.Context().Done():
			tb.Fatalf("the test ended before: %s", what)
		case <-tick.C:
		}
	}
}

// pidIn waits until a task has written a process number to a file.
func pidIn(tb testing.TB, path string) int {
	tb.Helper()
	pid := 0
	until(tb, "a process number in "+path, func() bool {
		text, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	return pid
}

// running reports whether a process can execute instructions: a zombie cannot,
// and neither can one that has given back its memory on the way there.
func running(pid int) bool {
	if cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err != nil || len(cmdline) == 0 {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, ok := strings.Cut(string(stat), ") ")
	return ok && after[0] != 'Z' && after[0] != 'X'
}

func (w *worker) awaitDeath(pid int) {
	w.tb.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// rungs are the containments that work here.
func rungs(tb testing.TB) []Containment {
	tb.Helper()
	var all []Containment
	for _, kind := range []Containment{Cgroup, Pidns, Weak} {
		c, err := newContainment(kind, fence.NodeID("probe@"+strconv.Itoa(os.Getpid())), slog.New(slog.DiscardHandler))
		if err != nil {
			tb.Logf("containment %s does not work here: %v", kind, err)
			continue
		}
		c.close()
		all = append(all, kind)
	}
	return all
}

func path(dir, name string) string { return filepath.Join(dir, name) }

package runner

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

// here is the identity of a process on this boot of a machine with an id.
func here(t *testing.T) Hello {
	t.Helper()
	h, err := newHello("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h.MachineID = "0123456789abcdef0123456789abcdef"
	return h
}

// TestCertify_AfterARestartTheJournalIsTorn: the caller must not take for
// granted that what the journal does not name never started.
func TestCertify_AfterARestartTheJournalIsTorn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Hello)
		torn   bool
	}{
		"SameBoot":  {func(*Hello) {}, false},
		"Restarted": {func(h *Hello) { h.BootID = "other" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, dir := newHistory(), t.TempDir()
			j := openJournal(t, dir)
			h.write(t, j)
			dead := here(t)
			c.change(&dead)
			got, err := certify(t.Context(), dir, dead, here(t))
			if err != nil || got.Torn != c.torn || len(got.Lost) != 2 {
				t.Errorf("%+v, %v; want torn %v and what was accepted lost", got, err, c.torn)
			}
		})
	}
}

// TestProveDead_ByACgroup needs no cgroup of the kernel for what it looks at.
func TestProveDead_ByACgroup(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "cgroup.events"), []byte("populated 0\nfrozen 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Hello)
		ok     bool
	}{
		"AnotherNamespace": {func(h *Hello) { h.Namespace = "pid:[1]" }, true},
		"AnotherContainer": {func(h *Hello) { h.Namespace, h.MachineID = "pid:[1]", "" }, true},
		"NotVisible":       {func(h *Hello) { h.Namespace, h.Cgroup = "pid:[1]", filepath.Join(empty, "gone") }, false},
		"NoIDs":            {func(h *Hello) { h.BootID, h.MachineID = "other", "" }, false},
		"AnotherMachine":   {func(h *Hello) { h.BootID, h.MachineID = "other", "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dead := here(t)
			dead.Containment, dead.Cgroup = string(Cgroup), empty
			c.change(&dead)
			proof, err := proveDead(t.Context(), dead, here(t))
			if (err == nil) != c.ok || (proof != "") != c.ok || !c.ok && !errors.Is(err, ErrUnproven) {
				t.Errorf("%q, %v; want proven %v", proof, err, c.ok)
			}
		})
	}
}

// TestProveDead_KillsWhatIsInTheCgroup of a node of another PID namespace,
// where this kernel gives cgroups at all.
func TestProveDead_KillsWhatIsInTheCgroup(t *testing.T) {
	for _, kind := range rungs(t) {
		if kind != Cgroup {
			continue
		}
		dead := here(t)
		dead.Node = fence.NodeID("test-" + strconv.Itoa(os.Getpid()) + "@" + time.Now().UTC().Format(time.RFC3339Nano))
		c, err := newCgroups(dead.Node, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		g, err := c.open(tag{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.release)
		var inside command
		g.prepare(&inside)
		cmd := exec.CommandContext(t.Context(), "sleep", "1000")
		cmd.SysProcAttr = &inside.attr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		dead.Containment, dead.Cgroup, dead.Namespace = string(Cgroup), c.cgroup(), "pid:[1]"
		if proof, err := proveDead(t.Context(), dead, here(t)); err != nil || proof == "" {
			t.Errorf("%q, %v; want a proof", proof, err)
		}
		_ = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Errorf("%s, want killed", cmd.ProcessState)
		}
	}
}

// TestCertify_OfARunnerThatEndedInOrder from where nothing can be proven: the
// runner has said itself that nothing of it is left.
func TestCertify_OfARunnerThatEndedInOrder(t *testing.T) {
	for name, end := range map[string]func(*worker){
		"Context":  func(w *worker) { w.stop() },
		"Shutdown": func(w *worker) { w.send(ToRunner{Shutdown: true}) },
		"Linger":   func(w *worker) { w.link.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t, Config{Linger: 10 * time.Millisecond})
			done := w.dispatch(flow.Work{Config: script("echo result=42 >>$SEMEL_OUTPUT")})
			w.outcome(done)
			gone := w.dispatch(flow.Work{Config: script("true")})
			w.outcome(gone)
			w.forget(gone)
			w.shell("true") // the Forget was taken
			want := []string{"t1", "t3"}
			if name != "Linger" {
				w.report(w.dispatch(flow.Work{Config: script("sleep 1000")}), "running")
				want = append(want, "t4")
			}
			end(w)
			w.awaitEnd()

			// The next start is in another container of another machine.
			elsewhere := w.hello
			elsewhere.Namespace, elsewhere.BootID, elsewhere.MachineID, elsewhere.Cgroup = "pid:[1]", "other", "other", ""
			if err := writeJSON(path(w.dir, nodeFile), elsewhere); err != nil {
				t.Fatal(err)
			}
			c := w.certify()
			var got []string
			for i := range c.Finished {
				got = append(got, c.Finished[i].Ref.Task)
			}
			if c.Finished[0].Outcome.Outputs["result"] != "42" || !slices.Equal(got, want) || len(c.Lost) > 0 || c.Torn {
				t.Errorf("%+v, want %v finished and nothing lost", c, want)
			}
		})
	}
}

// TestRun_TakesTheLastEndBeforeItLeaves: an attempt may end while the last
// agent goes and the runner has nothing to wait for any more.
func TestRun_TakesTheLastEndBeforeItLeaves(t *testing.T) {
	w := newWorker(t, Config{Linger: 1})
	d := wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: w.fill(flow.Work{Type: task.TypeNoop})}
	in, from := w.runner.inbox, w.link.(*port)
	in.mu.Lock() // both are taken in one turn
	in.events = append(in.events,
		event{from: from, message: &ToRunner{Message: &wire.ToWorker{Dispatch: []wire.Dispatch{d}}}},
		event{from: from, closed: true})
	in.mu.Unlock()
	in.nudge()
	w.awaitEnd()
	if c := w.certify(); len(c.Finished) != 1 || len(c.Lost) > 0 {
		t.Errorf("%+v, want it to be finished", c)
	}
}

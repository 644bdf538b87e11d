package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// TestContainment is the conformance suite of all rungs that work here.
func TestContainment(t *testing.T) {
	for _, kind := range rungs(t) {
		t.Run(string(kind), func(t *testing.T) {
			for name, check := range map[string]func(*testing.T, *worker){
				"TheTreeEndsWithTheAttempt":      theTreeEndsWithTheAttempt,
				"AKillEndsTheTree":               aKillEndsTheTree,
				"APoliteSignalComesFirst":        aPoliteSignalComesFirst,
				"WhoIgnoresTheSignalIsKilled":    whoIgnoresTheSignalIsKilled,
				"AStoppedProcessIsKilled":        aStoppedProcessIsKilled,
				"ATimeoutEndsTheTree":            aTimeoutEndsTheTree,
				"TheSecondKillerNeedsNobody":     theSecondKillerNeedsNobody,
				"ExitCodesAndSignalsAreTold":     exitCodesAndSignalsAreTold,
				"WhatCannotStartIsRefused":       whatCannotStartIsRefused,
				"ManyAtOnce":                     manyAtOnce,
				"NoProcessLivesWhenRunIsOver":    noProcessLivesWhenRunIsOver,
				"AnAttemptKilledBeforeItsStart":  anAttemptKilledBeforeItsStart,
				"AKilledChildIsNotAKilledParent": aKilledChildIsNotAKilledParent,
			} {
				t.Run(name, func(t *testing.T) {
					w := newWorker(t, Config{Containment: kind})
					if got := w.hello.Containment; got != string(kind) {
						t.Fatalf("the runner says containment %s", got)
					}
					check(t, w)
				})
			}
		})
	}
}

// daemon forks a process that leaves the session and the process group, has
// no parent any more, and keeps the output open. It waits until that runs.
func daemon(dir string) string {
	return `(setsid sh -c 'trap "" TERM HUP; echo >` + dir + `/daemon; while :; do sleep 1000; done' & )
while [ ! -s ` + dir + `/daemon ]; do sleep 0.01; done
`
}

// daemonPID finds the daemon by a mark in its command line: in a namespace of
// its own it knows another number than we do.
func daemonPID(t *testing.T, dir string) int {
	t.Helper()
	return daemonUnder(t, dir, func() {})
}

// daemonUnder calls keep again and again while it waits for the daemon.
func daemonUnder(t *testing.T, dir string, keep func()) int {
	t.Helper()
	found := 0
	until(t, "the daemon", func() bool {
		keep()
		pids, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			if err == nil && strings.HasPrefix(string(cmdline), "sh\x00-c\x00trap \"\" TERM HUP") && strings.Contains(string(cmdline), dir+"/daemon") && running(pid) {
				found = pid
				return true
			}
		}
		return false
	})
	return found
}

func theTreeEndsWithTheAttempt(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "until [ -e " + dir + "/go ]; do sleep 0.01; done")})
	pid := daemonPID(t, dir)
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Errorf("%+v, want success", o)
	}
	if running(pid) {
		t.Errorf("a daemon that the task forked away lives on after the attempt was told to have ended")
	}
}

func aKillEndsTheTree(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "sleep 1000")})
	pid := daemonPID(t, dir)
	w.kill(ref)
	o := w.outcome(ref)
	if o.Result != flow.Stopped || o.Reason != "asked" {
		t.Errorf("%+v, want stopped because asked", o)
	}
	if running(pid) {
		t.Errorf("a daemon survived the kill of its attempt")
	}
}

func aPoliteSignalComesFirst(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(`trap 'echo cleaned up; exit 3' TERM
echo ready >` + dir + `/ready
while :; do sleep 0.01; done`)})
	until(t, "the task to be ready", func() bool { _, err := os.Stat(dir + "/ready"); return err == nil })
	w.kill(ref)
	o := w.outcome(ref)
	if o.Result != flow.Stopped || o.ExitCode == nil || *o.ExitCode != 3 {
		t.Errorf("%+v, want stopped with the exit status of the task's own handler", o)
	}
	if got := w.log(ref); !strings.Contains(got, "cleaned up\n") {
		t.Errorf("log %q", got)
	}
}

func whoIgnoresTheSignalIsKilled(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Grace: 50 * time.Millisecond, Config: script(`trap '' TERM
echo ready >` + dir + `/ready
while :; do sleep 1000; done`)})
	until(t, "the task to be ready", func() bool { _, err := os.Stat(dir + "/ready"); return err == nil })
	w.kill(ref)
	o := w.outcome(ref)
	if o.Result != flow.Stopped {
		t.Errorf("%+v, want stopped", o)
	}
	if got := o.Finished.Boot.Sub(o.Started.Boot); got < 50*time.Millisecond {
		t.Errorf("it was killed after %s, before its grace was over", got)
	}
}

func aStoppedProcessIsKilled(t *testing.T, w *worker) {
	ref := w.dispatch(flow.Work{Grace: 10 * time.Millisecond, Config: script("kill -STOP $$; sleep 1000")})
	w.report(ref, wire.Running)
	w.kill(ref)
	if o := w.outcome(ref); o.Result != flow.Stopped {
		t.Errorf("%+v, want stopped", o)
	}
}

func aTimeoutEndsTheTree(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{
		Timeout: 300 * time.Millisecond, Grace: 10 * time.Millisecond, Config: script("trap '' TERM; " + daemon(dir) + "while :; do sleep 1000; done"),
	})
	o := w.outcome(ref)
	if o.Result != flow.TimedOut || o.Reason != "ran longer than its timeout of 300ms" {
		t.Errorf("%+v, want timed out", o)
	}
	if populated, err := Populated(w.hello); populated || err != nil {
		t.Errorf("processes are left after the timeout: %v, %v", populated, err)
	}
}

func theSecondKillerNeedsNobody(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "sleep 1000")})
	pid := daemonPID(t, dir)
	if populated, err := Populated(w.hello); !populated || err != nil {
		t.Fatalf("populated: %v, %v; want true", populated, err)
	}
	if err := KillNode(w.hello); err != nil {
		t.Fatal(err)
	}
	o := w.outcome(ref)
	if o.Result != flow.Failed {
		t.Errorf("%+v: killed before the deadline, by somebody else, is a failure", o)
	}
	if running(pid) {
		t.Error("a process survived the second killer")
	}
}

func exitCodesAndSignalsAreTold(t *testing.T, w *worker) {
	if o := w.shell("exit 7"); o.Result != flow.Failed || *o.ExitCode != 7 || o.Reason != "exit status 7" {
		t.Errorf("%+v, want exit status 7", o)
	}
	if o := w.shell("true"); o.Result != flow.Succeeded || *o.ExitCode != 0 {
		t.Errorf("%+v, want success with exit code 0", o)
	}
	if w.hello.Containment == string(Pidns) {
		return // there, the first process gives a signal as 128 + its number
	}
	if o := w.shell("kill -SEGV $$"); o.Result != flow.Failed || o.Reason != "killed by signal 11 (SIGSEGV)" || o.ExitCode != nil {
		t.Errorf("%+v, want killed by signal 11", o)
	}
}

func whatCannotStartIsRefused(t *testing.T, w *worker) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ config, want string }{
		{`{"script":"x","interpreter":["no-such-program"]}`, `there is no program "no-such-program" on the PATH of this worker`},
		{`{"script":"true","dir":"/no/such/dir"}`, "the working directory /no/such/dir: no such file or directory"},
		{`{"script":"true","dir":"` + plain + `"}`, "the working directory " + plain + " is not a directory"},
		{`{"script":"true","dir":"relative"}`, `the working directory "relative" is not absolute`},
	} {
		ref := w.dispatch(flow.Work{Config: []byte(c.config)})
		if o := w.outcome(ref); o.Result != flow.Refused || o.Reason != c.want {
			t.Errorf("%s: %s, %q; want refused, %q", c.config, o.Result, o.Reason, c.want)
		}
	}
	if w.hello.Containment == string(Pidns) {
		return // its first process is a shell, which starts in any case
	}
	ref := w.dispatch(flow.Work{Config: []byte(`{"script":"x","interpreter":["` + plain + `"]}`)})
	if o := w.outcome(ref); o.Result != flow.Refused || o.Reason != "the program "+plain+" may not be executed by this worker" {
		t.Errorf("%+v, want refused", o)
	}
}

func manyAtOnce(t *testing.T, w *worker) {
	var refs []wire.Ref
	for range 100 {
		refs = append(refs, w.dispatch(flow.Work{Config: script("echo $SEMEL_TASK; sleep 0.02")}))
	}
	for _, ref := range refs {
		if o := w.outcome(ref); o.Result != flow.Succeeded {
			t.Errorf("%s: %+v", ref.Task, o)
		}
		if got := w.log(ref); got != ref.Task+"\n" {
			t.Errorf("log of %s: %q", ref.Task, got)
		}
	}
}

func noProcessLivesWhenRunIsOver(t *testing.T, w *worker) {
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script(daemon(dir) + "sleep 1000")})
	pid := daemonPID(t, dir)
	w.send(ToRunner{Shutdown: true})
	if o := w.outcome(ref); o.Result != flow.Expired {
		t.Errorf("%+v, want expired: nobody asked for the end of the task as such", o)
	}
	err := <-w.ended
	w.ended <- err
	if err != nil || running(pid) {
		t.Errorf("Run returned %v, and the daemon lives: %v", err, running(pid))
	}
	if _, err := w.link.Recv(); !errors.Is(err, ErrEnded) {
		t.Errorf("the link of a runner that has ended says %v", err)
	}
	if _, err := os.Stat(w.hello.Cgroup); w.hello.Cgroup != "" && !os.IsNotExist(err) {
		t.Errorf("the cgroup %s is left behind", w.hello.Cgroup)
	}
}

func anAttemptKilledBeforeItsStart(t *testing.T, w *worker) {
	work := w.fill(flow.Work{Config: script("echo started >" + t.TempDir() + "/started")})
	d := wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: work}
	w.runner.queue.mu.Lock() // no spawner takes anything
	w.send(ToRunner{Message: &wire.ToWorker{
		Dispatch: []wire.Dispatch{d}, Kill: []wire.Kill{{Owner: d.Owner, Ref: d.Ref(), Reason: "asked"}},
	}})
	w.runner.queue.mu.Unlock()
	if o := w.outcome(d.Ref()); o.Result != flow.Stopped {
		t.Errorf("%+v, want stopped", o)
	}
}

func aKilledChildIsNotAKilledParent(t *testing.T, w *worker) {
	o := w.shell("sleep 1000 & kill -9 $!; wait $! || echo survived >>$SEMEL_OUTPUT.log; echo a=b >>$SEMEL_OUTPUT")
	if diff := cmp.Diff(flow.Outputs{"a": "b"}, o.Outputs); o.Result != flow.Succeeded || diff != "" {
		t.Errorf("%+v", o)
	}
}

// TestP3_DeadRunnersTasksDie kills the runner and looks at what it had
// started: the first process of an attempt, and one that was forked away.
func TestP3_DeadRunnersTasksDie(t *testing.T) {
	for _, kind := range rungs(t) {
		t.Run(string(kind), func(t *testing.T) {
			dir, marks := t.TempDir(), t.TempDir()
			w := spawnWorker(t, dir, "SEMEL_TEST_CONTAINMENT="+string(kind))
			w.extend(time.Hour)
			done := w.dispatch(flow.Work{Config: script("echo result=42 >>$SEMEL_OUTPUT")})
			w.outcome(done)
			lost := w.dispatch(flow.Work{Config: script(daemon(marks) + "sleep 1000")})
			pid := daemonPID(t, marks)
			w.report(lost, wire.Running)
			if _, err := Certify(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrAlive) {
				t.Fatalf("a living runner: %v, want ErrAlive", err)
			}
			if err := syscall.Kill(w.hello.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			w.awaitDeath(w.hello.PID)
			if kind != Weak {
				// Nobody has certified anything yet: this is the kernel's work, and
				// the watchdog's.
				w.awaitDeath(pid)
			}
			c := w.certify()
			if running(pid) {
				t.Error("a daemon lives although the death of its node was certified")
			}
			if len(c.Finished) != 1 || c.Finished[0].Ref != done || c.Finished[0].Outcome.Outputs["result"] != "42" {
				t.Errorf("finished: %+v, want the one with its outputs", c.Finished)
			}
			if diff := cmp.Diff([]wire.Ref{lost}, c.Lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

// certify certifies twice and discards: the certificate must not change, since
// the caller may have crashed in between.
func (w *worker) certify() *Certificate {
	w.tb.Helper()
	first, err := Certify(w.tb.Context(), Config{Dir: w.dir})
	if err != nil {
		w.tb.Fatal(err)
	}
	if first == nil || first.Node != w.hello.Node || first.Proof == "" {
		w.tb.Fatalf("certificate %+v of node %s", first, w.hello.Node)
	}
	if _, err := New(Config{Dir: w.dir}); !errors.Is(err, ErrUncertified) {
		w.tb.Errorf("a new runner before the old one was discarded: %v, want ErrUncertified", err)
	}
	again, err := Certify(w.tb.Context(), Config{Dir: w.dir})
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		w.tb.Errorf("the second certificate differs: %v\n%s", err, diff)
	}
	if err := Discard(w.dir, first); err != nil {
		w.tb.Fatal(err)
	}
	if c, err := Certify(w.tb.Context(), Config{Dir: w.dir}); c != nil || err != nil {
		w.tb.Errorf("after Discard: %+v, %v; want nothing", c, err)
	}
	if err := Discard(w.dir, first); err != nil {
		w.tb.Errorf("a second Discard: %v", err)
	}
	return first
}

func TestCertify_OfARunnerThatEndedWell(t *testing.T) {
	dir := t.TempDir()
	r, err := New(Config{Dir: dir, Address: "test"})
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{tb: t, dir: dir, hello: r.Hello()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c := w.certify(); len(c.Finished)+len(c.Lost) > 0 {
		t.Errorf("%+v, want nothing to account for", c)
	}
}

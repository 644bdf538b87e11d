package runner

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// TestReap_WithoutAStatusIsNoSuccess: the status of a process that somebody
// else has reaped is not zero, it is unknown.
func TestReap_WithoutAStatusIsNoSuccess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	p := &process{pid: cmd.Process.Pid}
	status, err := p.reap()
	if err == nil {
		t.Fatalf("status %v of a process that was reaped before", status)
	}
	if o := p.outcome(status, err, ending{}); o.Result != flow.Expired || o.ExitCode != nil || !strings.Contains(o.Reason, "unknown") {
		t.Errorf("%+v, want an unknown outcome with its reason", o)
	}
	if o := p.outcome(status, err, ending{flow.Stopped, "asked"}); o.Result != flow.Stopped || o.ExitCode != nil || o.Reason != "asked" {
		t.Errorf("%+v, want stopped: why it was ended is known", o)
	}
}

// TestOutcome_OwnExitBeforeAKillCounts: an attempt that the kill of the node
// was about to reach, and which had exited by itself, has not expired.
func TestOutcome_OwnExitBeforeAKillCounts(t *testing.T) {
	for name, c := range map[string]struct {
		mark   ending
		script string
		want   flow.Result
		code   int
	}{
		"Expiry":       {expiry, "echo a=b >>$SEMEL_OUTPUT", flow.Succeeded, 0},
		"ExpiryFailed": {expiry, "exit 3", flow.Failed, 3},
		"Stopping":     {stopping, "echo a=b >>$SEMEL_OUTPUT", flow.Succeeded, 0},
		"Timeout":      {ending{flow.TimedOut, "late"}, "exit 0", flow.TimedOut, 0},
		"Stop":         {ending{flow.Stopped, "asked"}, "exit 0", flow.Stopped, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := newWorker(t, Config{}), t.TempDir()
			ref := w.dispatch(flow.Work{Config: script("until [ -e " + dir + "/go ]; do sleep 0.01; done; " + c.script)})
			w.report(ref, wire.Running)
			w.runner.mu.Lock()
			w.runner.attempts[ref].mark(c.mark) // as killNode does, which is then too late
			w.runner.mu.Unlock()
			if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o := w.outcome(ref)
			if o.Result != c.want || o.ExitCode == nil || *o.ExitCode != c.code || (o.Result == flow.Succeeded) != (o.Outputs["a"] == "b") {
				t.Errorf("%+v, want %s with exit code %d", o, c.want, c.code)
			}
		})
	}
}

// TestOutcome_AnswerToAPoliteSignalIsNoSuccess: a task that cleans up and exits
// with 0 when it is asked to end has not done its work.
func TestOutcome_AnswerToAPoliteSignalIsNoSuccess(t *testing.T) {
	w, dir := newWorker(t, Config{}), t.TempDir()
	ref := w.dispatch(flow.Work{Config: script("trap 'exit 0' TERM; echo >" + dir + "/ready; while :; do sleep 0.01; done")})
	until(t, "the task to be ready", func() bool { _, err := os.Stat(dir + "/ready"); return err == nil })
	w.send(ToRunner{Shutdown: true})
	if o := w.outcome(ref); o.Result != flow.Expired || o.Reason != stopping.reason {
		t.Errorf("%+v, want expired", o)
	}
}

// TestOutput_HeldByAProcessThatEscaped: it drops its environment and leaves the
// session, so that under weak containment nobody finds it, and keeps the
// output open.
func TestOutput_HeldByAProcessThatEscaped(t *testing.T) {
	w, dir := newWorker(t, Config{Containment: Weak}), t.TempDir()
	w.runner.outputWithin = 20 * time.Millisecond
	ref := w.dispatch(flow.Work{Config: script(`env -i "PATH=$PATH" setsid sh -c 'echo $$ >` + dir + `/pid; exec sleep 1000' &
until [ -s ` + dir + `/pid ]; do sleep 0.01; done
echo said before`)})
	pid := pidIn(t, dir+"/pid")
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Errorf("%+v, want success", o)
	}
	if !running(pid) {
		t.Error("the process has not escaped: this test proves nothing")
	}
	want := "said before\n\n[semel: the output was still held open by process " + strconv.Itoa(pid) + " ("
	if got := w.log(ref); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "; it is cut off here]\n") {
		t.Errorf("log %q, want it to begin with %q", got, want)
	}
}

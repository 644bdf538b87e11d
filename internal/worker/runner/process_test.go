package runner

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/semel-dev/semel/internal/flow"
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

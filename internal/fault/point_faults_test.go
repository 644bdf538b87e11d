//go:build faults

package fault

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain passes a point three times when the test below runs this program
// again.
func TestMain(m *testing.M) {
	if os.Getenv("SEMEL_FAULT_TEST") == "" {
		os.Exit(m.Run())
	}
	for range 3 {
		Point(Names[1])
		Point(Names[0])
		os.Stdout.WriteString("passed\n")
	}
}

func TestPoint(t *testing.T) {
	for value, want := range map[string]struct {
		output string // how far it got
		killed bool
		fails  string
	}{
		"":                      {output: "passed\npassed\npassed\n"},
		Names[0] + ":exit":      {killed: true},
		Names[0] + ":exit:1":    {killed: true},
		Names[1] + ":exit:3":    {output: "passed\npassed\n", killed: true},
		Names[0] + ":exit:4":    {output: "passed\npassed\npassed\n"},
		"nowhere:exit":          {fails: `no place has the name "nowhere"`},
		Names[0] + ":sleep":     {fails: `unknown action "sleep"`},
		Names[0]:                {fails: `unknown action ""`},
		Names[0] + ":exit:0":    {fails: `"0" is not a count`},
		Names[0] + ":exit:soon": {fails: `"soon" is not a count`},
	} {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), Variable+"="+value, "SEMEL_FAULT_TEST=yes")
		var said strings.Builder
		cmd.Stderr = &said
		output, err := cmd.Output()
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if string(output) != want.output || killed != want.killed || !strings.Contains(said.String(), want.fails) {
			t.Errorf("%q: got to %q, killed %v, %v; want %+v\n%s", value, output, killed, err, want, said.String())
		}
		if !killed && (err != nil) != (want.fails != "") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

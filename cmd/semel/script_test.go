package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"semel": main})
}

// The scripts run the real program. Besides testscript's own words they have:
//
//	exits CODE PROGRAM ARGS...   runs it and wants that exit code
//	serve ARGS...                starts a server, and points SEMEL_SERVER at it
//	unserve                      ends that server, not its runner
//	setenv NAME                  sets a variable to the last stdout, trimmed
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("TZ", "UTC")
			env.Setenv("SEMEL_SERVER", "http://127.0.0.1:1") // nobody's
			env.Setenv("TERM", "xterm")
			env.Values[serverKey{}] = &served{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"serve":   serve,
			"unserve": unserve,
			"setenv":  setenv,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func setenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setenv NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

type serverKey struct{}

// served is the server of a script.
type served struct {
	cmd *exec.Cmd
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*served)
	if neg || s.cmd != nil {
		ts.Fatalf("usage: serve ARGS..., one at a time")
	}
	program := filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "semel")
	cmd := exec.Command(program, append([]string{"standalone", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	s.cmd = cmd
	work := ts.Getenv("WORK")
	ts.Defer(func() {
		s.end()
		killRunners(work)
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		ts.Fatalf("the server said %q (%v), want listening on URL", line, err)
	}
	ts.Setenv("SEMEL_SERVER", url)
	ts.Setenv("SERVER_ADDRESS", strings.TrimPrefix(url, "http://"))
}

// end asks the server to end and waits for it.
func (s *served) end() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func unserve(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*served)
	if neg || len(args) > 0 || s.cmd == nil {
		ts.Fatalf("usage: unserve, after serve")
	}
	s.end()
}

// killRunners ends what a server leaves behind on purpose: the runners of data
// directories below dir.
func killRunners(dir string) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		args := strings.Split(string(raw), "\x00")
		if len(args) < 2 || args[1] != "runner" || !strings.Contains(string(raw), dir) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

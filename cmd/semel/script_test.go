package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
//	json PATH VALUE              wants a value in the JSON of the last stdout;
//	                             "absent" wants none
//	terminal SIZE PROGRAM ARGS   runs it in a terminal, see inTerminal
//	await FIFO                   waits for a line that a task writes there
//	tell FIFO                    writes a line that a task waits for
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
			"exits":    exits,
			"serve":    serve,
			"unserve":  unserve,
			"setenv":   setenv,
			"json":     jsonValue,
			"terminal": inTerminal,
			"await":    await,
			"tell":     tell,
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

func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	var value any
	text := ts.ReadFile("stdout")
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		ts.Fatalf("%v in %q", err, text)
	}
	got := "absent"
	if found, ok := lookUp(value, strings.Split(args[0], ".")); ok {
		got = fmt.Sprint(found)
	}
	if got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// lookUp follows names and indices.
func lookUp(value any, path []string) (any, bool) {
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			inner, ok := v[step]
			if !ok {
				return nil, false
			}
			value = inner
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
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
	cmd := exec.Command(scriptProgram(ts, "semel"), append([]string{"standalone", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	log := &bytes.Buffer{}
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	s.cmd = cmd
	work := ts.Getenv("WORK")
	ts.Defer(func() {
		s.end()
		killRunners(work)
		ts.Logf("the server said:\n%s", log)
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		ts.Fatalf("the server said %q (%v), want listening on URL", line, err)
	}
	ts.Setenv("SEMEL_SERVER", url)
	ts.Setenv("SERVER_ADDRESS", strings.TrimPrefix(url, "http://"))
}

// scriptProgram finds a program as the script would: testscript puts ours first.
func scriptProgram(ts *testscript.TestScript, name string) string {
	return filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], name)
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

// awaitMax bounds the time that a failed script takes.
const awaitMax = 30 * time.Second

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FIFO")
	}
	fifo := openFIFO(ts, args[0])
	defer fifo.Close()
	ts.Check(fifo.SetReadDeadline(time.Now().Add(awaitMax)))
	if _, err := bufio.NewReader(fifo).ReadString('\n'); err != nil {
		ts.Fatalf("nobody wrote to %s: %v", args[0], err)
	}
}

func tell(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tell FIFO")
	}
	fifo := openFIFO(ts, args[0])
	ts.Defer(func() { _ = fifo.Close() }) // not before somebody has read it
	_, err := fifo.WriteString("go\n")
	ts.Check(err)
}

// openFIFO opens both directions, so that it never waits for the other side.
func openFIFO(ts *testscript.TestScript, name string) *os.File {
	fifo, err := os.OpenFile(ts.MkAbs(name), os.O_RDWR|syscall.O_NONBLOCK, 0)
	ts.Check(err)
	return fifo
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

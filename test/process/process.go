// Package process runs a built Semel as its users do: a server, its runner and
// client commands, each a process of its own.
package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds the program as path, with build tags or without.
func Build(path, tags string) error {
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "github.com/semel-dev/semel/cmd/semel")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build semel: %w\n%s", err, out)
	}
	return nil
}

// Semel is one built program and one data directory.
type Semel struct {
	Binary string
	Data   string
	Slots  int
	Env    []string // of the server, besides the test's own
}

// Server is a running `semel standalone`.
type Server struct {
	URL string
	Log *Buffer // what it says on stderr

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start runs the server and waits until it says where it listens.
func (s *Semel) Start() (*Server, error) {
	cmd := exec.Command(s.Binary, "standalone", "--data", s.Data, "--listen", "127.0.0.1:0", "--slots", strconv.Itoa(s.Slots))
	cmd.Env = append(os.Environ(), s.Env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log := &Buffer{}
	cmd.Stderr = log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	srv := &Server{cmd: cmd, Log: log, done: make(chan struct{})}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "listening on "); ok {
			srv.URL = strings.TrimSpace(url)
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
		close(srv.done)
	}()
	if srv.URL == "" {
		<-srv.done
		return nil, fmt.Errorf("the server ended before it listened: %s", log)
	}
	return srv, nil
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop asks the server to end, waits, and returns its exit code.
func (s *Server) Stop() int {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
	return s.cmd.ProcessState.ExitCode()
}

// Runners finds the runner processes of the data directory.
func (s *Semel) Runners() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range dirs {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if len(args) > 1 && args[0] == s.Binary && args[1] == "runner" && strings.Contains(string(line), s.Data) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// KillRunners ends them as a crash would, and reports how many there were.
func (s *Semel) KillRunners() (int, error) {
	pids, err := s.Runners()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("kill runner %d: %w", pid, err)
		}
	}
	return len(pids), nil
}

// Result is how a command ended.
type Result struct {
	Code     int // -1: by a signal
	Out, Err string
}

// Run runs a command to its end.
func (s *Semel) Run(args ...string) (Result, error) {
	cmd := exec.Command(s.Binary, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := (&exec.ExitError{}); errors.As(err, &exit) {
		err = nil
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Out: out.String(), Err: errOut.String()}, err
}

// Client runs a client command against the server and returns its output. A
// command that does not exit with 0 is an error.
func (s *Semel) Client(url string, args ...string) (string, error) {
	r, err := s.Run(append(args, "--server", url)...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit code %d", r.Code)
	}
	if err != nil {
		return r.Out, fmt.Errorf("semel %s: %w: %s", strings.Join(args, " "), err, r.Err)
	}
	return r.Out, nil
}

// Buffer keeps what a process writes while others read it.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Package crash kills real processes of a real Semel at random moments and
// looks, from outside, at what their tasks did.
package crash

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

// semel is one built program and one data directory.
type semel struct {
	binary string
	data   string
	slots  int
	env    []string // besides the test's own
}

// server is a running `semel standalone`.
type server struct {
	cmd  *exec.Cmd
	url  string
	log  *syncBuffer
	done chan struct{} // closed when the process has ended
}

// start runs the server and waits until it says where it listens.
func (s *semel) start() (*server, error) {
	cmd := exec.Command(s.binary, "standalone", "--data", s.data, "--listen", "127.0.0.1:0", "--slots", strconv.Itoa(s.slots))
	cmd.Env = append(os.Environ(), s.env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log := &syncBuffer{}
	cmd.Stderr = log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	srv := &server{cmd: cmd, log: log, done: make(chan struct{})}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "listening on "); ok {
			srv.url = strings.TrimSpace(url)
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
		close(srv.done)
	}()
	if srv.url == "" {
		<-srv.done
		return nil, fmt.Errorf("the server ended before it listened: %s", log)
	}
	return srv, nil
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// stop asks the server to end, and waits.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}

// runners finds the runner processes of the data directory.
func (s *semel) runners() ([]int, error) {
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
		if len(args) > 1 && args[0] == s.binary && args[1] == "runner" && strings.Contains(string(line), s.data) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killRunners ends them as a crash would, and reports how many there were.
func (s *semel) killRunners() (int, error) {
	pids, err := s.runners()
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

// client runs a client command against the server and returns its output.
func (s *semel) client(url string, args ...string) (string, error) {
	cmd := exec.Command(s.binary, append(args, "--server", url)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("semel %s: %w: %s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), nil
}

// syncBuffer keeps what a process writes while others read it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// complaintMax is how much of a runner's own log goes into the error when it
// did not come up.
const complaintMax = 2000

// Main is a runner as a process of its own: it serves agents on its socket
// until it has been idle and alone for a while.
func Main(ctx context.Context, cfg Config) error {
	if cfg.Linger == 0 {
		cfg.Linger = lingering
	}
	r, err := New(cfg)
	if err != nil {
		return err
	}
	r.cfg.Log.Info("runner begins", "node", r.hello.Node, "pid", r.hello.PID, "containment", r.hello.Containment)
	group, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // agents hear of the end
	defer stop()
	group.Go(func() error { return r.Serve(serving) })
	group.Go(func() error {
		defer stop()
		return r.Run(ctx)
	})
	return group.Wait()
}

// Spawn starts a runner as a process of its own and returns once it accepts
// agents. It belongs to a session of its own: neither the end of the caller
// nor a Ctrl-C in its terminal ends it. What it has to say about itself goes to
// runner.log in the data directory.
func Spawn(ctx context.Context, exe string, args []string, dir string) error {
	process, output, err := startRunner(exe, args, dir)
	if err != nil {
		return fmt.Errorf("start the runner %s: %w", exe, err)
	}
	exited := make(chan struct{})
	go func() { // ends with the runner; it is a child, and has to be reaped
		_, _ = process.Wait()
		close(exited)
	}()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if alive(ctx, dir, process.Pid) {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("the runner of %s ended at once: %s", dir, complaint(output))
		case <-ctx.Done():
			return fmt.Errorf("wait for the runner of %s: %w", dir, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// alive reports whether the runner with this pid accepts agents.
func alive(ctx context.Context, dir string, pid int) bool {
	hello, err := readHello(dir)
	if err != nil || hello == nil || hello.PID != pid {
		return false
	}
	link, _, err := Dial(ctx, dir)
	if err != nil {
		return false
	}
	link.Close()
	return true
}

// output is the part of a log file that one process writes.
type output struct {
	path string
	from int64
}

func startRunner(exe string, args []string, dir string) (*os.Process, output, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, output{}, err
	}
	path := filepath.Join(dir, processLogFile)
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, output{}, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, output{}, err
	}
	defer null.Close()
	out := output{path: path}
	if info, err := log.Stat(); err == nil {
		out.from = info.Size()
	}
	process, err := os.StartProcess(exe, append([]string{exe}, args...), &os.ProcAttr{
		Files: []*os.File{null, log, log}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return process, out, err
}

// complaint returns the end of what a runner has written about itself.
func complaint(o output) string {
	text, err := os.ReadFile(o.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && int64(len(text)) <= o.from {
		return "it left no message"
	}
	if err != nil {
		return err.Error()
	}
	text = text[o.from:]
	if len(text) > complaintMax {
		text = text[len(text)-complaintMax:]
	}
	return strings.TrimSpace(string(text))
}

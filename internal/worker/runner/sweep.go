package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tag marks processes by what their environment holds.
type tag []string // each NAME=value

// sweepFor is how long a sweep tries before it says that it cannot prove death.
const sweepFor = 10 * time.Second

// in reports whether environ, as the kernel shows it, holds the whole tag.
func (t tag) in(environ []byte) bool {
	for _, want := range t {
		if !holdsVariable(environ, want) {
			return false
		}
	}
	return len(t) > 0
}

func holdsVariable(environ []byte, want string) bool {
	for rest := environ; ; {
		i := bytes.Index(rest, []byte(want))
		if i < 0 {
			return false
		}
		end := i + len(want)
		if (i == 0 || rest[i-1] == 0) && (end == len(rest) || rest[end] == 0) {
			return true
		}
		rest = rest[i+1:]
	}
}

// sweep kills every process that carries the tag, and returns how many it
// found. It never kills this one.
func sweep(t tag) (int, error) {
	pids, err := processes()
	found := 0
	errs := []error{err}
	for _, pid := range pids {
		hit, err := killTagged(pid, t)
		if hit {
			found++
		}
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// processes lists all processes but this one.
func processes() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// tagged reports whether any process carries the tag.
func tagged(t tag) (bool, error) {
	pids, err := processes()
	for _, pid := range pids {
		if environ, err := environOf(pid); err == nil && t.in(environ) {
			return true, nil
		}
	}
	return false, err
}

// pipeHolders names, for people, the processes that hold the other end of a
// pipe open.
func pipeHolders(end *os.File) string {
	const nobody = "a process that cannot be seen from here"
	info, err := end.Stat() // not Fd, which would make the copier block
	if err != nil {
		return nobody
	}
	want := fmt.Sprintf("pipe:[%d]", info.Sys().(*syscall.Stat_t).Ino)
	pids, err := processes()
	if err != nil {
		return nobody
	}
	var found []string
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		fds, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue // gone, or of another user
		}
		for _, fd := range fds {
			if to, err := os.Readlink(dir + "/fd/" + fd.Name()); err == nil && to == want {
				name, _ := os.ReadFile(dir + "/comm")
				found = append(found, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name))))
				break
			}
		}
	}
	if len(found) == 0 {
		return nobody
	}
	return strings.Join(found, ", ")
}

func environOf(pid int) ([]byte, error) {
	return os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
}

// killTagged kills the process if it carries the tag. The environment is read
// while the process is held by a pidfd, so that nobody else can have its
// number when the signal is sent.
func killTagged(pid int, t tag) (bool, error) {
	environ, err := environOf(pid)
	if err != nil || !t.in(environ) {
		return false, nil // gone, of another user, or not ours
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("hold process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	environ, err = environOf(pid)
	if err != nil || !t.in(environ) {
		return false, nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return true, fmt.Errorf("kill process %d: %w", pid, err)
	}
	return true, nil
}

// sweepAll sweeps until twice in a row no process carries the tag: one that
// was forked during a first empty look may have been missed by it.
func sweepAll(t tag) error {
	deadline := time.Now().Add(sweepFor)
	for empty, wait := 0, time.Millisecond; empty < 2; wait = min(2*wait, 100*time.Millisecond) {
		found, err := sweep(t)
		switch {
		case found == 0 && err == nil:
			empty++
			continue
		case !time.Now().Before(deadline):
			return fmt.Errorf("%d processes survive a kill: %w", found, errors.Join(ErrUnproven, err))
		}
		empty = 0
		time.Sleep(wait)
	}
	return nil
}

package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/fence"
)

// cgroups keep each attempt in a cgroup of its own below the node's. One write
// to cgroup.kill of the node ends all of them, whatever they fork meanwhile.
type cgroups struct {
	dir      string
	killFile *os.File // opened beforehand: at the deadline nothing may be in the way
	watchdog *watchdog
	made     atomic.Uint64 // a name is never used twice
	log      *slog.Logger
}

func newCgroups(node fence.NodeID, log *slog.Logger) (*cgroups, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	c := &cgroups{dir: filepath.Join(own, "semel", safeName(string(node))), log: log}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if err := c.begin(); err != nil {
		_ = removeCgroup(c.dir)
		return nil, err
	}
	return c, nil
}

// begin opens the kill file, and proves that a process can be started inside.
func (c *cgroups) begin() (err error) {
	c.killFile, err = os.OpenFile(filepath.Join(c.dir, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("this kernel cannot kill a cgroup (that needs Linux 5.14): %w", err)
	}
	g, err := c.open(tag{})
	if err != nil {
		return err
	}
	defer g.release()
	var try command
	g.prepare(&try)
	if err := probe(try.attr); err != nil {
		c.killFile.Close()
		return err
	}
	if c.watchdog, err = startWatchdog(c.killFile); err != nil {
		c.log.Warn("no watchdog: should runner and server be killed together, what a task forked away lives on until the next start", "cause", err)
	}
	return nil
}

func (c *cgroups) kind() Containment { return Cgroup }
func (c *cgroups) cgroup() string    { return c.dir }

func (c *cgroups) killAll() bool {
	if _, err := c.killFile.WriteString("1"); err != nil {
		c.log.Error("cannot kill the node's cgroup; its attempts are killed one by one", "cgroup", c.dir, "cause", err)
		return false
	}
	return true
}

func (c *cgroups) open(tag) (group, error) {
	dir := c.dir + "/" + strconv.FormatUint(c.made.Add(1), 10)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = os.Remove(dir)
		return nil, fmt.Errorf("open cgroup %s: %w", dir, err)
	}
	return &cgroup{dir: dir, fd: fd}, nil
}

func (c *cgroups) close() {
	if err := removeCgroup(c.dir); err != nil {
		c.log.Warn("a cgroup is left behind", "cgroup", c.dir, "cause", err)
	}
	_ = os.Remove(filepath.Dir(c.dir)) // other nodes may be in there
	c.killFile.Close()
	c.watchdog.stop()
}

type cgroup struct {
	dir string
	fd  int
}

func (g *cgroup) prepare(c *command) { c.attr.UseCgroupFD, c.attr.CgroupFD = true, g.fd }

func (g *cgroup) kill(int) error {
	fd, err := unix.Openat(g.fd, "cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open cgroup.kill: %w", err)
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("1"))
	return err
}

func (g *cgroup) empty(pid int) error {
	fd, err := unix.Openat(g.fd, "cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open cgroup.events: %w", err)
	}
	defer unix.Close(fd)
	for first := true; ; first = false {
		populated, err := readPopulated(fd)
		if err != nil || !populated {
			return err
		}
		if first {
			if err := g.kill(pid); err != nil {
				return err
			}
		}
		waitEvent(fd, time.Second)
	}
}

func (g *cgroup) release() {
	unix.Close(g.fd)
	_ = removeCgroup(g.dir)
}

// waitEvent blocks until cgroup.events, open as fd, may have changed.
func waitEvent(fd int, atMost time.Duration) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(atMost.Milliseconds()))
}

func readPopulated(fd int) (bool, error) {
	var buf [128]byte
	n, err := unix.Pread(fd, buf[:], 0)
	if err != nil {
		return false, fmt.Errorf("read cgroup.events: %w", err)
	}
	switch {
	case bytes.Contains(buf[:n], []byte("populated 0")):
		return false, nil
	case bytes.Contains(buf[:n], []byte("populated 1")):
		return true, nil
	}
	return false, fmt.Errorf("cgroup.events reads %q", buf[:n])
}

// emptyCgroup kills whatever is in the cgroup dir and returns once it is
// proven that nothing is. A cgroup that is gone held nothing: the kernel
// removes none that is populated.
func emptyCgroup(dir string, atMost time.Duration) error {
	f, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	deadline := time.Now().Add(atMost)
	for {
		// Looked at before the kill: what is empty needs none, which a container
		// may not be allowed.
		populated, err := readPopulated(int(f.Fd()))
		if errors.Is(err, unix.ENODEV) || err == nil && !populated {
			return nil
		}
		if err != nil {
			return err
		}
		if err := killCgroup(dir); err != nil {
			return err
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("processes in %s survive a kill (a disk or a network file system that does not answer?): %w", dir, ErrUnproven)
		}
		waitEvent(int(f.Fd()), 100*time.Millisecond)
	}
}

func killCgroup(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// removeCgroup removes an empty cgroup and the ones that a task may have made
// below it. A cgroup whose last process has just died is busy for a moment.
func removeCgroup(dir string) error {
	err := os.Remove(dir)
	for try := 0; errors.Is(err, unix.EBUSY) && try < 100; try++ {
		entries, readErr := os.ReadDir(dir)
		if readErr != nil {
			return readErr
		}
		for _, e := range entries {
			if e.IsDir() {
				_ = removeCgroup(filepath.Join(dir, e.Name()))
			}
		}
		time.Sleep(time.Millisecond)
		err = os.Remove(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ownCgroup finds the directory of this process's own cgroup v2, be it the
// only hierarchy or mounted beside those of v1.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	path, ok := unifiedPath(string(own))
	if !ok {
		return "", errors.New("this kernel has no cgroup v2")
	}
	root, point, ok := unifiedMount(string(mounts))
	if !ok {
		return "", errors.New("no cgroup v2 is mounted")
	}
	below, err := filepath.Rel(root, path)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return "", fmt.Errorf("the own cgroup %s is not below the mounted one %s", path, root)
	}
	return filepath.Join(point, below), nil
}

// unifiedPath reads the line "0::/path" of /proc/self/cgroup.
func unifiedPath(file string) (string, bool) {
	for line := range strings.Lines(file) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, true
		}
	}
	return "", false
}

// unifiedMount finds the first mount of type cgroup2 in /proc/self/mountinfo:
// "id parent device root point options [optional...] - type source options".
func unifiedMount(file string) (root, point string, ok bool) {
	for line := range strings.Lines(file) {
		before, after, found := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if found && len(fields) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			return unescapeMount(fields[3]), unescapeMount(fields[4]), true
		}
	}
	return "", "", false
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// safeName makes a file name of s.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._:@+-", r):
			return r
		}
		return '_'
	}, s)
}

// watchdog is a process whose only work is to outlive the runner: when the
// pipe to it breaks, it kills the node's cgroup. The parent-death signal reaches
// only the first process of an attempt; should runner and agent be killed
// together, what that one forked would live on past the deadline.
type watchdog struct {
	pipe    *os.File
	process *os.Process
}

// startWatchdog needs no path in its arguments: the kill file is its output.
// It runs in a session of its own and outside the node's cgroup.
func startWatchdog(kill *os.File) (*watchdog, error) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	process, err := os.StartProcess(shell, []string{"sh", "-c", "trap '' HUP INT TERM; read -r _; echo 1"}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{r, kill, nil}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return &watchdog{pipe: w, process: process}, nil
}

// stop ends the watchdog. The cgroup was removed before, so it kills nothing.
func (w *watchdog) stop() {
	if w == nil {
		return
	}
	w.pipe.Close()
	_, _ = w.process.Wait()
}

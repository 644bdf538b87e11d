package runner

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// failedKept is how many directories of failed attempts are kept for people to
// look into; the oldest go first. They are kept at least until the master has
// committed the failure.
const failedKept = 100

// LogPath is where the log of an attempt is. A silent attempt has none.
func LogPath(dir string, run flow.RunID, task string, number int) string {
	return filepath.Join(dir, "logs", string(run), attemptName(task, number)+".log")
}

func attemptName(task string, number int) string { return task + "." + strconv.Itoa(number) }

// desk is where an attempt works: a directory that holds nothing of Semel's,
// and beside it the files that belong to the attempt. A desk that was left
// clean serves the next attempt: to make a directory costs as much as half a
// fork.
type desk struct {
	own    string // attempts/desks/N: the working directory, unless another one is set
	output string // beside it
	script string
	used   bool // a script was written
}

func newDesk(own string) *desk {
	return &desk{own: own, output: own + ".output", script: own + ".script"}
}

// deskName is where desks are; no run is called so.
const deskName = "desks"

// dirs keeps the directories of attempts.
type dirs struct {
	root string
	log  *slog.Logger

	mu     sync.Mutex
	free   []*desk
	made   int
	failed map[wire.Ref]string // kept, and not forgotten
	old    []string            // kept and forgotten, oldest first
}

// openDirs takes over the failed attempts that former runners have kept.
func openDirs(dir string, log *slog.Logger) (*dirs, error) {
	d := &dirs{root: filepath.Join(dir, "attempts"), log: log, failed: map[wire.Ref]string{}}
	if err := d.close(); err != nil {
		return nil, fmt.Errorf("clear the desks of the former runner: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(d.root, deskName), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of attempts: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of logs: %w", err)
	}
	return d, d.adopt()
}

// close removes all desks: nothing works any more.
func (d *dirs) close() error { return os.RemoveAll(filepath.Join(d.root, deskName)) }

func (d *dirs) adopt() error {
	paths, err := filepath.Glob(filepath.Join(d.root, "*", "*"))
	if err != nil {
		return fmt.Errorf("list former attempts: %w", err)
	}
	ages := map[string]int64{}
	for _, path := range paths {
		task, rest, ok := strings.Cut(filepath.Base(path), ".")
		info, err := os.Lstat(path)
		if !ok || err != nil {
			continue
		}
		number, _, _ := strings.Cut(rest, ".")
		own := filepath.Join(filepath.Dir(path), task+"."+number)
		ages[own] = max(ages[own], info.ModTime().UnixNano())
	}
	d.old = slices.SortedFunc(maps.Keys(ages), func(a, b string) int {
		return cmp.Or(cmp.Compare(ages[a], ages[b]), strings.Compare(a, b))
	})
	d.trim()
	return nil
}

// open gives an attempt its desk.
func (d *dirs) open(w *flow.Work, script string) (*desk, error) {
	if !validRun(string(w.Run)) || !validName(w.Task) {
		return nil, fmt.Errorf("run %q, task %q: these cannot be names of files", clip(string(w.Run), 60), clip(w.Task, 60))
	}
	k, err := d.take()
	if err != nil {
		return nil, fmt.Errorf("make the attempt's directory: %w", err)
	}
	if script != "" {
		k.used = true
		if err := os.WriteFile(k.script, []byte(script), 0o600); err != nil {
			d.clear(k)
			return nil, fmt.Errorf("write the script: %w", err)
		}
	}
	return k, nil
}

func (d *dirs) take() (*desk, error) {
	d.mu.Lock()
	if n := len(d.free); n > 0 {
		k := d.free[n-1]
		d.free = d.free[:n-1]
		d.mu.Unlock()
		return k, nil
	}
	d.made++
	k := newDesk(filepath.Join(d.root, deskName, strconv.Itoa(d.made)))
	d.mu.Unlock()
	return k, os.Mkdir(k.own, 0o700)
}

// leave takes a desk back. What a failed attempt has left on it is kept for
// people to look into.
func (d *dirs) leave(k *desk, w *flow.Work, failed bool) {
	if failed && !k.clean() {
		kept := filepath.Join(d.root, string(w.Run), attemptName(w.Task, w.Number))
		if err := k.moveTo(kept); err != nil {
			d.log.Warn("what a failed attempt has left cannot be kept", "run", w.Run, "task", w.Task, "cause", err)
		}
		d.mu.Lock()
		d.failed[wire.Ref{Run: w.Run, Task: w.Task, Generation: w.Generation}] = kept
		d.mu.Unlock()
	}
	d.clear(k)
}

// clear makes a desk as new, and gives it to the next.
func (d *dirs) clear(k *desk) {
	_ = unix.Unlink(k.output)
	if k.used {
		_ = unix.Unlink(k.script)
		k.used = false
	}
	if !k.empty() {
		if err := os.RemoveAll(k.own); err != nil {
			d.log.Warn("the directory of an attempt is left behind", "dir", k.own, "cause", err)
			return
		}
		if os.Mkdir(k.own, 0o700) != nil {
			return // the next attempt makes one of its own, and says what is wrong
		}
	}
	d.mu.Lock()
	d.free = append(d.free, k)
	d.mu.Unlock()
}

// empty reports whether the directory is as it was made.
func (k *desk) empty() bool {
	fd, err := unix.Open(k.own, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&0o7777 != 0o700 {
		return false
	}
	var buf [256]byte
	n, err := unix.ReadDirent(fd, buf[:])
	if err != nil {
		return false
	}
	_, _, names := unix.ParseDirent(buf[:n], 1, nil) // without the two that every directory has
	return len(names) == 0
}

// clean reports whether there is nothing to be kept.
func (k *desk) clean() bool {
	_, err := os.Lstat(k.output)
	return errors.Is(err, fs.ErrNotExist) && !k.used && k.empty()
}

// moveTo moves what is on the desk, under the name of the attempt.
func (k *desk) moveTo(kept string) error {
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return err
	}
	var errs []error
	for from, to := range map[string]string{k.own: kept, k.output: kept + ".output", k.script: kept + ".script"} {
		if err := os.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d *dirs) remove(kept string) {
	for _, path := range []string{kept + ".output", kept + ".script"} {
		_ = os.Remove(path)
	}
	if err := os.RemoveAll(kept); err != nil {
		d.log.Warn("the directory of an attempt is left behind", "dir", kept, "cause", err)
	}
	_ = os.Remove(filepath.Dir(kept)) // the run's goes when it is empty
}

// forget lets the oldest of the kept directories go.
func (d *dirs) forget(refs []wire.Ref) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, ref := range refs {
		if p, ok := d.failed[ref]; ok {
			delete(d.failed, ref)
			d.old = append(d.old, p)
		}
	}
	d.trim()
}

func (d *dirs) trim() {
	for len(d.old) > failedKept {
		d.remove(d.old[0])
		d.old = d.old[1:]
	}
}

// validRun reports whether s can be the name of a run's directory.
func validRun(s string) bool {
	if s == "" || len(s) > outputNameMax || s[0] == '-' || s == deskName {
		return false
	}
	for _, r := range []byte(s) {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

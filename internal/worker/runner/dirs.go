package runner

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// place is where the files of one attempt are. The task's own directory holds
// nothing of Semel's.
type place struct {
	run    string // attempts/RUN
	own    string // attempts/RUN/TASK.NUMBER: the working directory, unless another one is set
	output string // beside it
	script string
}

// dirs keeps the directories of attempts.
type dirs struct {
	root string
	log  *slog.Logger

	mu     sync.Mutex
	users  map[string]int     // attempts that use attempts/RUN now
	failed map[wire.Ref]place // not forgotten
	old    []place            // failed and forgotten, oldest first
}

// openDirs takes over the failed attempts that former runners have kept.
func openDirs(dir string, log *slog.Logger) (*dirs, error) {
	d := &dirs{root: filepath.Join(dir, "attempts"), log: log, users: map[string]int{}, failed: map[wire.Ref]place{}}
	if err := os.MkdirAll(d.root, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of attempts: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of logs: %w", err)
	}
	err := d.adopt()
	return d, err
}

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
	for own := range ages {
		d.old = append(d.old, newPlace(own))
	}
	slices.SortFunc(d.old, func(a, b place) int {
		return cmp.Or(cmp.Compare(ages[a.own], ages[b.own]), strings.Compare(a.own, b.own))
	})
	d.trim()
	return nil
}

func newPlace(own string) place {
	return place{run: filepath.Dir(own), own: own, output: own + ".output", script: own + ".script"}
}

// open makes what an attempt needs on the disk.
func (d *dirs) open(w *flow.Work, ownDir bool, script string) (place, error) {
	if !validRun(string(w.Run)) || !validName(w.Task) {
		return place{}, fmt.Errorf("run %q, task %q: these cannot be names of files", clip(string(w.Run), 60), clip(w.Task, 60))
	}
	p := newPlace(filepath.Join(d.root, string(w.Run), attemptName(w.Task, w.Number)))
	if err := d.use(p.run); err != nil {
		return place{}, err
	}
	if err := p.fill(ownDir, script); err != nil {
		d.leave(p.run)
		return place{}, err
	}
	return p, nil
}

func (p *place) fill(ownDir bool, script string) error {
	if ownDir {
		if err := os.Mkdir(p.own, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the attempt's directory: %w", err)
		}
	}
	if script != "" {
		if err := os.WriteFile(p.script, []byte(script), 0o600); err != nil {
			return fmt.Errorf("write the script: %w", err)
		}
	}
	return nil
}

// use makes a run's directory and keeps it from being removed.
func (d *dirs) use(run string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[run] == 0 {
		if err := os.Mkdir(run, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the run's directory: %w", err)
		}
	}
	d.users[run]++
	return nil
}

func (d *dirs) leave(run string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users[run]--
	if d.users[run] == 0 {
		delete(d.users, run)
		_ = os.Remove(run) // it goes when it is empty
	}
}

// close removes the files of an attempt that succeeded, and keeps those of one
// that did not.
func (d *dirs) close(p place, ref wire.Ref, succeeded bool) {
	if succeeded {
		d.remove(p)
	} else {
		d.mu.Lock()
		d.failed[ref] = p
		d.mu.Unlock()
	}
	d.leave(p.run)
}

func (d *dirs) remove(p place) {
	for _, path := range []string{p.output, p.script} {
		_ = unix.Unlink(path)
	}
	if unix.Rmdir(p.own) == nil { // empty, as most are
		return
	}
	if err := os.RemoveAll(p.own); err != nil {
		d.log.Warn("the directory of an attempt is left behind", "dir", p.own, "cause", err)
	}
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
		if d.users[d.old[0].run] == 0 {
			_ = os.Remove(d.old[0].run)
		}
		d.old = d.old[1:]
	}
}

// validRun reports whether s can be the name of a run's directory.
func validRun(s string) bool {
	if s == "" || len(s) > outputNameMax || s[0] == '-' {
		return false
	}
	for _, r := range []byte(s) {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

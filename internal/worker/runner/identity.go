package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/fence"
)

// The files of a worker's data directory. Beside them: attempts and logs.
const (
	lockFile        = "worker.lock"      // locked by the runner for its life
	nodeFile        = "node.json"        // the Hello of the runner, living or dead
	journalFile     = "journal"          // see journal
	reserveFile     = "reserve"          // see journal
	certificateFile = "certificate.json" // see Certify
	socketFile      = "runner.sock"
	processLogFile  = "runner.log" // standard error of a runner that is a process of its own
)

// ErrAlive says that a runner lives on the data directory.
var ErrAlive = errors.New("a runner is alive")

// ErrUncertified says that a former runner's journal was not yet handed over.
var ErrUncertified = errors.New("the former runner of this directory is not accounted for")

// newHello makes the identity of a runner that begins at now.
func newHello(address string, now time.Time) (Hello, error) {
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Hello{}, fmt.Errorf("find out which boot of this machine it is: %w", err)
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return Hello{}, fmt.Errorf("find out in which PID namespace this is: %w", err)
	}
	return Hello{
		Node:      fence.NodeID(address + "@" + now.Format("2006-01-02T15:04:05.000000000Z07:00")),
		PID:       os.Getpid(),
		BootID:    strings.TrimSpace(string(bootID)),
		MachineID: machineID(),
		Namespace: namespace,
	}, nil
}

// machineID is empty where the system has none, as in many containers.
func machineID() string {
	for _, name := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if id, err := os.ReadFile(name); err == nil && len(strings.TrimSpace(string(id))) == 32 {
			return strings.TrimSpace(string(id))
		}
	}
	return ""
}

// lock is held by the runner for its life, so that whoever gets it knows that
// the runner has ended. The kernel gives it back when the process dies.
type lock struct{ f *os.File }

// takeLock fails with ErrAlive if another one holds it. A lock of the open
// file (OFD) is not lost when the file is opened and closed elsewhere in the
// process, and can be asked for without being taken.
func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		holder := lockHolder(f)
		f.Close()
		return nil, fmt.Errorf("%s is in use by process %s: %w", dir, holder, ErrAlive)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	l := &lock{f}
	return l, l.sign()
}

// sign writes who holds the lock, for people.
func (l *lock) sign() error {
	if err := l.f.Truncate(0); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	if _, err := l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil && !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("write the lock: %w", err)
	}
	return nil
}

func lockHolder(f *os.File) string {
	var buf [32]byte
	n, _ := f.ReadAt(buf[:], 0)
	if holder := strings.TrimSpace(string(buf[:n])); holder != "" {
		return holder
	}
	return "unknown"
}

func (l *lock) close() { l.f.Close() }

// locked reports whether somebody holds the lock, without taking it.
func locked(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the lock: %w", err)
	}
	defer f.Close()
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &whole); err != nil {
		return false, fmt.Errorf("ask for the lock: %w", err)
	}
	return whole.Type != unix.F_UNLCK, nil
}

// Status is what can be seen of a worker's data directory from outside.
type Status struct {
	Alive bool   // a runner, or somebody who certifies a dead one, holds the lock
	Hello *Hello // of the newest runner; nil if there is none to account for
}

// Inspect looks at a data directory without changing it.
func Inspect(dir string) (Status, error) {
	alive, err := locked(dir)
	if err != nil {
		return Status{}, err
	}
	hello, err := readHello(dir)
	return Status{Alive: alive, Hello: hello}, err
}

// readHello returns nil if there is none.
func readHello(dir string) (*Hello, error) {
	var h Hello
	found, err := readJSON(filepath.Join(dir, nodeFile), &h)
	if err != nil || !found {
		return nil, err
	}
	return &h, nil
}

func readJSON(path string, into any) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

// writeJSON replaces a file durably: after a crash it holds the old text or
// the new one.
func writeJSON(path string, from any) error {
	text, err := json.MarshalIndent(from, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/store"
)

// lock keeps other processes out of a store. SQLite's own locks would let a
// second process in between two transactions, and it would wait for ever or
// write what the first one does not know of.
//
// The kernel lets go of the lock when the process ends, however it ends. The
// file stays: to remove it could take the lock away from under somebody who is
// just taking it.
type lock struct{ file *os.File }

func acquire(path string) (*lock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, translateFile(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w, %s: stop it, or use another data directory", store.ErrInUse, holder(f))
	case err != nil:
		err = fmt.Errorf("lock %s: %w", name, err)
	default:
		err = sign(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{file: f}, nil
}

// sign writes for others who holds the lock.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return translateFile(err)
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return translateFile(err)
}

// holder says who holds the lock, as far as that was written.
func holder(f *os.File) string {
	const pidBytesMax = 32
	text, err := io.ReadAll(io.NewSectionReader(f, 0, pidBytesMax))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return fmt.Sprintf("which holds %s", f.Name())
	}
	return fmt.Sprintf("process %s, which holds %s", pid, f.Name())
}

func (l *lock) release() error { return l.file.Close() }

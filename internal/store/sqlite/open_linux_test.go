package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/semel-dev/semel/internal/store"
)

// asNobody runs f on a thread that may not write what belongs to others: root
// may write everything.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never let go: the thread ends with this goroutine
		if os.Geteuid() == 0 {
			const nobody = 65534
			if err := unix.Setfsuid(nobody); err != nil {
				t.Error(err)
			}
		}
		f()
	}()
	<-done
}

// readable returns a directory whose path others can walk.
func readable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Error(err)
		}
	})
}

func TestOpen_UnwritableDirectory(t *testing.T) {
	dir := readable(t)
	chmod(t, dir, 0o555)
	asNobody(t, func() { refused(t, filepath.Join(dir, "semel.db"), store.ErrReadOnly, "let this user write") })
}

func TestOpen_ReadOnlyFile(t *testing.T) {
	dir := readable(t)
	path := filepath.Join(dir, "semel.db")
	closed(t, path)
	chmod(t, path, 0o444)
	chmod(t, path+".lock", 0o666)
	chmod(t, dir, 0o777)
	defer untouched(t, path)()
	asNobody(t, func() { refused(t, path, store.ErrReadOnly, "let this user write") })
}

// The file and its lock may be written, but there is no place for the WAL.
func TestOpen_ReadOnlyDirectoryOfAFile(t *testing.T) {
	dir := readable(t)
	path := filepath.Join(dir, "semel.db")
	closed(t, path)
	chmod(t, path, 0o666)
	chmod(t, path+".lock", 0o666)
	chmod(t, dir, 0o555)
	defer untouched(t, path)()
	asNobody(t, func() { refused(t, path, store.ErrReadOnly, "let this user write") })
}

// A data directory that others can walk does not show them what is stored.
func TestOpen_OwnerOnly(t *testing.T) {
	mode := func(path string) {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("semel.db%s has mode %v", suffix, info.Mode())
			}
		}
	}
	t.Run("new", func(t *testing.T) {
		path := filepath.Join(readable(t), "semel.db")
		openHere(t, Config{Path: path})
		mode(path)
	})
	// Whoever opens it in between would go on reading it.
	t.Run("from the first moment", func(t *testing.T) {
		path := filepath.Join(readable(t), "semel.db")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err := Open(ctx, Config{Path: path}); err == nil {
			t.Fatal(s.Close())
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("before SQLite opened it: %v, %v", info, err)
		}
	})
	t.Run("left readable", func(t *testing.T) {
		path := filepath.Join(readable(t), "semel.db")
		closed(t, path)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		openHere(t, Config{Path: path})
		mode(path)
	})
	t.Run("another program's", func(t *testing.T) {
		path := filepath.Join(readable(t), "semel.db")
		tamper(t, path, `CREATE TABLE contacts (name TEXT)`)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, path, store.ErrCorrupt)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("a file that is not ours was changed: %v, %v", info, err)
		}
	})
}

// native is an error as the driver reports it.
type native int

func (n native) Error() string { return fmt.Sprintf("disk I/O error (%d)", int(n)) }
func (n native) Code() int     { return int(n) }

// A full disk shows as an input/output error while a store is opened, and must
// not be taken for a broken one, nor the other way round.
func TestTranslateOpen(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	for _, code := range []native{sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE} {
		wrapped := fmt.Errorf("take a step: %w", code)
		if got := translateOpen(wrapped, yes); !errors.Is(got, store.ErrFull) || !strings.Contains(got.Error(), "free some space") {
			t.Errorf("%v on a full disk: %v", code, got)
		}
		if got := translateOpen(wrapped, no); errors.Is(got, store.ErrFull) {
			t.Errorf("%v with space left: %v", code, got)
		}
	}
	if got := translateOpen(native(sqlite3.SQLITE_IOERR_READ), yes); errors.Is(got, store.ErrFull) {
		t.Errorf("what cannot be read has another cause: %v", got)
	}
	if got := translateOpen(os.ErrClosed, yes); !errors.Is(got, os.ErrClosed) || errors.Is(got, store.ErrFull) {
		t.Errorf("another error: %v", got)
	}
}

func TestOutOfSpace(t *testing.T) {
	if outOfSpace(filepath.Join(t.TempDir(), "none", "semel.db")) {
		t.Error("a directory that is not there was taken for a full disk")
	}
	for _, c := range []struct {
		blocks, available uint64
		want              bool
	}{{1000, 0, true}, {1000, 15, true}, {1000, 16, false}, {0, 0, false}} {
		if got := full(&unix.Statfs_t{Blocks: c.blocks, Bavail: c.available, Bsize: 4096}); got != c.want {
			t.Errorf("%d of %d blocks: full is %v", c.available, c.blocks, got)
		}
	}
}

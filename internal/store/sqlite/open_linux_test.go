package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

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

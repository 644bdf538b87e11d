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

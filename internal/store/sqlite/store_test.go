package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/sqlite"
	"github.com/semel-dev/semel/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, path(t)) })
}

// path returns where a store can be made, with everything in it that has a
// meaning in a DSN.
func path(t testing.TB) string { return filepath.Join(t.TempDir(), "a b?c=%41#ü&.db") }

// open opens a store that is closed when the test ends.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Sync: sqlite.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

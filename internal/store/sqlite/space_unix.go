//go:build unix

package sqlite

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// spaceMin is what SQLite takes to open a store: 32 KiB for the index of the
// WAL, and some pages.
const spaceMin = 64 << 10

// outOfSpace reports whether the file system of a store has no room to open it.
// Where that cannot be told it is false.
func outOfSpace(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(filepath.Dir(path), &fs) == nil && full(&fs)
}

// full: a file system that counts no blocks at all does not say.
func full(fs *unix.Statfs_t) bool {
	return fs.Blocks > 0 && int64(fs.Bavail)*int64(fs.Bsize) < spaceMin //nolint:unconvert // the types differ from one system to another
}

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/semel-dev/semel/internal/store"
)

// translate turns the driver's errors into the contract's, by code, and says
// what to do.
func translate(err error) error {
	var native *sqlite.Error
	if !errors.As(err, &native) {
		return err
	}
	switch native.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: nothing was written, free some space: %w", store.ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: let this user write the file and its directory: %w", store.ErrReadOnly, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return damaged(err)
	}
	return err
}

// translateOpen is translate for what happens while a store is opened. A full
// disk shows there as an input/output error of the files beside it, which a
// broken disk shows, too: noSpace tells them apart.
func translateOpen(err error, noSpace func() bool) error {
	var native interface{ Code() int }
	if !errors.As(err, &native) {
		return translate(err)
	}
	switch native.Code() {
	case sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN,
		sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_FSYNC:
		if noSpace() {
			return fmt.Errorf("%w: nothing was written, free some space: %w", store.ErrFull, err)
		}
	}
	return translate(err)
}

func damaged(err error) error {
	return fmt.Errorf("%w: restore the last backup in its place; keep this file, and any -wal beside it, for rescue: %w", store.ErrCorrupt, err)
}

// translateCommit is translate for a COMMIT that did not succeed. With a full
// disk the last page, the one that makes a transaction count, was not written.
// After any other error it may be found again by a recovery.
func translateCommit(err error) error {
	err = translate(err)
	if errors.Is(err, store.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, err)
}

// translateFile is translate for what the operating system says.
func translateFile(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: let this user write the file and its directory: %w", store.ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: free some space: %w", store.ErrFull, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make the directory first: %w", err)
	}
	return err
}

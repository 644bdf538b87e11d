// Package sqlite is the store of one machine: one file in WAL mode.
//
// One goroutine owns the one connection that writes. Whatever is to be written
// while it commits goes together into its next transaction (group commit), so
// that under load the price of an fsync is shared. Readers have connections of
// their own and neither wait nor let anybody wait.
//
// The file is not the place for these: attempts' logs, and a second process
// (see lock_unix.go).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/semel-dev/semel/internal/store"
)

var _ store.Store = (*Store)(nil)

// Sync says what a commit that was acknowledged survives. All levels survive
// the death of the process.
type Sync string

// The levels.
const (
	SyncFull   Sync = "full"   // survives power loss: an fsync for each transaction
	SyncNormal Sync = "normal" // power loss may take the last commits, and leaves the rest whole
	SyncOff    Sync = "off"    // power loss may damage the file: for scratch directories
)

// Config says where the store is and how safe it is.
type Config struct {
	Path string // the file; its directory exists. Beside it stand Path-wal, Path-shm and Path.lock
	Sync Sync   // default: full
}

func (c *Config) check() (err error) {
	if c.Path == "" {
		return errors.New("no path of a store was given")
	}
	if c.Path, err = filepath.Abs(c.Path); err != nil {
		return fmt.Errorf("path of the store: %w", err)
	}
	if c.Sync == "" {
		c.Sync = SyncFull
	}
	if c.Sync != SyncFull && c.Sync != SyncNormal && c.Sync != SyncOff {
		return fmt.Errorf("unknown sync level %q: use %s, %s or %s", c.Sync, SyncFull, SyncNormal, SyncOff)
	}
	return nil
}

// Store is an open file.
type Store struct {
	cfg     Config
	lock    *lock
	writer  *writer
	readers *readers
	changes store.Changes
}

// Open opens or makes the store at cfg.Path and holds it against other
// processes until Close. A file that cannot be used is left as it is.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	lock, err := acquire(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, err)
	}
	s := &Store{cfg: cfg, lock: lock}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	crashed, err := inspect(s.cfg.Path)
	if err != nil {
		return err
	}
	if err := create(s.cfg.Path); err != nil {
		return err
	}
	noSpace := func() bool { return outOfSpace(s.cfg.Path) }
	db, err := sql.Open("sqlite", s.cfg.dsn(writing))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if err := prepare(ctx, db, s.cfg.Path, crashed); err != nil {
		return errors.Join(translateOpen(err, noSpace), db.Close())
	}
	if s.writer, err = newWriter(ctx, db); err != nil {
		return errors.Join(translateOpen(err, noSpace), db.Close())
	}
	if s.readers, err = newReaders(s.cfg.dsn(reading)); err != nil {
		return err
	}
	return nil
}

// Close is store.Store.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close()) // first, so that nothing is written any more
	}
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	// Last: until now the file was ours.
	return errors.Join(append(errs, s.lock.release())...)
}

// Changed is store.Store.
func (s *Store) Changed() (<-chan struct{}, func()) { return s.changes.Watch() }

// Health is store.Store. Only a write shows whether the store can be written.
func (s *Store) Health(ctx context.Context) error {
	err := s.writer.write(ctx, func(tx *tx) error {
		_, err := tx.exec(`UPDATE health SET checked = checked + 1 WHERE id = 1`)
		return err
	})
	if err != nil {
		return fmt.Errorf("write to store %s: %w", s.cfg.Path, err)
	}
	return nil
}

// bytes returns the size of the store.
func (s *Store) bytes() (total int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(s.cfg.Path + suffix)
		switch {
		case err == nil:
			total += info.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		}
	}
	return total, nil
}

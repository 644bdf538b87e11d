package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"

	"github.com/semel-dev/semel/internal/fault"
	"github.com/semel-dev/semel/internal/store"
)

// migrations holds the schema as steps, NNNNN_name.sql.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	schemaNewest = 1 // number of the last migration

	// application marks a file as a store of Semel ("SEML").
	application = 0x53454d4c

	// checkBytesMax is how large a file may be that is checked whole after a
	// crash. A larger one is opened at once: WAL recovery needs no check, and
	// damage is found when it is met.
	checkBytesMax = 32 << 20 // about 0.2 s

	// walPagesMax is how many pages wait in the WAL before they are moved to the
	// file. Most pages of a busy store change again soon; a longer WAL moves
	// them once.
	walPagesMax = 4000 // 16 MB
)

// use is what a connection is for.
type use int

const (
	writing use = iota
	reading
)

// dsn says how a connection is opened.
func (c *Config) dsn(u use) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", // for whoever looks in with a tool
		"synchronous(" + string(c.Sync) + ")",
		"temp_store(memory)",
		"cache_size(-8000)", // 8 MB
	}}
	switch u {
	case writing:
		q.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", walPagesMax))
		q.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walPagesMax*4096*2))
	case reading:
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + (&url.URL{Path: c.Path}).EscapedPath() + "?" + q.Encode()
}

// inspect looks at the file without SQLite, which would write to it. crashed:
// it was not closed in order.
func inspect(path string) (crashed bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return false, errors.New("it is a directory: give the name of a file in it")
	}
	if err != nil {
		return false, translateFile(err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head, err := io.ReadAll(io.LimitReader(f, int64(len(magic))))
	if err != nil {
		return false, err
	}
	if len(head) > 0 && !bytes.Equal(head, []byte(magic)) {
		return false, fmt.Errorf("%w: it is not a database; it was left as it is: move it away, or restore a backup in its place", store.ErrCorrupt)
	}
	wal, err := os.Stat(path + "-wal")
	return err == nil && wal.Size() > 0, nil
}

// create makes an empty file that only its owner can read: what is in it is not
// for everybody who can walk to its directory. SQLite gives the files beside it
// the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, ownerOnly)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return translateFile(err)
	}
	return f.Close()
}

// ownerOnly is the mode of all files of a store.
const ownerOnly fs.FileMode = 0o600

// protect takes a store away from others that an older program, or a copy,
// left readable.
func protect(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err == nil && info.Mode().Perm()&^ownerOnly != 0 {
			err = os.Chmod(name, info.Mode().Perm()&ownerOnly)
		}
		// Whoever does not own the file cannot; its owner lets others in.
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("make %s readable by its owner only: %w", name, err)
		}
	}
	return nil
}

// prepare brings the file into the form that this program knows.
func prepare(ctx context.Context, db *sql.DB, path string, crashed bool) error {
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if version > schemaNewest {
		return fmt.Errorf("%w: its schema is %d, this program knows %d: start the newer program again, or restore a backup from before it",
			store.ErrTooNew, version, schemaNewest)
	}
	if err := protect(path); err != nil { // now that it is known to be ours
		return err
	}
	if crashed {
		if err := check(ctx, db); err != nil {
			return err
		}
	}
	// Stays in the file.
	if _, err := db.ExecContext(ctx, `PRAGMA journal_mode = wal`); err != nil {
		return err
	}
	if version == schemaNewest {
		return nil
	}
	fault.Point("sqlite.migrate.before")
	if err := migrate(ctx, db); err != nil {
		return err
	}
	fault.Point("sqlite.migrate.after")
	return nil
}

// schemaVersion returns 0 for a new file. A file with other tables is
// somebody else's.
func schemaVersion(ctx context.Context, db *sql.DB) (version int, err error) {
	var mark, tables int
	if err := db.QueryRowContext(ctx, `SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id`).Scan(&mark, &tables); err != nil {
		return 0, err
	}
	if tables == 0 {
		return 0, nil
	}
	if mark != application {
		return 0, fmt.Errorf("%w: it is a database of another program; it was left as it is: give another path", store.ErrCorrupt)
	}
	// The table of goose holds a line for each step taken.
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

// migrate takes the steps that are missing, each in a transaction. Nobody else
// does: the process holds the lock.
func migrate(ctx context.Context, db *sql.DB) error {
	// First, so that a crash in between leaves a file that is known again.
	if _, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, application)); err != nil {
		return err
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	return err
}

// check looks for damage.
func check(ctx context.Context, db *sql.DB) error {
	var size int64
	if err := db.QueryRowContext(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&size); err != nil {
		return err
	}
	if size > checkBytesMax {
		return nil
	}
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged(errors.New(found))
	}
	return nil
}

package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// refused fails if the path can be opened, or the error is another one, or
// does not say all of says.
func refused(t *testing.T, path string, want error, says ...string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	for _, text := range append(says, path) {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v: does not say %q", err, text)
		}
	}
}

// untouched returns a function that fails if the file has changed.
func untouched(t *testing.T, path string) func() {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the file was changed: %v", err)
		}
	}
}

func TestOpen_BadPath(t *testing.T) {
	dir := t.TempDir()
	refused(t, dir, nil, "it is a directory")
	refused(t, filepath.Join(dir, "none", "semel.db"), os.ErrNotExist, "make the directory first")
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("opened without a path")
	}
	if _, err := Open(t.Context(), Config{Path: filepath.Join(dir, "x.db"), Sync: "some"}); err == nil || !strings.Contains(err.Error(), `"some": use full, normal or off`) {
		t.Errorf("unknown level: %v", err)
	}
}

func TestOpen_NotAStore(t *testing.T) {
	for name, content := range map[string]string{
		"text":        "hello, this is not a database at all",
		"short":       "x",
		"almost":      "SQLite format 4\x00" + strings.Repeat("x", 5000),
		"only a head": "SQLite format 3\x00" + strings.Repeat("\xff", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "semel.db")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			defer untouched(t, path)()
			refused(t, path, store.ErrCorrupt, "restore")
		})
	}
	t.Run("empty", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "semel.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		openHere(t, Config{Path: path}) // a crash before the first byte leaves this
	})
}

func TestOpen_SomebodyElsesDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	tamper(t, path, `CREATE TABLE contacts (name TEXT)`)
	defer untouched(t, path)()
	refused(t, path, store.ErrCorrupt, "another program", "give another path")
}

func TestOpen_TooNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	closed(t, path)
	tamper(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	defer untouched(t, path)()
	refused(t, path, store.ErrTooNew, "999", "start the newer program again")
}

// The constant is what Open compares with.
func TestSchemaNewest(t *testing.T) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	if last := files[len(files)-1].Name(); !strings.HasPrefix(last, fmt.Sprintf("%05d_", schemaNewest)) {
		t.Errorf("the last migration is %s, and schemaNewest is %d", last, schemaNewest)
	}
}

func TestOpen_InUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, path, store.ErrInUse, fmt.Sprintf("process %d", os.Getpid()), path+".lock")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openHere(t, Config{Path: path})
}

// What was committed is there after Close and Open, and so is the position.
func TestOpen_Again(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	for i := range uint64(3) {
		s, err := Open(t.Context(), Config{Path: path, Sync: SyncNormal})
		if err != nil {
			t.Fatal(err)
		}
		position, err := s.Claim(t.Context(), 1, "a", now)
		if err != nil || position.Seq != i {
			t.Errorf("time %d: %+v, %v", i, position, err)
		}
		run := flow.Run{ID: flow.RunID(fmt.Sprint("r", i)), Partition: 1, State: flow.RunRunning}
		b := partition.Batch{Partition: 1, Epoch: position.Epoch, Seq: position.Seq + 1, At: now, Runs: []flow.Run{run}}
		if err := s.Commit(t.Context(), &b); err != nil {
			t.Error(err)
		}
		if stats, err := s.Stats(t.Context()); err != nil || stats.Runs[flow.RunRunning] != int(i)+1 || stats.Bytes == 0 {
			t.Errorf("time %d: %+v, %v", i, stats, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a store that is closed left its WAL: %v", err)
		}
	}
}

// A process that was killed leaves the file and a WAL: all that was committed
// is there.
func TestOpen_AfterACrash(t *testing.T) {
	s := openHere(t, Config{})
	if _, err := s.Claim(t.Context(), 1, "a", now); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(t.TempDir(), "semel.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(s.cfg.Path + suffix)
		if err != nil || len(content) == 0 {
			t.Fatalf("%d bytes in %q, %v", len(content), suffix, err)
		}
		if err := os.WriteFile(left+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if crashed, err := inspect(left); err != nil || !crashed {
		t.Errorf("a crash was not noticed: %v, %v", crashed, err)
	}
	if position, err := openHere(t, Config{Path: left}).Position(t.Context(), 1); err != nil || position.Epoch != 1 {
		t.Errorf("position after the crash: %+v, %v", position, err)
	}
}

// A page that is damaged is noticed when it is met, and what was not damaged
// can still be read.
func TestCorrupt_WhenMet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	closed(t, path)
	damage(t, path)
	s := openHere(t, Config{Path: path})
	_, err := s.Attempts(t.Context(), "r", "")
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "restore the last backup") {
		t.Errorf("attempts: %v, want corrupt", err)
	}
	b := partition.Batch{Partition: 1, Epoch: 1, Seq: 2, At: now, Attempts: attempts("r", 1000)}
	if err := s.Commit(t.Context(), &b); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("commit: %v, want corrupt", err)
	}
	if position, err := s.Position(t.Context(), 1); err != nil || position.Seq != 1 {
		t.Errorf("position: %+v, %v", position, err)
	}
}

// After a crash the file is looked at before it is used.
func TestCorrupt_FoundAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	closed(t, path)
	damage(t, path)
	// What a crash leaves: a WAL with something in it.
	if err := os.WriteFile(path+"-wal", make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, path, store.ErrCorrupt, "restore the last backup")
}

// The disk is full in the middle of a commit: nothing of it is written, the
// store goes on, and takes the same commit once there is room.
func TestFull(t *testing.T) {
	s := openHere(t, Config{})
	ctx := t.Context()
	if _, err := s.Claim(ctx, 1, "a", now); err != nil {
		t.Fatal(err)
	}
	limit := func(pragma string) {
		if err := s.writer.write(ctx, func(tx *tx) error { return tx.row(pragma).Scan(new(int)) }); err != nil {
			t.Fatal(err)
		}
	}
	limit(`PRAGMA max_page_count = 64`)
	b := partition.Batch{
		Partition: 1, Epoch: 1, Seq: 1, At: now,
		Runs: []flow.Run{{ID: "r", Partition: 1, State: flow.RunRunning}}, Attempts: attempts("r", 5000),
	}
	small := partition.Batch{Partition: 1, Epoch: 1, Seq: 1, At: now, Runs: []flow.Run{{ID: "s", Partition: 1, State: flow.RunRunning}}}
	for range 2 {
		err := s.Commit(ctx, &b)
		if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), "free some space") {
			t.Fatalf("commit: %v, want full", err)
		}
		if position, err := s.Position(ctx, 1); err != nil || position.Seq != 0 {
			t.Errorf("position: %+v, %v", position, err)
		}
		if _, err := s.Run(ctx, "r"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the commit left a run behind: %v", err)
		}
	}
	if err := s.Commit(ctx, &small); err != nil {
		t.Errorf("what fits is taken: %v", err)
	}
	limit(`PRAGMA max_page_count = 100000`)
	b.Seq = 2
	if err := s.Commit(ctx, &b); err != nil {
		t.Errorf("commit once there is room: %v", err)
	}
	if rows, err := s.Attempts(ctx, "r", ""); err != nil || len(rows) != 5000 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// With a full disk the outcome of a COMMIT is known: the page that makes the
// transaction count was not written.
func TestTranslateCommit(t *testing.T) {
	s := openHere(t, Config{})
	err := s.writer.write(t.Context(), func(tx *tx) error {
		if err := tx.row(`PRAGMA max_page_count = 1`).Scan(new(int)); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO health (id, checked) SELECT 1, zeroblob(1000000) ON CONFLICT DO UPDATE SET checked = excluded.checked`)
		if got := translateCommit(err); !errors.Is(got, store.ErrFull) || errors.Is(got, store.ErrUnknown) {
			t.Errorf("full: %v", got)
		}
		return err
	})
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("full: %v", err)
	}
	if got := translateCommit(errors.New("the disk was pulled out")); !errors.Is(got, store.ErrUnknown) {
		t.Errorf("any other error: %v", got)
	}
}

// What SQLite calls full is an fsync for each transaction.
func TestSync(t *testing.T) {
	for level, want := range map[Sync]int{"": 2, SyncFull: 2, SyncNormal: 1, SyncOff: 0} {
		s := openHere(t, Config{Sync: level})
		var got int
		var mode string
		err := s.writer.write(t.Context(), func(tx *tx) error {
			return errors.Join(tx.row(`PRAGMA synchronous`).Scan(&got), tx.row(`PRAGMA journal_mode`).Scan(&mode))
		})
		if err != nil || got != want || mode != "wal" {
			t.Errorf("level %q: synchronous %d, journal mode %s, %v, want %d", level, got, mode, err, want)
		}
	}
}

// tamper changes a file behind the store's back, and leaves no WAL.
func tamper(t *testing.T, path, query string) {
	t.Helper()
	db := raw(t, path)
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func attempts(run flow.RunID, n int) (rows []flow.Attempt) {
	for i := range n {
		rows = append(rows, flow.Attempt{
			Run: run, Task: fmt.Sprintf("task-%06d", i), Number: 1, Generation: 1, Epoch: 1, Node: "10.0.0.1:7700@1780000000",
			State: flow.AttemptDispatched, DispatchedAt: now,
		})
	}
	return rows
}

// closed makes a store with 1,000 attempts of a run r.
func closed(t *testing.T, path string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), 1, "a", now); err != nil {
		t.Fatal(err)
	}
	b := partition.Batch{
		Partition: 1, Epoch: 1, Seq: 1, At: now,
		Runs: []flow.Run{{ID: "r", Partition: 1, State: flow.RunRunning}}, Attempts: attempts("r", 1000),
	}
	if err := errors.Join(s.Commit(t.Context(), &b), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites the pages that hold attempts.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	pages := 0
	for at := page; at < len(content); at += page {
		if bytes.Contains(content[at:at+page], []byte("task-000")) {
			copy(content[at:at+page], bytes.Repeat([]byte{0xff}, page))
			pages++
		}
	}
	if pages < 10 {
		t.Fatalf("%d pages were found, there should be more", pages)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is asked for one task must not grow with the run.
func TestAttemptsOfATaskAreFoundByKey(t *testing.T) {
	s := openHere(t, Config{})
	var plan string
	err := s.readers.list(t.Context(), func(row scanner) error {
		return row.Scan(new(int), new(int), new(int), &plan)
	}, `EXPLAIN QUERY PLAN `+attemptsOfTask, 1, "task")
	if err != nil || !strings.Contains(plan, "PRIMARY KEY (run=? AND task=?)") {
		t.Errorf("the plan is %q, %v", plan, err)
	}
}

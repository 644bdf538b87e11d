package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

func openHere(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "semel.db")
	}
	s, err := Open(t.Context(), cfg)
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

// hold keeps the writer busy until the function that is returned is called.
func hold(s *Store) (letGo func()) {
	begun, gate := make(chan struct{}), make(chan struct{})
	go s.writer.write(context.Background(), func(*tx) error { //nolint:errcheck // it only takes time
		close(begun)
		<-gate
		return nil
	})
	<-begun
	return sync.OnceFunc(func() { close(gate) })
}

// queued waits until n writes wait for the writer.
func queued(s *Store, n int) {
	for {
		s.writer.mu.Lock()
		have := len(s.writer.queue)
		s.writer.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

// closing waits until Close lets nothing more in.
func closing(s *Store) {
	for closed := false; !closed; {
		s.writer.mu.Lock()
		closed = s.writer.closed
		s.writer.mu.Unlock()
		runtime.Gosched()
	}
}

func putNode(tx *tx, id string) error {
	_, err := tx.exec(`INSERT INTO nodes (id, role, address, state, reason, slots, machine_id, boot_id, containment, lease_ttl)
		VALUES (?, '', '', '', '', 0, '', '', '', 0)`, id)
	return err
}

func nodes(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	list, err := s.NodeList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		ids = append(ids, string(n.ID))
	}
	return ids
}

// What waits while the writer is busy goes into one transaction, and one that
// fails takes nothing with it.
func TestWriter_GroupCommit(t *testing.T) {
	s := openHere(t, Config{})
	letGo := hold(s)
	defer letGo()
	before := s.writer.committed.Load()
	const writes = 20
	errs := make([]error, writes)
	var group sync.WaitGroup
	for i := range writes {
		group.Go(func() {
			errs[i] = s.writer.write(t.Context(), func(tx *tx) error {
				if err := putNode(tx, fmt.Sprint(i)); err != nil || i%4 != 3 {
					return err
				}
				return fmt.Errorf("bad number %d", i)
			})
		})
	}
	queued(s, writes)
	letGo()
	group.Wait()
	for i, err := range errs {
		if want := fmt.Sprintf("bad number %d", i); (i%4 == 3) != (err != nil) || (err != nil && err.Error() != want) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got := len(nodes(t, s)); got != writes*3/4 {
		t.Errorf("%d rows, want %d", got, writes*3/4)
	}
	// One for the write that held it, one for all that waited.
	if got := s.writer.committed.Load() - before; got != 2 {
		t.Errorf("%d transactions, want 2", got)
	}
}

// Some errors make SQLite throw away the transaction: the others of the group
// are run again, and only the one that failed is told.
func TestWriter_TransactionLost(t *testing.T) {
	s := openHere(t, Config{})
	letGo := hold(s)
	defer letGo()
	errs := make([]error, 5)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			errs[i] = s.writer.write(t.Context(), func(tx *tx) error {
				err := putNode(tx, fmt.Sprint(i))
				if i == 2 {
					_, err = tx.exec(`ROLLBACK`)
					err = errors.Join(err, errors.New("lost"))
				}
				return err
			})
		})
	}
	queued(s, len(errs))
	letGo()
	group.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 2) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got := len(nodes(t, s)); got != 4 {
		t.Errorf("%d rows, want 4", got)
	}
}

// A run that was rolled back is not there for who comes later, even if the
// rest of its group was committed.
func TestWriter_ForgetsRunsOfAFailedWrite(t *testing.T) {
	s := openHere(t, Config{})
	letGo := hold(s)
	defer letGo()
	var group sync.WaitGroup
	group.Go(func() {
		err := s.writer.write(t.Context(), func(tx *tx) error {
			return errors.Join(tx.putRun(&flow.Run{ID: "gone"}), errors.New("bad"))
		})
		if err == nil {
			t.Error("a write that failed was told as done")
		}
	})
	queued(s, 1)
	group.Go(func() {
		if err := s.writer.write(t.Context(), func(tx *tx) error { return tx.putRun(&flow.Run{ID: "stays"}) }); err != nil {
			t.Error(err)
		}
	})
	queued(s, 2)
	letGo()
	group.Wait()
	for id, want := range map[flow.RunID]error{"gone": store.ErrNotFound, "stays": nil} {
		err := s.writer.write(t.Context(), func(tx *tx) error { return tx.putTaskRun(&flow.TaskRun{Run: id, Task: "t"}) })
		if !errors.Is(err, want) {
			t.Errorf("task run of %s: %v, want %v", id, err, want)
		}
	}
}

// A COMMIT that fails leaves the outcome open for all of the group, and the
// writer ready for the next.
func TestWriter_CommitFails(t *testing.T) {
	s := openHere(t, Config{})
	// A check that comes with the COMMIT.
	if _, err := s.writer.conn.ExecContext(t.Context(), `PRAGMA foreign_keys = on`); err != nil {
		t.Fatal(err)
	}
	letGo := hold(s)
	defer letGo()
	errs := make([]error, 4)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			errs[i] = s.writer.write(t.Context(), func(tx *tx) error {
				if i > 0 {
					return putNode(tx, fmt.Sprint(i))
				}
				if _, err := tx.exec(`PRAGMA defer_foreign_keys = on`); err != nil {
					return err
				}
				tx.w.keys["nobody's"] = 99
				return tx.putTaskRun(&flow.TaskRun{Run: "nobody's", Task: "t"})
			})
		})
	}
	queued(s, len(errs))
	letGo()
	group.Wait()
	for i, err := range errs {
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("write %d: %v, want unknown", i, err)
		}
	}
	if got := nodes(t, s); len(got) != 0 {
		t.Errorf("a COMMIT that failed left %v", got)
	}
	if err := s.writer.write(t.Context(), func(tx *tx) error { return putNode(tx, "next") }); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

// A write that waits and is given up never happens; one that was begun is told
// truthfully.
func TestWriter_Cancel(t *testing.T) {
	s := openHere(t, Config{})
	letGo := hold(s)
	defer letGo()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- s.writer.write(ctx, func(tx *tx) error { return putNode(tx, "waits") }) }()
	queued(s, 1)
	why := errors.New("why")
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("a write that waits was cancelled: %v", err)
	}
	letGo()

	ctx, cancel = context.WithCancelCause(t.Context())
	err := s.writer.write(ctx, func(tx *tx) error {
		cancel(why)
		return putNode(tx, "begun")
	})
	if err != nil {
		t.Errorf("a write that was begun: %v", err)
	}
	if got := nodes(t, s); len(got) != 1 || got[0] != "begun" {
		t.Errorf("stored: %v, want what was begun only", got)
	}
}

func TestWriter_CloseWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	letGo := hold(s)
	defer letGo()
	written, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		written <- s.writer.write(context.Background(), func(tx *tx) error { return putNode(tx, "last") })
	}()
	queued(s, 1)
	go func() { closed <- s.Close() }()
	closing(s)
	if err := s.writer.write(t.Context(), func(*tx) error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("a write after Close: %v", err)
	}
	letGo()
	if err := errors.Join(<-written, <-closed); err != nil {
		t.Error(err)
	}
	if got := nodes(t, openHere(t, Config{Path: path})); len(got) != 1 {
		t.Errorf("after Close there is %v, want the last write", got)
	}
}

// With all connections but one in use, every reading method still ends: it
// needs no second one.
func TestReaders_OneConnectionIsEnough(t *testing.T) {
	s := openHere(t, Config{})
	ctx := t.Context()
	for range cap(s.readers.idle) - 1 {
		c := <-s.readers.idle
		defer func() { s.readers.idle <- c }()
	}
	for name, read := range map[string]func() error{
		"workflow": func() error { _, err := s.Workflow(ctx, "w", 0); return err },
		"versions": func() error { _, err := s.WorkflowVersions(ctx, "w"); return err },
		"command":  func() error { _, err := s.Command(ctx, "c"); return err },
		"position": func() error { _, err := s.Position(ctx, 1); return err },
		"load run": func() error { _, err := s.LoadRun(ctx, "r"); return err },
		"run":      func() error { _, err := s.Run(ctx, "r"); return err },
		"rows":     func() error { _, err := s.TaskRows(ctx, "r"); return err },
		"attempts": func() error { _, err := s.Attempts(ctx, "r", ""); return err },
	} {
		if err := read(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
	for name, read := range map[string]func() error{
		"list":    func() error { _, err := s.WorkflowList(ctx); return err },
		"pending": func() error { _, err := s.Pending(ctx, 1, 0, 1); return err },
		"load":    func() error { _, err := s.Load(ctx, 1); return err },
		"nodes":   func() error { _, err := s.NodeList(ctx); return err },
		"runs":    func() error { _, err := s.Runs(ctx, store.RunFilter{States: []flow.RunState{"x"}}); return err },
		"claims":  func() error { _, err := s.Claims(ctx); return err },
		"events":  func() error { _, err := s.Events(ctx, "r", 1); return err },
		"stats":   func() error { _, err := s.Stats(ctx); return err },
	} {
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Readers do not wait for a transaction that is open, and see nothing of it.
func TestReaders_DoNotWaitForTheWriter(t *testing.T) {
	s := openHere(t, Config{})
	err := s.writer.write(t.Context(), func(tx *tx) error {
		if err := putNode(tx, "new"); err != nil {
			return err
		}
		if got := nodes(t, s); len(got) != 0 {
			t.Errorf("a reader saw %v before its commit", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := nodes(t, s); len(got) != 1 {
		t.Errorf("a reader saw %v after the commit", got)
	}
}

// A read that is broken off costs a connection, not the store.
func TestReaders_Cancel(t *testing.T) {
	s := openHere(t, Config{})
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.readers.list(ctx, func(scanner) error { cancel(); return nil },
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a read without end: %v", err)
		}
	}
	if _, err := s.Stats(t.Context()); err != nil {
		t.Errorf("a read after that: %v", err)
	}
}

// After Close nothing of the store runs: the bubble would not end.
func TestClose_LeavesNoGoroutine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "semel.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		_, cancel := s.Changed()
		defer cancel()
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				if err := s.writer.write(t.Context(), func(tx *tx) error { return putNode(tx, fmt.Sprint(i)) }); err != nil {
					t.Error(err)
				}
				nodes(t, s)
			})
		}
		group.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

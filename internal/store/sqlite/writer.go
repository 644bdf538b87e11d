package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/semel-dev/semel/internal/fault"
	"github.com/semel-dev/semel/internal/flow"
)

// groupMax is how many writes share one transaction at most: an answer waits
// for all of them.
const groupMax = 1000

var errClosed = errors.New("the store is closed")

// writer runs writes one after the other on the one connection that writes,
// and commits together what has come together.
type writer struct {
	ctx        context.Context // never ends: a write that was begun is not broken off
	db         *sql.DB
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	keys       map[flow.RunID]int64 // of runs, see tx.key
	ready      chan struct{}        // of capacity one: there is something to do
	ended      chan struct{}
	committed  atomic.Int64 // transactions

	mu     sync.Mutex
	queue  []*job
	closed bool
}

// job is one write method's transaction.
type job struct {
	write func(*tx) error // may run more than once; the last time counts
	done  chan error      // of capacity one
	// Whoever sets it decides: the writer that the job runs, or its caller that
	// it never will.
	taken atomic.Bool
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		ctx:        context.WithoutCancel(ctx),
		db:         db,
		conn:       conn,
		statements: map[string]*sql.Stmt{},
		keys:       map[flow.RunID]int64{},
		ready:      make(chan struct{}, 1),
		ended:      make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// write brings f into a transaction and returns once that is committed, or f
// failed. If ctx ends before f was begun, f never runs; later, the outcome is
// waited for: it would be unknown otherwise.
func (w *writer) write(ctx context.Context, f func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	j := &job{write: f, done: make(chan error, 1)}
	if err := w.put(j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return context.Cause(ctx)
		}
		return <-j.done
	}
}

func (w *writer) put(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.queue = append(w.queue, j)
	w.wake()
	return nil
}

func (w *writer) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns what has come, groupMax at most, and whether nothing more will.
func (w *writer) take() (group []*job, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), groupMax)
	for _, j := range w.queue[:n] {
		if j.taken.CompareAndSwap(false, true) {
			group = append(group, j)
		}
	}
	w.queue = append([]*job(nil), w.queue[n:]...)
	if len(w.queue) > 0 {
		w.wake()
	}
	return group, w.closed && len(w.queue) == 0
}

func (w *writer) run() {
	defer close(w.ended)
	for range w.ready {
		group, last := w.take()
		for len(group) > 0 {
			group = w.commit(group)
		}
		if last {
			return
		}
	}
}

// close waits for what has come, and lets nothing more in.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.wake()
	w.mu.Unlock()
	<-w.ended
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	w.statements = nil
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// commit runs a group of jobs in one transaction and answers them. Each has a
// savepoint: one that fails takes nothing with it. Some errors make SQLite
// throw the whole transaction away; the other jobs are returned then, and are
// to be run again.
func (w *writer) commit(group []*job) (again []*job) {
	fault.Point("sqlite.begin.before")
	tx := &tx{w: w}
	if _, err := tx.exec(`BEGIN IMMEDIATE`); err != nil {
		answer(group, translate(err))
		return nil
	}
	fault.Point("sqlite.begin.after")
	var written []*job
	for i, j := range group {
		fault.Point("sqlite.rows.before")
		err := tx.step(j.write)
		fault.Point("sqlite.rows.after")
		if err == nil {
			written = append(written, j)
			continue
		}
		j.done <- translate(err)
		if tx.dead {
			w.rollback(tx)
			return append(written, group[i+1:]...)
		}
	}
	if len(written) == 0 {
		w.rollback(tx)
		return nil
	}
	fault.Point("sqlite.commit.before")
	if _, err := tx.exec(`COMMIT`); err != nil {
		w.rollback(tx)
		answer(written, translateCommit(err))
		return nil
	}
	fault.Point("sqlite.commit.after")
	w.committed.Add(1)
	answer(written, nil)
	return nil
}

func answer(group []*job, err error) {
	for _, j := range group {
		j.done <- err
	}
}

// rollback ends a transaction that may have ended by itself: only then does
// ROLLBACK fail, which is as good.
func (w *writer) rollback(tx *tx) {
	clear(w.keys)
	_, _ = tx.exec(`ROLLBACK`)
}

// tx is the transaction that is open on the writer's connection.
type tx struct {
	w    *writer
	dead bool // SQLite threw it away
}

// step runs f so that all of it is done, or nothing.
func (t *tx) step(f func(*tx) error) error {
	if _, err := t.exec(`SAVEPOINT step`); err != nil {
		t.dead = true
		return err
	}
	err := f(t)
	if err == nil {
		if _, err = t.exec(`RELEASE step`); err == nil {
			return nil
		}
	}
	clear(t.w.keys)
	if _, gone := t.exec(`ROLLBACK TO step`); gone != nil {
		t.dead = true
		return err
	}
	if _, gone := t.exec(`RELEASE step`); gone != nil {
		t.dead = true
	}
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	s, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(t.w.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row runs a query for one row. Its error comes with Scan.
func (t *tx) row(query string, args ...any) scanner {
	s, err := t.prepare(query)
	if err != nil {
		return failed{err}
	}
	return s.QueryRowContext(t.w.ctx, args...)
}

// prepare returns the statement for a query, which is compiled once: the
// queries are constants.
func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if s := t.w.statements[query]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(t.w.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.statements[query] = s
	return s, nil
}

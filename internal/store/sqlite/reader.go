package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// readers is the pool of connections that only read. Each method reads as of
// one moment: one statement, or several in one transaction.
type readers struct {
	db *sql.DB

	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

func newReaders(dsn string) (*readers, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	n := max(2, runtime.GOMAXPROCS(0)) // a long listing leaves room for a short look
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return &readers{db: db, statements: map[string]*sql.Stmt{}}, nil
}

func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, r.db.Close())...)
}

// prepare returns the statement for a query, which is compiled once for each
// connection.
func (r *readers) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	s := r.statements[query]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, translate(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.statements[query]; first != nil {
		return first, s.Close()
	}
	r.statements[query] = s
	return s, nil
}

// row runs a query for one row. Its error comes with Scan.
func (r *readers) row(ctx context.Context, query string, args ...any) scanner {
	s, err := r.prepare(ctx, query)
	if err != nil {
		return failed{err}
	}
	return s.QueryRowContext(ctx, args...)
}

// list runs a query and calls scan for each row.
func (r *readers) list(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	s, err := r.prepare(ctx, query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return translate(err)
	}
	return scanAll(rows, scan)
}

// view runs f on the store as of one moment.
func (r *readers) view(ctx context.Context, f func(*view) error) error {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return translate(err)
	}
	err = f(&view{ctx: ctx, readers: r, tx: tx})
	// There is nothing to keep, and nothing to lose if the end fails.
	_ = tx.Rollback()
	return err
}

// view is the store as of one moment.
type view struct {
	ctx     context.Context
	readers *readers
	tx      *sql.Tx
}

func (v *view) row(query string, args ...any) scanner {
	s, err := v.readers.prepare(v.ctx, query)
	if err != nil {
		return failed{err}
	}
	return v.tx.StmtContext(v.ctx, s).QueryRowContext(v.ctx, args...)
}

func (v *view) list(scan func(scanner) error, query string, args ...any) error {
	s, err := v.readers.prepare(v.ctx, query)
	if err != nil {
		return err
	}
	rows, err := v.tx.StmtContext(v.ctx, s).QueryContext(v.ctx, args...)
	if err != nil {
		return translate(err)
	}
	return scanAll(rows, scan)
}

// scanAll closes rows.
func scanAll(rows *sql.Rows, scan func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return translate(rows.Err())
}

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// failed is a row that could not be asked for.
type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// noRows reports that a query found nothing.
func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// read wraps what went wrong with what was asked for.
func read(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, translate(err))...)
}

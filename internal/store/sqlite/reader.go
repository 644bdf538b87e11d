package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"github.com/semel-dev/semel/internal/store"
)

// readers are the connections that only read. A method takes one and has all
// it needs on it: one that held a connection and waited for a second could
// wait for ever.
type readers struct {
	db   *sql.DB
	idle chan *reader // as many as there may be; nil: to be opened
}

// reader is one connection with its compiled statements.
type reader struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

func newReaders(dsn string) (*readers, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	n := max(2, runtime.GOMAXPROCS(0)) // a long listing leaves room for a short look
	db.SetMaxOpenConns(n)
	r := &readers{db: db, idle: make(chan *reader, n)}
	for range n {
		r.idle <- nil
	}
	return r, nil
}

// close waits for reads in flight.
func (r *readers) close() error {
	var errs []error
	for range cap(r.idle) {
		if c := <-r.idle; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(append(errs, r.db.Close())...)
}

func (r *reader) close() error {
	var errs []error
	for _, s := range r.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, r.conn.Close())...)
}

// view runs f on the store as of one moment.
func (r *readers) view(ctx context.Context, f func(*view) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var c *reader
	select {
	case c = <-r.idle:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { r.idle <- c }()
	if c == nil {
		conn, err := r.db.Conn(ctx)
		if err != nil {
			return translate(err)
		}
		c = &reader{conn: conn, statements: map[string]*sql.Stmt{}}
	}
	v := &view{ctx: ctx, reader: c}
	if err = v.exec(ctx, `BEGIN`); err == nil {
		err = f(v)
		// There is nothing to keep.
		err = errors.Join(err, v.exec(context.WithoutCancel(ctx), `ROLLBACK`))
	}
	if err != nil && !noRows(err) && !errors.Is(err, store.ErrNotFound) {
		// A connection that was broken off is not used again. What it was asked
		// has its error already.
		_ = c.close()
		c = nil
	}
	return err
}

// view is the store as of one moment.
type view struct {
	ctx    context.Context
	reader *reader
}

func (v *view) exec(ctx context.Context, query string) error {
	s, err := v.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx)
	return err
}

// row runs a query for one row. Its error comes with Scan.
func (v *view) row(query string, args ...any) scanner {
	s, err := v.prepare(query)
	if err != nil {
		return failed{err}
	}
	return s.QueryRowContext(v.ctx, args...)
}

// list runs a query and calls scan for each row.
func (v *view) list(scan func(scanner) error, query string, args ...any) error {
	s, err := v.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(v.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// prepare returns the statement for a query, which is compiled once: there are
// few different ones.
func (v *view) prepare(query string) (*sql.Stmt, error) {
	if s := v.reader.statements[query]; s != nil {
		return s, nil
	}
	s, err := v.reader.conn.PrepareContext(v.ctx, query)
	if err != nil {
		return nil, err
	}
	v.reader.statements[query] = s
	return s, nil
}

// list reads the rows of one query.
func (r *readers) list(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	return r.view(ctx, func(v *view) error { return v.list(scan, query, args...) })
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

package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Submit is store.Commands.
func (s *Store) Submit(ctx context.Context, c partition.Command, run *flow.Run) (stored partition.Command, repeated bool, err error) {
	err = store.CheckSubmit(&c, run)
	if err == nil {
		err = s.writer.write(ctx, func(tx *tx) (err error) {
			stored, repeated, err = tx.submit(&c, run)
			return err
		})
	}
	if err != nil {
		return partition.Command{}, false, fmt.Errorf("submit %s of run %s: %w", c.Kind, c.Run, err)
	}
	s.changes.Tell()
	return stored, repeated, nil
}

func (t *tx) submit(c *partition.Command, run *flow.Run) (stored partition.Command, repeated bool, err error) {
	stored, err = scanCommand(t.row(`
		SELECT sequence, id, key, kind, partition, run, args, digest, created_at, done_at, refused
		FROM commands WHERE key = ?`, c.Key))
	if err == nil {
		return stored, true, store.CheckKey(&stored, c)
	}
	if !noRows(err) {
		return stored, false, err
	}
	if err := t.submitRun(c, run); err != nil {
		return stored, false, err
	}
	stored = store.CopyCommand(c)
	err = t.row(`
		INSERT INTO commands (id, key, kind, partition, run, args, digest, created_at, done_at, refused)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence`,
		c.ID, c.Key, string(c.Kind), c.Partition, string(c.Run), text(string(c.Args)), c.Digest,
		micros(c.CreatedAt), micros(c.DoneAt), text(c.Refused)).Scan(&stored.Sequence)
	return stored, false, err
}

// submitRun stores the run of a start; for other commands it has to be there.
func (t *tx) submitRun(c *partition.Command, run *flow.Run) error {
	_, err := t.key(c.Run)
	switch {
	case run == nil:
		return err
	case err == nil:
		return store.KnownRun(run.ID)
	}
	return t.putRun(run)
}

// scanCommand reads sequence, id, key, kind, partition, run, args, digest,
// created_at, done_at, refused.
func scanCommand(row scanner) (c partition.Command, err error) {
	var args string
	err = row.Scan(&c.Sequence, &c.ID, &c.Key, &c.Kind, &c.Partition, &c.Run, wordTo(&args), &c.Digest,
		stamp{&c.CreatedAt}, stamp{&c.DoneAt}, wordTo(&c.Refused))
	if args != "" {
		c.Args = json.RawMessage(args)
	}
	return c, err
}

// Command is store.Commands.
func (s *Store) Command(ctx context.Context, id string) (partition.Command, error) {
	var c partition.Command
	err := s.readers.view(ctx, func(v *view) (err error) {
		c, err = scanCommand(v.row(`
			SELECT sequence, id, key, kind, partition, run, args, digest, created_at, done_at, refused
			FROM commands WHERE id = ?`, id))
		return err
	})
	if noRows(err) {
		err = store.ErrNotFound
	}
	return c, read(err, "command %s", id)
}

// Pending is store.Commands.
func (s *Store) Pending(ctx context.Context, id int, after uint64, limit int) (list []partition.Command, err error) {
	err = s.readers.list(ctx, func(row scanner) error {
		c, err := scanCommand(row)
		list = append(list, c)
		return err
	}, `
		SELECT sequence, id, key, kind, partition, run, args, digest, created_at, done_at, refused
		FROM commands
		WHERE partition = ? AND sequence > ? AND done_at IS NULL
		ORDER BY sequence LIMIT ?`, id, int64(after), max(0, limit))
	return list, read(err, "pending commands of partition %d", id)
}

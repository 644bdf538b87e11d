package master

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/fault"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

const (
	retryFirst = 50 * time.Millisecond // of a commit that the store could not take
	retryMax   = 5 * time.Second
	retriesMax = 20               // of an error that nobody foresaw: then the partition is given up, and loaded again as it is stored
	lastWrite  = 10 * time.Second // for the batch that is in flight when the master stops
)

// decided is what one Apply put out.
type decided struct {
	batch   *partition.Batch
	effects []partition.Send
	flushed chan<- struct{} // closed once everything before it is committed
}

// committer makes batches durable, in order, and releases what follows from
// each only after it is in.
type committer struct {
	master *Master
	queue  chan decided
}

// newCommitter returns a committer that has one batch in flight and at most
// one waiting: more would only grow what a crash throws away.
func newCommitter(m *Master) *committer {
	return &committer{master: m, queue: make(chan decided, 1)}
}

func (c *committer) put(ctx context.Context, d decided) error {
	if d.batch == nil && len(d.effects) == 0 && d.flushed == nil {
		return nil
	}
	select {
	case c.queue <- d:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flush waits until everything put before it is committed.
func (c *committer) flush(ctx context.Context) error {
	done := make(chan struct{})
	if err := c.put(ctx, decided{flushed: done}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *committer) close() { close(c.queue) }

// run commits until the queue is closed. What was decided before the end is
// still committed, with a time of its own: it is true already, and the next
// owner need not find it out again.
func (c *committer) run(ctx context.Context) error {
	for d := range c.queue {
		if d.batch != nil {
			if err := c.commit(ctx, d.batch); err != nil {
				return err
			}
		}
		fault.Point("master.effects.before")
		for _, s := range d.effects {
			c.master.send(s)
		}
		if d.flushed != nil {
			close(d.flushed)
		}
	}
	return nil
}

// commit brings a batch into the store. What it means that a commit did not
// succeed is never guessed: Commit is conditional on the batch's number and
// answers nil if it is in already, so asking again is always right.
func (c *committer) commit(ctx context.Context, b *partition.Batch) error {
	wait := retryFirst
	for {
		err := c.once(ctx, b)
		switch {
		case err == nil:
			c.master.tally.add(b)
			return nil
		case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrSequence), errors.Is(err, store.ErrCorrupt), ctx.Err() != nil:
			return fmt.Errorf("commit %d of partition %d: %w", b.Seq, b.Partition, err)
		}
		c.master.cfg.Log.Error("the store does not take a commit; it is tried again until it does",
			"partition", b.Partition, "epoch", b.Epoch, "seq", b.Seq, "error", err, "next", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, retryMax)
	}
}

func (c *committer) once(ctx context.Context, b *partition.Batch) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
		return c.master.cfg.Store.Commit(ctx, b)
	}
	// A stop must not break off a commit in the middle either.
	return c.master.cfg.Store.Commit(context.WithoutCancel(ctx), b)
}

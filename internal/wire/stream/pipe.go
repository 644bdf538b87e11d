// Package stream is the transport between masters and workers: one stream per
// worker and master, in order, each message at most once. Pipe connects the two
// within one process.
package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/semel-dev/semel/internal/wire"
)

// ErrClosed says that one of the two ends has closed the stream.
var ErrClosed = errors.New("stream closed")

// MasterEnd is a master's end of a stream to one worker.
type MasterEnd struct {
	Hello wire.Hello
	up    *queue[wire.FromWorker]
	down  *queue[wire.ToWorker]
}

// WorkerEnd is a worker's end of a stream to one master.
type WorkerEnd struct {
	up   *queue[wire.FromWorker]
	down *queue[wire.ToWorker]
}

// Pipe returns both ends of a new stream. Sending never blocks: what may be on
// its way is bounded by the attempts that the partition machines place.
func Pipe(h wire.Hello) (*MasterEnd, *WorkerEnd) {
	up, down := newQueue[wire.FromWorker](), newQueue[wire.ToWorker]()
	return &MasterEnd{Hello: h, up: up, down: down}, &WorkerEnd{up: up, down: down}
}

// Send hands a batch to the worker; it is dropped if the stream is closed.
func (e *MasterEnd) Send(m wire.ToWorker) { e.down.put(m) }

// Recv waits for a batch from the worker. After a Close of either end it
// returns what is still queued, then ErrClosed.
func (e *MasterEnd) Recv(ctx context.Context) (wire.FromWorker, error) { return e.up.take(ctx) }

// Close closes the stream. It may be called more than once.
func (e *MasterEnd) Close() { e.up.close(); e.down.close() }

// Send hands a batch to the master; it is dropped if the stream is closed.
func (e *WorkerEnd) Send(m wire.FromWorker) { e.up.put(m) }

// Recv waits for a batch from the master, as MasterEnd.Recv does.
func (e *WorkerEnd) Recv(ctx context.Context) (wire.ToWorker, error) { return e.down.take(ctx) }

// Close closes the stream. It may be called more than once.
func (e *WorkerEnd) Close() { e.up.close(); e.down.close() }

// queue is a channel without a bound.
type queue[M any] struct {
	ready chan struct{} // holds a value while there may be something to take

	mu     sync.Mutex
	items  []M
	closed bool
}

func newQueue[M any]() *queue[M] { return &queue[M]{ready: make(chan struct{}, 1)} }

func (q *queue[M]) put(m M) {
	q.mu.Lock()
	if !q.closed {
		q.items = append(q.items, m)
	}
	q.mu.Unlock()
	q.signal()
}

func (q *queue[M]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue[M]) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue[M]) take(ctx context.Context) (M, error) {
	var none M
	for {
		m, ok, closed := q.pop()
		switch {
		case ok:
			return m, nil
		case closed:
			q.signal() // for the next one who asks
			return none, ErrClosed
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
}

func (q *queue[M]) pop() (m M, ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return m, false, q.closed
	}
	m, q.items = q.items[0], q.items[1:]
	return m, true, false
}

package runner

import "sync"

// queue hands things from one side to the other, in order. Putting never
// blocks: what bounds it is the number of attempts that masters place here.
type queue[T any] struct {
	mu     sync.Mutex
	filled sync.Cond
	items  []T
	closed bool
}

func newQueue[T any]() *queue[T] {
	q := &queue[T]{}
	q.filled.L = &q.mu
	return q
}

func (q *queue[T]) put(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	q.filled.Signal()
}

// take blocks for the next item. It reports false when the queue is closed and
// empty.
func (q *queue[T]) take() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 {
		if q.closed {
			return item, false
		}
		q.filled.Wait()
	}
	item = q.items[0]
	var none T
	q.items[0] = none // what was taken must not be kept alive by the slice
	q.items = q.items[1:]
	return item, true
}

func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.filled.Broadcast()
}

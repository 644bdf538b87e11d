package master

import (
	"sync"

	"github.com/semel-dev/semel/internal/partition"
)

// inbox is where inputs wait while a batch is being decided or committed. It
// has no bound of its own: reports are bounded by what was placed.
type inbox struct {
	ready chan struct{} // holds a value after something came

	mu     sync.Mutex
	inputs []partition.Input
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) put(in partition.Input) {
	b.mu.Lock()
	b.inputs = append(b.inputs, in)
	b.mu.Unlock()
	b.signal()
}

// signal wakes the loop.
func (b *inbox) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *inbox) drain() []partition.Input {
	b.mu.Lock()
	defer b.mu.Unlock()
	inputs := b.inputs
	b.inputs = nil
	return inputs
}

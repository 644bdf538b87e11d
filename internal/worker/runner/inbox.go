package runner

import (
	"sync"

	"github.com/semel-dev/semel/internal/agent"
)

// event is one thing for the loop. One of its fields is set, from aside.
type event struct {
	from    *port
	opened  bool
	closed  bool
	message *ToRunner
	exited  *agent.Exited
}

// inboxMax is how many messages may wait for the loop before a sender has to:
// a loop that waits for its disk must not fill the memory. Exits never wait.
const inboxMax = 4096

// inbox holds what has arrived since the loop last looked.
type inbox struct {
	wake chan struct{} // holds one

	mu     sync.Mutex
	room   sync.Cond
	events []event
	closed bool
}

func newInbox() *inbox {
	in := &inbox{wake: make(chan struct{}, 1)}
	in.room.L = &in.mu
	return in
}

// put adds an event and wakes the loop. Messages wait while the inbox is full.
func (in *inbox) put(e event) {
	in.mu.Lock()
	for e.message != nil && len(in.events) >= inboxMax && !in.closed {
		in.room.Wait()
	}
	in.events = append(in.events, e)
	in.mu.Unlock()
	in.nudge()
}

// nudge wakes the loop; it carries nothing and never blocks.
func (in *inbox) nudge() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// drain takes all events; spare is an empty slice to be filled next.
func (in *inbox) drain(spare []event) []event {
	in.mu.Lock()
	defer in.mu.Unlock()
	events := in.events
	in.events = spare
	in.room.Broadcast()
	return events
}

// close lets senders go: nobody will drain any more.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.room.Broadcast()
	in.mu.Unlock()
}

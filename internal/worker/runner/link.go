package runner

import (
	"errors"
	"sync"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/wire"
)

// Link connects an agent to a runner. Messages keep their order. A runner has
// one link at a time: a newer one ends the older.
type Link interface {
	// Send hands a message to the runner, which owns it from now on. It does
	// not wait for the message to be acted on.
	Send(ToRunner) error
	// Recv blocks for the next message. It fails when the link has ended.
	Recv() (FromRunner, error)
	// Close ends the link; a blocked Recv returns. Tasks go on.
	Close()
}

// ToRunner is a message to the runner. Its parts are taken in this order.
type ToRunner struct {
	Extend *fence.Boot `json:"extend,omitempty"` // the new deadline of the node; an earlier one changes nothing
	// Attach asks for a report of every attempt that is not forgotten.
	Attach  bool           `json:"attach,omitempty"`
	Message *wire.ToWorker `json:"message,omitempty"`
	// Refuse says why what Message dispatches is refused: it was too large to be
	// sent, and only its name came.
	Refuse string `json:"refuse,omitempty"`
	// Shutdown kills whatever runs, with its grace, and ends the runner. The
	// outcomes are expired: nobody asked for the end of the tasks as such.
	Shutdown bool `json:"shutdown,omitempty"`
}

// FromRunner is a message from the runner.
type FromRunner struct {
	Reports []wire.Report `json:"reports,omitempty"`
}

// Hello says who a runner is. Whoever has it can kill the node without asking
// the runner (KillNode).
type Hello struct {
	Node        fence.NodeID `json:"node"`
	PID         int          `json:"pid"`
	BootID      string       `json:"boot_id"`
	MachineID   string       `json:"machine_id"`
	Containment string       `json:"containment"`
	Cgroup      string       `json:"cgroup,omitempty"` // directory of the node's cgroup
	Namespace   string       `json:"namespace"`        // the PID namespace in which its processes can be seen
}

// ErrReplaced ends a link when a newer one was opened.
var ErrReplaced = errors.New("another agent has attached to this runner")

// ErrEnded ends a link when the runner ends, or when the link was closed.
var ErrEnded = errors.New("the link to the runner has ended")

// reportsMax bounds what waits for an agent that does not read. The link of
// such a one is ended; the next Attach brings everything that counts.
const reportsMax = 200_000

// port is a link within the process, and the inner half of one over a socket.
type port struct {
	inbox *inbox
	wake  chan struct{} // holds one: there is something to receive

	mu      sync.Mutex
	reports []wire.Report
	ended   error
}

var _ Link = (*port)(nil)

func newPort(in *inbox) *port {
	return &port{inbox: in, wake: make(chan struct{}, 1)}
}

// Send implements Link.
func (p *port) Send(m ToRunner) error {
	p.mu.Lock()
	err := p.ended
	p.mu.Unlock()
	if err != nil {
		return err
	}
	p.inbox.put(event{from: p, message: &m})
	return nil
}

// Recv implements Link. Everything that has been told since the last call
// comes at once.
func (p *port) Recv() (FromRunner, error) {
	for {
		p.mu.Lock()
		reports, err := p.reports, p.ended
		p.reports = nil
		p.mu.Unlock()
		if len(reports) > 0 {
			return FromRunner{Reports: reports}, nil
		}
		if err != nil {
			return FromRunner{}, err
		}
		<-p.wake
	}
}

// Close implements Link.
func (p *port) Close() {
	p.end(ErrEnded)
	p.inbox.put(event{from: p, closed: true})
}

func (p *port) end(cause error) {
	p.mu.Lock()
	if p.ended == nil {
		p.ended = cause
	}
	p.mu.Unlock()
	p.nudge()
}

// tell never blocks.
func (p *port) tell(reports []wire.Report) {
	p.mu.Lock()
	if p.ended == nil {
		p.reports = append(p.reports, reports...)
	}
	if len(p.reports) > reportsMax {
		p.reports, p.ended = nil, errors.New("the agent has stopped reading: attach again")
	}
	p.mu.Unlock()
	p.nudge()
}

func (p *port) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

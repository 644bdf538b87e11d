package agent

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// Input is one thing that happened to a worker.
type Input interface{ input() }

// Message is a batch from a master.
type Message struct{ wire.ToWorker }

// Spawned says that the processes of an attempt have begun.
type Spawned struct {
	Ref wire.Ref
	At  fence.Instant
}

// Exited says that an attempt has ended and none of its processes lives.
type Exited struct {
	Ref     wire.Ref
	Outcome flow.Outcome
}

// Attached says that a new stream was opened: everything not yet forgotten is
// told again.
type Attached struct{}

// Extend moves the deadline; an earlier one changes nothing.
type Extend struct{ Deadline fence.Boot }

// Tick says that time has passed.
type Tick struct{}

func (Message) input()  {}
func (Spawned) input()  {}
func (Exited) input()   {}
func (Attached) input() {}
func (Extend) input()   {}
func (Tick) input()     {}

// Out is what one Apply decided. The records are to be in the journal before
// any effect is released.
type Out struct {
	Journal []Record
	Start   []wire.Dispatch
	Kill    []Kill
	// Expire says that the deadline has passed: every process dies now, and
	// nothing is started until an Extend that lies in the future.
	Expire  bool
	Reports []wire.Report
}

// Kill ends the processes of an attempt: the polite signal, then, after Grace,
// the kill of its whole tree.
type Kill struct {
	Ref    wire.Ref
	Reason string
	Grace  time.Duration
}

// Record is one line of the journal of attempts. Exactly one of its fields is
// set. Replaying a journal gives the machine that wrote it; a torn last line
// never happened.
type Record struct {
	Node     fence.NodeID   `json:"node,omitempty"`     // the first line: whose journal this is
	Epoch    *wire.Owner    `json:"epoch,omitempty"`    // a higher epoch was seen
	Accepted *wire.Dispatch `json:"accepted,omitempty"` // will be started
	Spawned  *Spawned       `json:"spawned,omitempty"`
	Exited   *Exited        `json:"exited,omitempty"`
	Buried   *BuriedRecord  `json:"buried,omitempty"`
	Forgot   []wire.Ref     `json:"forgot,omitempty"`
}

// BuriedRecord says that an attempt never came here and will be refused.
type BuriedRecord struct {
	Partition int      `json:"partition"`
	Ref       wire.Ref `json:"ref"`
}

package partition

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// Input is one thing that happened to a partition.
type Input interface{ input() }

// Submitted is a stored command whose turn has come. For a start, and for any
// command on a run that is not in memory (Has), it brings the run along.
type Submitted struct {
	Command Command
	Run     *Loaded
}

// Loaded is a run as it is stored, with its compiled definition.
type Loaded struct {
	Run      flow.Run
	TaskRuns []flow.TaskRun
	Attempts []flow.Attempt // the last of each task run
	Plan     *flow.Plan     // nil: the definition cannot be used
	Fault    string         // why Plan is nil
}

// Joined says that a worker's stream is open: it can be given work, and it is
// asked about all that was sent to it before.
type Joined struct {
	Node  fence.NodeID
	Slots int
	Dead  bool // its death is certified: it is asked, and gets no work
}

// Parted says that a worker's stream has closed. Its attempts stay its own.
type Parted struct{ Node fence.NodeID }

// Reported brings what a worker told.
type Reported struct {
	Node    fence.NodeID
	Reports []wire.Report
}

// Ended says that a node is recorded as ended: what it had is lost. It may be
// repeated.
type Ended struct {
	Node   fence.NodeID
	Reason string
	At     fence.Instant
}

// Tick says that time has passed.
type Tick struct{}

func (Submitted) input() {}
func (Joined) input()    {}
func (Parted) input()    {}
func (Reported) input()  {}
func (Ended) input()     {}
func (Tick) input()      {}

// Out is what one Apply decided.
type Out struct {
	Batch   *Batch    // nil: nothing to write
	Effects []Send    // to be released once Batch, and every batch before it, is committed
	Wake    time.Time // when to Tick next; zero: no timer
	More    bool      // there is more to place: Tick again as soon as possible
	// Behind is an epoch, above the machine's own, that a worker has seen: the
	// partition has another owner, or the store has gone back in time. The
	// machine is to be thrown away; Claim tells which it is. Zero: none.
	Behind flow.Epoch
}

// Send is a message that leaves for a worker. A worker without a stream is not
// sent to: when it joins again it is asked.
type Send struct {
	Node    fence.NodeID
	Message wire.ToWorker
}

package flow

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
)

// Input is one thing that happened to a run.
type Input interface{ input() }

// Begin takes a queued run into work.
type Begin struct{}

// Stop ends the run: what has not started is stopped, what runs is killed.
type Stop struct{ Reason string }

// Pause starts nothing new; what runs goes on.
type Pause struct{}

// Resume ends a pause. With Tasks it releases those held or paused task runs
// only; without, it releases the run and everything held in it.
type Resume struct{ Tasks []string }

// Rerun takes a final run back into work.
type Rerun struct {
	Failed bool   // only what failed, was stopped, held, or not run for that, and all that depends on it
	Select Select // if not zero: only these
}

// Place says that the partition has chosen a worker for a ready task. Apply
// answers with the Work to send, or with the task's end if its expressions
// cannot be evaluated.
type Place struct {
	Task  int // index in Workflow.Tasks
	Node  fence.NodeID
	Epoch Epoch
}

// Started says that an attempt's process runs.
type Started struct {
	Task       string
	Generation Generation
	At         fence.Instant
}

// Finished says that an attempt has ended.
type Finished struct {
	Task       string
	Generation Generation
	Node       fence.NodeID // that says so: it is told to forget the attempt, also if it is long overtaken
	Outcome    Outcome
}

// Lost says that an attempt's node has ended, so that its outcome will never
// be known.
type Lost struct {
	Task       string
	Generation Generation
	Reason     string
	At         fence.Instant // when the death was certified
}

// Buried says that the worker never got the attempt, and will refuse it.
type Buried struct {
	Task       string
	Generation Generation
}

// Tick says that time has passed: whatever was due by now happens.
type Tick struct{}

func (Begin) input()    {}
func (Stop) input()     {}
func (Pause) input()    {}
func (Resume) input()   {}
func (Rerun) input()    {}
func (Place) input()    {}
func (Started) input()  {}
func (Finished) input() {}
func (Lost) input()     {}
func (Buried) input()   {}
func (Tick) input()     {}

// Out is what one Apply decided. Rows are copies: the caller may keep them. An
// effect may leave the process only after the rows are committed.
type Out struct {
	Run      *Run      // the run's row, if it changed
	TaskRuns []TaskRun // rows to write
	Attempts []Attempt // rows to write

	Ready []int  // tasks that became ready to be placed; check IsReady when their turn comes
	Work  *Work  // answer to Place: send it to that node
	Kill  []Kill // attempts to end
	Warn  []Warning
	// Forget names attempts that were reported as finished, now or long ago:
	// whoever reported them may forget them once this is committed.
	Forget []Ref
}

// Ref names an attempt within its run, and where it went.
type Ref struct {
	Task       string
	Generation Generation
	Node       fence.NodeID
}

// Kill asks the worker to end an attempt.
type Kill struct {
	Ref
	Reason string
}

// Warning is something people want to hear of: a task that runs longer than
// its timeout under action warn.
type Warning struct {
	Task    string
	Message string
	At      time.Time
}

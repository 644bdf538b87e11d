// Package partition decides for one partition: which run steps, which task run
// goes to which worker, what is written, and what may leave once it is.
package partition

import (
	"encoding/json"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// Batch is one numbered commit of a partition: all of it is stored, or nothing.
type Batch struct {
	Partition int
	Epoch     flow.Epoch
	Seq       uint64 // one more than the last commit of this partition, across epochs
	At        time.Time
	Runs      []flow.Run     // whole rows, by ID
	TaskRuns  []flow.TaskRun // whole rows, by (Run, Task)
	Attempts  []flow.Attempt // whole rows, by (Run, Task, Number)
	Commands  []Consumed
	Events    []Event
}

// Empty reports whether the batch would write nothing.
func (b *Batch) Empty() bool {
	return len(b.Runs)+len(b.TaskRuns)+len(b.Attempts)+len(b.Commands)+len(b.Events) == 0
}

// Kind is what a command asks for.
type Kind string

// The kinds of commands.
const (
	KindStart  Kind = "start"
	KindStop   Kind = "stop"
	KindPause  Kind = "pause"
	KindResume Kind = "resume"
	KindRerun  Kind = "rerun"
)

// Command is a request, stored before it is answered and consumed inside a
// numbered commit. Sequence is given by the store and only grows within a
// partition.
type Command struct {
	Sequence  uint64          `json:"sequence"`
	ID        string          `json:"id"`  // UUIDv7
	Key       string          `json:"key"` // the caller's idempotency key; the ID if none was given
	Kind      Kind            `json:"kind"`
	Partition int             `json:"partition"`
	Run       flow.RunID      `json:"run"`
	Args      json.RawMessage `json:"args,omitempty"` // flow.Stop, flow.Resume, flow.Rerun as JSON
	Digest    string          `json:"digest"`         // of what was asked: the same key with another digest is an error
	CreatedAt time.Time       `json:"created_at"`
	DoneAt    time.Time       `json:"done_at,omitzero"`
	Refused   string          `json:"refused,omitempty"` // why it was not carried out; empty: it was
}

// Consumed records that a command was carried out or refused.
type Consumed struct {
	Sequence uint64
	Refused  string
}

// Event is a line of the system's own history.
type Event struct {
	At      time.Time    `json:"at"`
	Cause   string       `json:"cause"` // takeover, fence, lost, timeout, ...
	Run     flow.RunID   `json:"run,omitempty"`
	Task    string       `json:"task,omitempty"`
	Node    fence.NodeID `json:"node,omitempty"`
	Epoch   flow.Epoch   `json:"epoch,omitempty"`
	Message string       `json:"message"`
}

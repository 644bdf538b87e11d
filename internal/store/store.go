// Package store is the contract of the durable truth: what a store promises,
// in the domain's terms. The implementations are sqlite and memory; storetest
// holds the suite that each of them passes.
//
// # Laws
//
//  1. Every method is one transaction: all of it is seen, or nothing.
//  2. A method that returned nil is durable as far as the store's level goes
//     (SQLite: see its Config.Sync), and is seen by every later call.
//  3. Commit is conditional on (epoch, seq); see there.
//  4. An error that wraps ErrUnknown leaves open whether the transaction took
//     place. Every other error means that it did not.
//  5. All methods may be called from many goroutines.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// The errors of a store. They are wrapped with what was asked for.
var (
	ErrNotFound  = errors.New("not found")
	ErrFenced    = errors.New("fenced")                 // the partition is at another epoch: whoever asked no longer owns it
	ErrSequence  = errors.New("out of sequence")        // right epoch, but seq is neither stored nor next
	ErrUnknown   = errors.New("outcome unknown")        // the connection broke during COMMIT: read Position
	ErrKeyReused = errors.New("idempotency key reused") // the same key came with another request
	ErrFull      = errors.New("no space left")          // disk full; nothing was written, try again once there is space
	ErrReadOnly  = errors.New("read-only")              // the file or its directory cannot be written
	ErrCorrupt   = errors.New("corrupt")                // the file is not a store, or is damaged
	ErrInUse     = errors.New("in use by another process")
	ErrTooNew    = errors.New("written by a newer version")
)

// Store is the durable truth.
type Store interface {
	Workflows
	Commands
	Partitions
	Nodes
	Reader
	// Changed returns a channel of capacity one that gets a value after each
	// Commit or Submit of this process. It carries nothing and may skip: the
	// truth is in the store. cancel releases it.
	Changed() (c <-chan struct{}, cancel func())
	// Health reports nil if the store can be written.
	Health(ctx context.Context) error
	// Close waits for writes in flight. Nothing may be called afterwards.
	Close() error
}

// Definition is a stored workflow version.
type Definition struct {
	Workflow  flow.Workflow `json:"workflow"`
	Version   int           `json:"version"` // 1, 2, ... per name
	Source    string        `json:"source"`  // the YAML as it came
	Digest    string        `json:"digest"`  // of the parsed model
	CreatedAt time.Time     `json:"created_at"`
}

// Workflows stores definitions.
type Workflows interface {
	// Apply stores a definition as the next version of its name, or returns the
	// latest version with created false if that has the same Digest. Version
	// and CreatedAt of d are ignored.
	Apply(ctx context.Context, d Definition, now time.Time) (stored Definition, created bool, err error)
	// Workflow returns a version; 0 is the latest.
	Workflow(ctx context.Context, name string, version int) (Definition, error)
	// WorkflowList returns the latest version of each, by name, without Source.
	WorkflowList(ctx context.Context) ([]Definition, error)
	// WorkflowVersions returns all versions of one, newest first, without Source.
	WorkflowVersions(ctx context.Context, name string) ([]Definition, error)
}

// Commands stores requests.
type Commands interface {
	// Submit stores a command under its key and, for KindStart, the queued run.
	// If the key is known, nothing is stored and the first command is returned
	// with repeated true; if its digest differs the error is ErrKeyReused. For
	// every other kind the run must exist, else ErrNotFound.
	Submit(ctx context.Context, c partition.Command, run *flow.Run) (stored partition.Command, repeated bool, err error)
	// Command returns a command by its ID.
	Command(ctx context.Context, id string) (partition.Command, error)
	// Pending returns at most limit commands of the partition that are not
	// consumed and have a Sequence above after, in order.
	Pending(ctx context.Context, partition int, after uint64, limit int) ([]partition.Command, error)
}

// Position is where a partition's commits stand.
type Position struct {
	Partition int          `json:"partition"`
	Epoch     flow.Epoch   `json:"epoch"`
	Seq       uint64       `json:"seq"`
	Owner     fence.NodeID `json:"owner,omitempty"` // empty: none
}

// Claimed is one line of a partition's history of owners.
type Claimed struct {
	Partition int          `json:"partition"`
	Epoch     flow.Epoch   `json:"epoch"`
	Owner     fence.NodeID `json:"owner"`
	At        time.Time    `json:"at"`
	Seq       uint64       `json:"seq"` // of the last commit before the claim
}

// Snapshot is what a new owner loads.
type Snapshot struct {
	Runs []RunSnapshot // every run that is not final, oldest first
}

// RunSnapshot is one run with all that is stored about it.
type RunSnapshot struct {
	Run      flow.Run
	TaskRuns []flow.TaskRun
	Attempts []flow.Attempt // the last attempt of each task run only
}

// Partitions holds the numbered commits.
type Partitions interface {
	// Claim makes owner the owner, with epoch one higher, if the partition has
	// no owner or an owner whose node has ended or is owner itself. Else the
	// error is ErrFenced. A partition that was never seen is made.
	Claim(ctx context.Context, partition int, owner fence.NodeID, now time.Time) (Position, error)
	// Load returns the partition's unfinished runs, as of one moment.
	Load(ctx context.Context, partition int) (Snapshot, error)
	// LoadRun returns one run, as of one moment, final or not.
	LoadRun(ctx context.Context, run flow.RunID) (RunSnapshot, error)
	// Commit stores b if its partition stands at (b.Epoch, b.Seq-1), and takes
	// it to (b.Epoch, b.Seq). At (b.Epoch, b.Seq) it was stored before: nil, and
	// nothing is written. At another epoch: ErrFenced. Else ErrSequence.
	// A final attempt is never overwritten by a row that differs; that is a bug
	// of the caller, and an error.
	Commit(ctx context.Context, b *partition.Batch) error
	// Position tells where a partition stands; ErrNotFound if nobody ever
	// claimed it.
	Position(ctx context.Context, partition int) (Position, error)
}

// Nodes stores incarnations.
type Nodes interface {
	// Register stores a new live node. A known ID is an error: an incarnation
	// is never reused.
	Register(ctx context.Context, n fence.Node) error
	// EndNode ends a node for good: Left or Fenced, with the reason, and takes its
	// partitions away (owner null), in one transaction. A node that has ended
	// already stays as it is: nil. Only for a node that ended itself or whose
	// death is certified.
	EndNode(ctx context.Context, id fence.NodeID, state fence.State, reason string, now time.Time) error
	// NodeList returns all nodes, newest first.
	NodeList(ctx context.Context) ([]fence.Node, error)
}

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Workflow      string
	States        []flow.RunState
	CreatedFrom   time.Time  // inclusive
	CreatedBefore time.Time  // exclusive
	After         flow.RunID // page: only runs older than this one
	Limit         int        // 0: 50; at most 1000
}

// Reader answers questions. It never blocks a writer.
type Reader interface {
	Run(ctx context.Context, id flow.RunID) (flow.Run, error)
	// Runs returns runs, newest first (by ID, which is by time).
	Runs(ctx context.Context, f RunFilter) ([]flow.Run, error)
	// TaskRows returns all stored task-run rows of a run, by task.
	TaskRows(ctx context.Context, id flow.RunID) ([]flow.TaskRun, error)
	// Attempts returns all attempts of a run, by task and number; if task is
	// not empty, of that task only.
	Attempts(ctx context.Context, id flow.RunID, task string) ([]flow.Attempt, error)
	// Claims returns the history of owners, by partition and epoch.
	Claims(ctx context.Context) ([]Claimed, error)
	// Events returns the newest events first; run limits them to one run.
	Events(ctx context.Context, run flow.RunID, limit int) ([]partition.Event, error)
	// Stats counts what is there.
	Stats(ctx context.Context) (Stats, error)
}

// Stats are numbers for metrics and health.
type Stats struct {
	Runs    map[flow.RunState]int `json:"runs"`
	Pending int                   `json:"pending_commands"`
	Bytes   int64                 `json:"bytes"` // size of the store
}

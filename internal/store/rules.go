package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// The rules that every store applies stand here once. An error of a rule means
// that nothing is written.

// CheckSeq decides whether b may be stored where its partition stands.
// repeated: it is stored already. A partition without an owner takes nothing:
// its last owner has ended, and nobody may act for it.
func CheckSeq(b *partition.Batch, stands Position) (repeated bool, err error) {
	switch {
	case stands.Epoch != b.Epoch:
		return false, fmt.Errorf("the partition is at epoch %d, the commit is of epoch %d: %w", stands.Epoch, b.Epoch, ErrFenced)
	case stands.Seq == b.Seq:
		return true, nil
	case stands.Owner == "":
		return false, fmt.Errorf("the partition was taken away from its owner at epoch %d: %w", stands.Epoch, ErrFenced)
	case stands.Seq != b.Seq-1:
		return false, fmt.Errorf("the partition is at commit %d: %w", stands.Seq, ErrSequence)
	}
	return false, nil
}

// CheckClaim decides whether claimer may become the owner of a partition.
// ended says which nodes have ended.
func CheckClaim(stands Position, claimer fence.NodeID, ended func(fence.NodeID) bool) error {
	if claimer == "" {
		return errors.New("no node is named that would own it")
	}
	if ended(claimer) {
		return fmt.Errorf("node %s has ended: %w", claimer, ErrFenced)
	}
	if stands.Owner != "" && stands.Owner != claimer && !ended(stands.Owner) {
		return fmt.Errorf("node %s owns it at epoch %d and has not ended: %w", stands.Owner, stands.Epoch, ErrFenced)
	}
	return nil
}

// CheckSubmit decides whether a command can be stored.
func CheckSubmit(c *partition.Command, run *flow.Run) error {
	switch {
	case c.ID == "" || c.Key == "":
		return errors.New("a command needs an ID and a key")
	case c.Kind != partition.KindStart && run != nil:
		return fmt.Errorf("a %s brings no run along", c.Kind)
	case c.Kind != partition.KindStart:
		return nil
	case run == nil:
		return errors.New("a start brings its run along")
	case run.ID != c.Run || run.Partition != c.Partition:
		return fmt.Errorf("the command is for run %s of partition %d, and brings run %s of partition %d",
			c.Run, c.Partition, run.ID, run.Partition)
	}
	return nil
}

// CheckKey decides what becomes of a command whose key is known.
func CheckKey(stored, c *partition.Command) error {
	if stored.Digest != c.Digest {
		return fmt.Errorf("key %q was used at %s for a %s of run %s: use another key for another request: %w",
			c.Key, stored.CreatedAt.Format("2006-01-02 15:04:05 MST"), stored.Kind, stored.Run, ErrKeyReused)
	}
	return nil
}

// CheckConsumed decides whether a command can be consumed.
func CheckConsumed(stored *partition.Command) error {
	if !stored.DoneAt.IsZero() {
		return fmt.Errorf("command %d was consumed before: a command is carried out once", stored.Sequence)
	}
	return nil
}

// CheckAttempt decides whether a stored attempt may be overwritten.
func CheckAttempt(stored, a *flow.Attempt) error {
	if stored.State.Final() && !SameAttempt(stored, a) {
		return fmt.Errorf("attempt %d of task %s of run %s is %s for good, and was to become %s: a final attempt is never overwritten",
			a.Number, a.Task, a.Run, stored.State, a.State)
	}
	return nil
}

// CheckEnd decides whether a node can be ended in this way.
func CheckEnd(state fence.State) error {
	if !state.Ended() {
		return fmt.Errorf("a node ends as %s or as %s, not as %q", fence.Left, fence.Fenced, state)
	}
	return nil
}

// CheckRegister decides whether a node can be stored as a new live one.
func CheckRegister(n *fence.Node) error {
	if n.ID == "" || n.State != fence.Live {
		return fmt.Errorf("a new node has an ID and is %s, not %q", fence.Live, n.State)
	}
	return nil
}

// ErrNameless refuses a definition without a name.
var ErrNameless = errors.New("the definition has no name")

// ErrKnownNode refuses an incarnation that was registered before.
var ErrKnownNode = errors.New("this incarnation was registered before: an incarnation is never used again")

// KnownRun refuses a start whose run exists.
func KnownRun(id flow.RunID) error {
	return fmt.Errorf("run %s exists: a new run needs a new ID", id)
}

// MissingWorkflow says that a version, or with version 0 the whole workflow,
// is not stored.
func MissingWorkflow(name string, version int) error {
	if version == 0 {
		return fmt.Errorf("workflow %q: %w", name, ErrNotFound)
	}
	return fmt.Errorf("version %d of workflow %q: %w", version, name, ErrNotFound)
}

// Matches reports whether a run is one of those that f chooses.
func (f *RunFilter) Matches(r *flow.Run) bool {
	return (f.Workflow == "" || r.Workflow == f.Workflow) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		(f.CreatedFrom.IsZero() || !r.CreatedAt.Before(Time(f.CreatedFrom))) &&
		(f.CreatedBefore.IsZero() || r.CreatedAt.Before(Time(f.CreatedBefore))) &&
		(f.After == "" || r.ID < f.After)
}

// EventsMax is how many events a store keeps; the oldest go first.
const EventsMax = 10_000

package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/semel-dev/semel/internal/flow"
)

// checkClaims is P4 of the claims: an epoch has one owner, and commits that
// were counted do not disappear.
func (c *Checker) checkClaims(sorted []Claim) {
	for i := 1; i < len(sorted); i++ {
		before, claim := sorted[i-1], sorted[i]
		switch {
		case claim.Partition != before.Partition:
		case claim.Epoch == before.Epoch:
			c.violated(Violation{Promise: "P4", Message: fmt.Sprintf("epoch %d of partition %d was claimed twice, by %s and by %s", claim.Epoch, claim.Partition, before.Owner, claim.Owner)})
		case claim.Seq < before.Seq:
			c.violated(Violation{Promise: "P4", Message: fmt.Sprintf("partition %d stood at commit %d when epoch %d was claimed, and at commit %d when epoch %d was", claim.Partition, before.Seq, before.Epoch, claim.Seq, claim.Epoch)})
		}
	}
}

// checkEpochs is P4: only the owner of a partition decides.
func (r *run) checkEpochs(t *taskRun) {
	claims := r.checker.claims[r.run.Partition]
	for i := range t.attempts {
		a := &t.attempts[i]
		if i > 0 && a.Epoch < t.attempts[i-1].Epoch {
			r.violated("P4", a, fmt.Sprintf("attempt %d of task %s was dispatched under epoch %d, after attempt %d under epoch %d", a.Number, a.Task, a.Epoch, t.attempts[i-1].Number, t.attempts[i-1].Epoch))
		}
		own, next := around(claims, a.Epoch)
		if own == nil {
			r.violated("P4", a, fmt.Sprintf("attempt %d of task %s was dispatched under epoch %d of partition %d, which nobody claimed", a.Number, a.Task, a.Epoch, r.run.Partition))
			continue
		}
		if after(own.At, a.DispatchedAt) {
			r.unproven("P4", a, fmt.Sprintf("attempt %d of task %s was dispatched before its epoch %d was claimed, by the wall clock", a.Number, a.Task, a.Epoch))
		}
		if next != nil && after(a.DispatchedAt, next.At) {
			r.late(a, own, next)
		}
	}
}

// late is a dispatch after the partition had changed hands. Between two
// machines it may be a difference of their clocks.
func (r *run) late(a *flow.Attempt, own, next *Claim) {
	message := fmt.Sprintf("attempt %d of task %s was dispatched under epoch %d, %s after %s had claimed epoch %d", a.Number, a.Task, a.Epoch, a.DispatchedAt.Sub(next.At), next.Owner, next.Epoch)
	x, y := r.checker.nodes[own.Owner].MachineID, r.checker.nodes[next.Owner].MachineID
	if x != y {
		r.unproven("P4", a, message+", by the wall clocks of two machines")
		return
	}
	r.violated("P4", a, message)
}

// around returns the claim of an epoch, and the one after it.
func around(claims []Claim, epoch flow.Epoch) (own, next *Claim) {
	i, found := slices.BinarySearchFunc(claims, epoch, func(c Claim, e flow.Epoch) int { return cmp.Compare(c.Epoch, e) })
	if found {
		own = &claims[i]
	}
	for ; i < len(claims); i++ {
		if claims[i].Epoch > epoch {
			return own, &claims[i]
		}
	}
	return own, nil
}

package ledger

import (
	"fmt"
	"maps"
	"slices"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// started is what a row has before and after the fact: zero, it did not happen.
type started = fence.Instant

// order says how two instants lie, as far as it can be known.
type order int

const (
	inOrder  order = iota // the first is not after the second
	wrong                 // it is, by one clock that both were read from
	doubtful              // it is, but by clocks that may differ
)

// compare says whether first, the start or the end of a, is not after second,
// that of b. Readings of CLOCK_BOOTTIME count if both are of the same boot of
// the same machine; wall clocks can only raise doubt. The death of a lost
// attempt may have been certified by another machine, or after a reboot: then
// its reading means nothing, and it takes both clocks to be sure.
func (c *Checker) compare(first fence.Instant, a *flow.Attempt, second fence.Instant, b *flow.Attempt) order {
	wallWrong := after(first.Wall, second.Wall)
	bootWrong := first.Boot > second.Boot
	certified := a.State == flow.AttemptLost
	switch {
	case !c.sameBoot(a.Node, b.Node) || first.Boot == 0 || second.Boot == 0:
		if wallWrong {
			return doubtful
		}
		return inOrder
	case !bootWrong:
		return inOrder
	case certified && !wallWrong && (a == b || a.Finished.Boot < a.Started.Boot):
		return inOrder // of another boot
	case certified && !wallWrong:
		return doubtful
	}
	return wrong
}

func (c *Checker) sameBoot(a, b fence.NodeID) bool {
	x, y := c.nodes[a].BootID, c.nodes[b].BootID
	return a == b && c.known(a) || x != "" && x == y
}

func (c *Checker) known(id fence.NodeID) bool {
	_, ok := c.nodes[id]
	return ok
}

// checkOverlap is P3: the processes of two attempts of one task run never
// execute at the same time. An attempt is compared with the latest end before
// it on each clock, not with its neighbour only.
func (r *run) checkOverlap(t *taskRun) {
	byBoot := map[string]*flow.Attempt{} // the latest end so far, by boot
	var byWall *flow.Attempt             // and by wall clock
	for i := range t.attempts {
		a := &t.attempts[i]
		if i > 0 {
			r.checkEnded(&t.attempts[i-1], a)
		}
		if a.Started == (started{}) {
			continue
		}
		r.checkSpan(a)
		boot := r.checker.nodes[a.Node].BootID
		before := byBoot[boot]
		if boot != "" && before != nil {
			r.checkPair(before, a)
		}
		if byWall != nil && byWall != before {
			r.checkPair(byWall, a)
		}
		if a.Finished == (started{}) {
			continue
		}
		if before == nil || a.Finished.Boot > before.Finished.Boot {
			byBoot[boot] = a
		}
		if byWall == nil || a.Finished.Wall.After(byWall.Finished.Wall) {
			byWall = a
		}
	}
}

// checkEnded is about the one before: its end must be known before another is
// dispatched.
func (r *run) checkEnded(before, a *flow.Attempt) {
	switch {
	case !before.State.Final():
		r.violated("P3", a, fmt.Sprintf("attempt %d of task %s was dispatched while attempt %d is recorded as %s", a.Number, a.Task, before.Number, before.State))
	case before.Started != (started{}) && before.Finished == (started{}):
		r.violated("P3", a, fmt.Sprintf("attempt %d of task %s was dispatched, but when attempt %d ended is not recorded", a.Number, a.Task, before.Number))
	case after(before.Finished.Wall, a.DispatchedAt):
		r.unproven("P3", a, fmt.Sprintf("attempt %d of task %s was dispatched before attempt %d had ended, by the wall clocks of master and worker", a.Number, a.Task, before.Number))
	}
}

func (r *run) checkSpan(a *flow.Attempt) {
	if a.Finished == (started{}) {
		return
	}
	switch r.checker.compare(a.Started, a, a.Finished, a) {
	case wrong:
		r.violated("P3", a, fmt.Sprintf("attempt %d of task %s ended before it started", a.Number, a.Task))
	case doubtful:
		r.unproven("P3", a, fmt.Sprintf("attempt %d of task %s ended before it started, by the wall clock", a.Number, a.Task))
	case inOrder:
	}
}

func (r *run) checkPair(before, a *flow.Attempt) {
	switch r.checker.compare(before.Finished, before, a.Started, a) {
	case wrong:
		r.violated("P3", a, fmt.Sprintf("attempt %d of task %s started on %s %s before attempt %d had ended on %s",
			a.Number, a.Task, a.Node, before.Finished.Boot.Sub(a.Started.Boot), before.Number, before.Node))
	case doubtful:
		r.unproven("P3", a, fmt.Sprintf("attempt %d of task %s started on %s before attempt %d had ended on %s, by their wall clocks, which may differ",
			a.Number, a.Task, a.Node, before.Number, before.Node))
	case inOrder:
	}
}

// weakNodes says what cannot be proven of the nodes that ran something.
func (c *Checker) weakNodes() []Violation {
	var lines []Violation
	for _, id := range slices.Sorted(maps.Keys(c.seen)) {
		if c.nodes[id].Containment == "weak" {
			lines = append(lines, Violation{Promise: "P3", Message: fmt.Sprintf(
				"node %s has no containment (weak): that a process which left its process group was dead at the end of its attempt cannot be proven", id)})
		}
	}
	return lines
}

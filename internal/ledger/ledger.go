// Package ledger checks what is stored of runs against the promises P2 to P5:
// no double start, no overlap, no zombie decisions, one outcome.
//
// It does not trust the machines that wrote the history. It shares no code
// with them but the shapes of the rows, derives by itself what state a task run
// is in, and looks at nothing but rows: attempts, task runs, claims, nodes.
//
// What contradicts a promise is a violation. What can be neither shown nor
// contradicted is listed as unproven: the wall clocks of two machines, or of
// one before and after it was set, do not order events; a node without
// containment cannot prove that its processes were dead. A promise that is
// merely unproven is not broken, but whoever reads the result should know.
//
// What is not here: P1 and P6, reading the history from a store, and printing.
package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// History is all that is to be checked.
type History struct {
	Runs   []RunHistory
	Claims []Claim
	Nodes  []fence.Node
}

// Claim is one line of a partition's history of owners.
type Claim struct {
	Partition int
	Epoch     flow.Epoch
	Owner     fence.NodeID
	At        time.Time
	Seq       uint64 // of the last commit before the claim
}

// RunHistory is one run with all rows that are stored of it, in any order.
type RunHistory struct {
	Run      flow.Run
	Workflow *flow.Workflow // the version that it runs; nil: not known
	TaskRuns []flow.TaskRun
	Attempts []flow.Attempt
}

// Violation is one promise that the history contradicts, or does not prove.
type Violation struct {
	Promise    string          `json:"promise"` // P2 to P5
	Run        flow.RunID      `json:"run,omitempty"`
	Task       string          `json:"task,omitempty"`
	Generation flow.Generation `json:"generation,omitempty"`
	Message    string          `json:"message"`
}

// Result is what a check has found. Violations come in a fixed order: those of
// claims, then run by run as they were added, in each by task, and by attempt.
type Result struct {
	Runs       int         `json:"runs"`
	TaskRuns   int         `json:"task_runs"` // that have a row or an attempt
	Attempts   int         `json:"attempts"`
	Violations []Violation `json:"violations"`
	Unproven   []Violation `json:"unproven"`
	More       int         `json:"more,omitempty"` // found beyond those listed
}

// Verdict is a result in one word.
type Verdict string

// The verdicts. Empty: there was no run, so that nothing was shown.
const (
	Holds    Verdict = "holds"
	Violated Verdict = "violated"
	Empty    Verdict = "empty"
)

// Verdict sums the result up.
func (r Result) Verdict() Verdict {
	switch {
	case len(r.Violations) > 0:
		return Violated
	case r.Runs == 0:
		return Empty
	}
	return Holds
}

// listedMax bounds the violations and the unproven that are kept of a history:
// a bug that breaks one run breaks them all.
const listedMax = 1_000

// Checker checks run by run, so that a history need not fit in memory.
type Checker struct {
	claims map[int][]Claim // by partition, by epoch
	nodes  map[fence.NodeID]fence.Node
	seen   map[fence.NodeID]bool // nodes that something was started on
	result Result
}

// Check checks a whole history.
func Check(h History) Result {
	c := NewChecker(h.Claims, h.Nodes)
	for _, r := range h.Runs {
		c.Add(r)
	}
	return c.Result()
}

// NewChecker returns a checker for runs of these partitions and nodes.
func NewChecker(claims []Claim, nodes []fence.Node) *Checker {
	c := &Checker{
		claims: map[int][]Claim{},
		nodes:  make(map[fence.NodeID]fence.Node, len(nodes)),
		seen:   map[fence.NodeID]bool{},
	}
	for _, n := range nodes {
		c.nodes[n.ID] = n
	}
	sorted := slices.Clone(claims)
	slices.SortStableFunc(sorted, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Epoch, b.Epoch))
	})
	for _, claim := range sorted {
		c.claims[claim.Partition] = append(c.claims[claim.Partition], claim)
	}
	c.checkClaims(sorted)
	return c
}

// Add checks one run.
func (c *Checker) Add(h RunHistory) {
	c.result.Runs++
	c.result.Attempts += len(h.Attempts)
	r := newRun(c, h)
	c.result.TaskRuns += len(r.tasks)
	for _, t := range r.tasks {
		r.checkStarts(t)
		r.checkOverlap(t)
		r.checkEpochs(t)
		r.checkOutcome(t)
	}
	r.checkNeeds()
	r.checkState()
}

// Result returns what has been found so far.
func (c *Checker) Result() Result {
	r := c.result
	r.Violations = slices.Clone(r.Violations)
	r.Unproven = append(slices.Clone(r.Unproven), c.weakNodes()...)
	return r
}

// run is one run while it is checked.
type run struct {
	checker  *Checker
	run      flow.Run
	workflow *flow.Workflow
	tasks    []*taskRun          // those with rows, by name
	names    map[string]*taskRun // likewise
	known    map[string]bool     // the tasks of the workflow
	leftOut  map[string]bool     // those that take no part in the run
}

func newRun(c *Checker, h RunHistory) *run {
	r := &run{checker: c, run: h.Run, workflow: h.Workflow, names: map[string]*taskRun{}}
	r.group(h)
	if h.Workflow != nil {
		r.known = make(map[string]bool, len(h.Workflow.Tasks))
		for i := range h.Workflow.Tasks {
			r.known[h.Workflow.Tasks[i].Name] = true
		}
		r.leftOut = leftOut(h.Workflow, h.Run.Select)
	}
	return r
}

// taskRun is all that is stored of one.
type taskRun struct {
	name     string
	row      *flow.TaskRun
	attempts []flow.Attempt // by number
}

// last returns the last attempt, nil if there is none.
func (t *taskRun) last() *flow.Attempt {
	if t == nil || len(t.attempts) == 0 {
		return nil
	}
	return &t.attempts[len(t.attempts)-1]
}

// group sorts the rows of a run by task.
func (r *run) group(h RunHistory) {
	find := func(name string) *taskRun {
		t, ok := r.names[name]
		if !ok {
			t = &taskRun{name: name}
			r.names[name] = t
			r.tasks = append(r.tasks, t)
		}
		return t
	}
	for i := range h.TaskRuns {
		find(h.TaskRuns[i].Task).row = &h.TaskRuns[i]
	}
	for _, a := range h.Attempts {
		t := find(a.Task)
		t.attempts = append(t.attempts, a)
	}
	for _, t := range r.tasks {
		slices.SortStableFunc(t.attempts, func(a, b flow.Attempt) int {
			return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Generation, b.Generation))
		})
	}
	slices.SortFunc(r.tasks, func(a, b *taskRun) int { return cmp.Compare(a.name, b.name) })
}

// grain is how exact wall clocks are at best: stores keep milliseconds.
const grain = time.Millisecond

// after reports whether a is clearly after b.
func after(a, b time.Time) bool { return !a.IsZero() && !b.IsZero() && a.Sub(b) > grain }

func (c *Checker) violated(v Violation) { c.result.Violations = c.keep(c.result.Violations, v) }
func (c *Checker) unproven(v Violation) { c.result.Unproven = c.keep(c.result.Unproven, v) }

func (c *Checker) keep(list []Violation, v Violation) []Violation {
	if len(list) == listedMax {
		c.result.More++
		return list
	}
	return append(list, v)
}

func (r *run) violated(promise string, a *flow.Attempt, message string) {
	r.checker.violated(Violation{Promise: promise, Run: r.run.ID, Task: a.Task, Generation: a.Generation, Message: message})
}

func (r *run) unproven(promise string, a *flow.Attempt, message string) {
	r.checker.unproven(Violation{Promise: promise, Run: r.run.ID, Task: a.Task, Generation: a.Generation, Message: message})
}

// Package flow holds the model of a workflow and the run machine: what becomes
// of one run, task by task.
//
// # Purpose
//
// The machine takes what happened to a run and the time, and says what follows:
// rows to write, tasks to place, attempts to kill. It is the only place that
// knows the rules of needs, joins, conditions, retries, losses, pauses, stops
// and reruns. Validate and Compile make of a Workflow the Plan it works on.
//
// # State
//
// In memory a run is one small cell per task. In the store it is one Run row,
// the attempts, and a TaskRun row for each task whose state does not follow
// from these:
//
//   - A row counts if its Generation is not below that of the last attempt;
//     else the attempt says it all (dispatched, running, succeeded). So the
//     usual way of a task costs two writes of its attempt, and one more if its
//     start was reported on its own.
//   - A waiting row means "derive me": it carries counters, and the end of a
//     delay in WakeAt. The task is ready as soon as its needs are final.
//   - A ready row is a task that was resumed on its own: it may start though
//     its run is paused.
//   - A running row carries the warning about a timeout.
//   - Disabled and unselected tasks never have a row, except that an unselected
//     one that a rerun has named gets one, and belongs to the run from then on.
//     They are skipped once their own needs are final, so that what comes after
//     them keeps its place in the order.
//
// Whether a task waits, is ready, is paused, or is kept back by the workflow's
// limit is never stored. Whatever an input settles is in the rows of the same
// Apply: so Load need not evaluate a condition again, and a task without a row
// whose needs are final is one that may start.
//
// # Invariants
//
// Check has them all. Above all: a task that has started has only final needs;
// an attempt that is final never changes; generations only grow; a run is
// final when, and only when, all its tasks are; no more tasks are active than
// the workflow allows.
//
// # Failures
//
// Apply returns no error. Late and repeated input changes nothing, and names
// the attempt in Forget if its worker is still waiting to be told. What was
// stored after any Apply can be loaded and gone on with: the machine that Load
// returns repeats its Ready and its Kill in the Out of its first Apply, and if
// there are any, Next is in the past until then. An expression that cannot be evaluated fails
// its task, with cause template. Rows that contradict the plan are a bug and
// panic.
//
// # What is not here
//
// Which worker a task goes to, slots and the order between runs (partition);
// killing at a timeout (worker); whether a node has ended (fence); YAML (spec);
// what an expression means (param). Nothing here reads a clock or a random
// number: jitter comes from the identity of the attempt.
package flow

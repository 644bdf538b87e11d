// Package agent decides for a worker: which dispatched attempt is started,
// which is refused, what is remembered, what is told, and when everything must
// die.
//
// # Purpose
//
// Machine is what a worker knows of its attempts. It stands in the runner, so
// that this knowledge dies only together with the task processes: an agent
// process that crashes loses nothing, because it has nothing.
//
// # State
//
// For each partition the highest epoch seen. For each task run that has an
// attempt here that its master has not yet told to forget: the generation, and
// how far it has come. And the deadline until which the node may act.
//
// # Invariants
//
//   - A generation is started at most once (P2): it is entered before it is
//     started, and an entered one is only ever answered.
//   - A generation is not started while an older one of its task run has not
//     ended here (P3).
//   - What was buried is never started.
//   - Nothing is started under an epoch lower than one seen (P4), nor at or
//     after the deadline (P3).
//
// # Failures
//
// The journal is written before any effect. A crash between the two leaves an
// attempt that is entered and was never started; the successor certifies it as
// lost, which is true: nothing of it runs, and nobody will ever start it.
//
// An entry goes when its master says Forget. By the law of the stream (package
// wire) no older Dispatch of that master can follow, and those of its
// predecessors carry a lower epoch: so nothing needs to be remembered after it.
//
// # What is not here
//
// Processes, files, sockets and clocks: package runner. Who fences whom:
// package fence.
package agent

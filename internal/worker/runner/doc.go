// Package runner is the parent of all task processes of a worker. It holds the
// node's deadline, keeps the journal of attempts, writes the logs, and kills.
//
// # Purpose
//
// A crash of the server must not disturb a task, and a task must not outlive
// the right to run it. So the processes belong to a small program of their
// own, without network and without store. The agent (package worker) comes and
// goes over a Link; what a worker knows stays here, in the machine of package
// agent, which this package drives.
//
// # State
//
// One loop (Runner.Run) owns the machine: it drains what has arrived, applies
// it, appends all records with one write, and only then starts, kills and
// tells. Beside it: N spawners, goroutines locked to their threads for ever,
// since the parent-death signal of a child follows the thread that made it; one
// goroutine per process that waits for its end; and the killer, which waits
// for the deadline on CLOCK_BOOTTIME and does not need the loop.
//
// # Invariants
//
//   - A record is in the journal before its effect is released, and an exit is
//     written before it is told.
//   - An exit is told when the last process of the attempt is dead, not when
//     the first is.
//   - From the deadline on nothing is started: it is looked at before and after
//     each clone.
//   - When Run returns, no task process lives, and the certificate that says so
//     is on the disk.
//
// # Failures
//
// The runner is killed: the processes get the parent-death signal, and a
// watchdog process, which holds the other end of a pipe, writes cgroup.kill.
// Certify then proves that nothing is left and reads the journal. The disk is
// full: outcomes are still told, new attempts are refused (see journal). The
// machine loses power: nothing of it runs; what had not reached the disk is
// lost, and on_lost decides.
//
// # What is not here
//
// Which attempt may start: package agent. What a task type does: package task.
// The lease, and talking to masters: package worker.
package runner

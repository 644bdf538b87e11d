// Package api answers HTTP requests: it turns a request into rows of the
// store, and rows of the store into answers.
//
// # State
//
// None of its own. It never talks to a master: a command becomes a row, and
// whoever owns the run's partition finds it. What it keeps in memory (compiled
// definitions) is a cache of rows that never change.
//
// # Invariants
//
// A command is in the store before it is answered, under the caller's
// idempotency key; a request that comes again under its key gets the first
// one's answer, whatever has become of the run since. The state of a task run
// is always what flow makes of the stored rows, never a row by itself. Values
// of secret parameters leave only masked.
//
// # Whom it answers
//
// There is no authentication yet, so it listens on loopback unless told
// otherwise. Loopback is not private to its user's programs: any web page can
// make a browser send requests there. So a request must name this server as
// the user would (localhost, an IP address, a configured name: a page that
// rebinds its own name to 127.0.0.1 is refused), and one that changes something
// must not come from another origin.
//
// # Failures
//
// Every error answer is an RFC 9457 problem; error.go alone says which error is
// which status. What nobody foresaw is a 500 with an id under which the log has
// the rest. A client that reads slowly costs one goroutine and one message:
// streams send the newest state, never a queue, and a write that does not move
// ends the connection.
//
// # What is not here
//
// Deciding anything about a run: see flow. Starting to listen, and on which
// address: see cmd/semel.
package api

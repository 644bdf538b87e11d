// Command semel runs workflows: in this process (run), as a server on this
// machine (standalone), or on a server that is already there (all others).
//
// # Structure
//
// One file per command, named after it; each builds its cobra command from
// flags to a struct of options, and has one function that does the work. Every
// command that touches runs speaks the HTTP API through client.Client, also to
// the engine in its own process, so there is one way in and one set of rules.
//
// # Output
//
// What was asked for goes to stdout, everything else to stderr. A terminal gets
// a live view (view.go, frame.go, screen.go), a pipe plain lines (plain.go),
// and --json exactly the JSON of the API.
//
// # What is not here
//
// Any rule about runs: see internal/flow. The wiring of the engine is in
// engine.go.
package main

import (
	"context"
	"os"
)

func main() {
	a := newApp()
	os.Exit(a.main(context.Background(), os.Args[1:]))
}

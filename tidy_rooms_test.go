package semel_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/semel-dev/semel"

// room is a package and what it may import of the other rooms. A pure room is
// one that decides: it does not touch the world, see pureBans.
type room struct {
	path string
	pure bool
	may  []string
}

// rooms is policy. It is not to be loosened to make a build pass: a new room
// or a new arrow is a commit of its own that says why, here and in its
// message. Test files may import more, see mayInTest.
var rooms = []room{
	// The rooms that decide, from the bottom up.
	{path: "internal/param", pure: true},
	{path: "internal/cron", pure: true},
	{path: "internal/fence", pure: true},
	{path: "internal/flow", pure: true, may: []string{
		"internal/param", // conditions and switches are evaluated while deciding
		"internal/fence", // an attempt names its node, and when it started and ended there
	}},
	{path: "internal/wire", pure: true, may: []string{
		"internal/flow",  // a dispatch carries the work, a report its outcome
		"internal/fence", // who speaks, and on which clock
	}},
	{path: "internal/partition", pure: true, may: []string{
		"internal/flow",  // it steps the runs that it owns
		"internal/cron",  // and fires their schedules
		"internal/fence", // attempts are placed on nodes, and end with them
		"internal/wire",  // its effects are messages
		"internal/param", // a run is started with parameters
	}},
	{path: "internal/agent", pure: true, may: []string{
		"internal/flow",  // outcomes and generations
		"internal/fence", // deadlines
		"internal/wire",  // messages are its input and its output
	}},
	{path: "internal/ledger", pure: true, may: []string{
		"internal/flow",  // attempts are what it checks
		"internal/fence", // and whether their times can be compared depends on the node
	}},

	// Words for people and for drivers.
	{path: "internal/fault"}, // named places where a test build can crash
	{path: "internal/task"},
	{path: "internal/alert"},
	{path: "internal/spec", may: []string{
		"internal/flow",  // YAML becomes a workflow
		"internal/cron",  // schedules are checked where they stand
		"internal/param", // and so are parameters and expressions
		"internal/task",  // the schema of a task type stands with the type
	}},

	// Contracts and what fulfils them.
	{path: "internal/store", may: []string{
		"internal/flow",      // runs and attempts are what is stored
		"internal/fence",     // and so are nodes
		"internal/partition", // a batch is what a partition puts out
	}},
	{path: "internal/store/*", may: []string{
		"internal/flow", "internal/fence", "internal/partition", "internal/store", // the contract and its nouns
		"internal/param", // parameters are stored with their types
		"internal/fault", // a test build crashes in the middle of a commit
	}},
	{path: "internal/registry"},
	{path: "internal/registry/*", may: []string{
		"internal/registry", // the contract
	}},

	// The rooms that act.
	{path: "internal/wire/stream", may: []string{
		"internal/wire",  // what it carries
		"internal/fence", // between whom
	}},
	{path: "internal/master", may: []string{
		"internal/flow", "internal/fence", "internal/partition", "internal/wire", // the machines it drives, and their nouns
		"internal/wire/stream", // workers dial in
		"internal/store",       // decide, commit, act
		"internal/registry",    // who is there
		"internal/alert",       // an alarm is an effect
		"internal/fault",       // a test build crashes between commit and effect
	}},
	{path: "internal/worker", may: []string{
		"internal/agent", "internal/flow", "internal/fence", "internal/wire", // what it relays
		"internal/wire/stream",   // it dials the masters
		"internal/registry",      // who is there
		"internal/worker/runner", // it watches the runner, as the runner watches it
		"internal/fault",
	}},
	{path: "internal/worker/runner", may: []string{
		"internal/agent",                                   // the machine stands in the runner, so that what it knows dies only with the processes
		"internal/flow", "internal/fence", "internal/wire", // its nouns
		"internal/task",  // carries an attempt out
		"internal/fault", // a test build crashes between journal and exec
	}},
	{path: "internal/api", may: []string{
		"internal/flow", "internal/fence", "internal/cron", "internal/param", "internal/partition", // the nouns it shows; a request is a command of a partition
		"internal/spec",   // definitions come as YAML
		"internal/store",  // a request becomes a row, never a call into a master
		"internal/ledger", // verify
	}},
	{path: "internal/api/client", may: []string{
		"internal/api",  // the same structs on both ends
		"internal/flow", // states
	}},
	{path: "internal/sim", may: []string{
		"internal/flow", "internal/param", "internal/cron", "internal/fence", "internal/wire",
		"internal/partition", "internal/agent", // the machines it drives
		"internal/store", "internal/ledger", // and what judges them
	}},

	// Store, master, worker and API in one process: what standalone, run and
	// the benchmarks bring up.
	{path: "internal/engine", may: []string{
		"internal/store", "internal/store/*", "internal/master", "internal/worker", "internal/worker/runner",
		"internal/wire", "internal/wire/stream", "internal/api", "internal/api/client", "internal/fence",
	}},

	// What others build on.
	{path: "coord", may: []string{
		"internal/registry", // recipes are written once, for every registry
	}},
	{path: "sdk", may: []string{
		"internal/agent", "internal/fence", "internal/flow", "internal/wire", // a handler is an attempt like any other
		"internal/wire/stream", // it dials the masters
	}},
	{path: "web"},

	// The places where everything meets.
	{path: "cmd/*", may: []string{"*"}},
	{path: "test/*", may: []string{"*"}},
}

// pureLibraries are the only modules of others that a pure room may import.
var pureLibraries = map[string][]string{
	"internal/param": {"cel.dev/cel-go"}, // bounded cost, no way out of the sandbox
}

// pureBans are the packages that no pure room may import, with what to do
// instead.
var pureBans = map[string]string{
	"context":      "a machine never waits",
	"os":           "a driver reads and writes files",
	"net":          "a driver talks",
	"net/http":     "a driver talks",
	"log":          "say it in the output, a driver logs it",
	"log/slog":     "say it in the output, a driver logs it",
	"sync":         "a machine has one owner",
	"sync/atomic":  "a machine has one owner",
	"math/rand":    "compute chance from the identity of the attempt",
	"math/rand/v2": "compute chance from the identity of the attempt",
	"crypto/rand":  "compute chance from the identity of the attempt",
	"database/sql": "put rows out, a driver stores them",
}

// pureClock are the parts of package time that read the clock or wait for it.
var pureClock = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

func roomOf(dir string) (room, bool) {
	for _, r := range rooms {
		if within(r.path, dir) {
			return r, true
		}
	}
	return room{}, false
}

// within reports whether the folder dir is the room that pattern names. The
// pattern "a/*" names everything below a.
func within(pattern, dir string) bool {
	if below, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(dir, below+"/")
	}
	return dir == pattern
}

// mayInTest are imports that only test files may have. Tests of a pure room
// stay in the pure world; tests of what acts may bring up any other room.
func (r room) mayInTest(imported string) bool {
	if imported == r.path || imported == "internal/store/memory" || imported == "internal/store/storetest" {
		return true
	}
	other, ok := roomOf(imported)
	if r.pure {
		return ok && other.pure
	}
	return ok && !strings.HasPrefix(imported, "cmd/")
}

func (r room) allows(imported string) bool {
	return slices.Contains(r.may, "*") || slices.ContainsFunc(r.may, func(p string) bool { return within(p, imported) })
}

// checkImports keeps the table of rooms.
func checkImports(files []*source) (faults []string) {
	for _, f := range files {
		if !f.isGo() || f.dir == "." {
			continue
		}
		r, ok := roomOf(f.dir)
		if !ok {
			faults = append(faults, f.at(f.ast.Package, "room %s is not in the table: add it to rooms in tidy_rooms_test.go, with what it may import and why", f.dir))
			continue
		}
		for _, spec := range f.ast.Imports {
			if why := refuse(f, r, strings.Trim(spec.Path.Value, `"`)); why != "" {
				faults = append(faults, f.at(spec.Pos(), "%s", why))
			}
		}
	}
	return faults
}

// refuse says why the file f of room r may not import what it imports; empty
// if it may.
func refuse(f *source, r room, imported string) string {
	inside, ours := strings.CutPrefix(imported, module+"/")
	switch {
	case ours && (r.allows(inside) || inside == f.dir && f.isTest()):
		return ""
	case ours && f.isTest() && r.mayInTest(inside):
		return ""
	case ours:
		return fmt.Sprintf("room %s may not import %s: if the arrow is right, add it to rooms in tidy_rooms_test.go and say why", f.dir, inside)
	case !r.pure || f.isTest():
		return ""
	case pureBans[imported] != "":
		return fmt.Sprintf("pure room %s may not import %s: %s", f.dir, imported, pureBans[imported])
	}
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return ""
	}
	for _, library := range pureLibraries[r.path] {
		if imported == library || strings.HasPrefix(imported, library+"/") {
			return ""
		}
	}
	return fmt.Sprintf("pure room %s may not import %s: add it to pureLibraries only if it cannot touch the world", f.dir, path.Clean(imported))
}

// Package fault names the places where a test build can be made to crash.
//
// In a build with the tag "faults", the variable SEMEL_FAULT says where:
//
//	SEMEL_FAULT=sqlite.commit.before:exit      dies when it first gets there
//	SEMEL_FAULT=sqlite.commit.before:exit:17   dies when it gets there for the 17th time
//
// To die is to be killed by SIGKILL: no deferred call runs, no buffer is
// flushed. In every other build a point is nothing.
package fault

// Variable is the environment variable that says where to crash.
const Variable = "SEMEL_FAULT"

// Names are all places, by room, in the order in which they are passed.
var Names = []string{
	"sqlite.migrate.before", // the file is there, and empty
	"sqlite.migrate.after",
	"sqlite.begin.before", // a group of writes is taken
	"sqlite.begin.after",
	"sqlite.rows.before", // one write of the group
	"sqlite.rows.after",
	"sqlite.commit.before", // all rows are written
	"sqlite.commit.after",  // they are durable, and nobody was told
	"master.effects.before",
}

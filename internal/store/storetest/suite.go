// Package storetest is the suite that every store passes, and a store that
// breaks as real ones do.
package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Run runs the suite. open returns a new, empty store, and closes it when the
// test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, world)
	}{
		{"Workflows", testWorkflows},
		{"WorkflowKeepsEverything", testWorkflowKeepsEverything},
		{"Submit", testSubmit},
		{"SubmitRefused", testSubmitRefused},
		{"Pending", testPending},
		{"Claim", testClaim},
		{"CommitIsNumbered", testCommitIsNumbered},
		{"CommitIsWhole", testCommitIsWhole},
		{"CommitRefused", testCommitRefused},
		{"CommitWritesWholeRows", testCommitWritesWholeRows},
		{"FinalAttemptStays", testFinalAttemptStays},
		{"RowsKeepEverything", testRowsKeepEverything},
		{"Load", testLoad},
		{"LoadRun", testLoadRun},
		{"Nodes", testNodes},
		{"Runs", testRuns},
		{"Attempts", testAttempts},
		{"Events", testEvents},
		{"EventsAreBounded", testEventsAreBounded},
		{"Stats", testStats},
		{"Changed", testChanged},
		{"SharesNothing", testSharesNothing},
		{"CancelledBefore", testCancelledBefore},
		{"Concurrent", testConcurrent},
		{"Cancellation", testCancellation},
		{"Health", testHealth},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, world{t: t, Store: open(t)})
		})
	}
}

// world is a store, and shortcuts that fail the test.
type world struct {
	store.Store
	t *testing.T
}

// start is the moment at which everything happens in the suite.
var start = time.Date(2026, 11, 21, 10, 0, 0, 123456000, time.UTC)

// sample returns a run of partition p with nothing left out. Samples with a
// higher n are newer.
func sample(p, n int) flow.Run {
	return flow.Run{
		ID:       flow.RunID(fmt.Sprintf("0193a5c0-%04x-7000-8000-%012x", n, p)),
		Workflow: "daily", Version: 3, Partition: p, State: flow.RunQueued, Reason: "because of \"this\" <&> 那",
		Params: param.Values{
			"text": "<a> & 'b' ü\u0001", "int": int64(1) << 62, "whole": float64(3), "part": 0.1, "tiny": 1e-300, "huge": 1e300,
			"yes": true, "none": nil, "list": []any{int64(1), 1.0, "x", []any{}},
			"map": map[string]any{"deep": map[string]any{"f": 2.0, "n": int64(-7)}},
		},
		Select:    flow.Select{Tasks: []string{"load", "extract"}, Ancestors: true, Descendants: true},
		Priority:  -5,
		Round:     2,
		CreatedAt: start.Add(time.Duration(n) * time.Second), StartedAt: start.Add(time.Hour), FinishedAt: start.Add(2 * time.Hour),
	}
}

func sampleTaskRun(run flow.RunID, task string) flow.TaskRun {
	return flow.TaskRun{
		Run: run, Task: task, State: flow.TaskRetrying, Cause: flow.CauseSpread, Reason: "waits for 抽取",
		Generation: 1 << 40, Number: 3, Retries: 2, Lost: 1, WakeAt: start.Add(time.Minute), Round: 4, FinishedAt: start.Add(time.Hour),
	}
}

func sampleAttempt(run flow.RunID, task string, number int) flow.Attempt {
	code := 3
	return flow.Attempt{
		Run: run, Task: task, Number: number, Generation: flow.Generation(number), Epoch: 7, Node: "10.0.0.1:7700@123",
		State: flow.AttemptFailed, Reason: "exit status 3", ExitCode: &code,
		Outputs: flow.Outputs{"rows": "42", "text": "<&>\n\"ü"}, Round: 1, Retries: 2, Lost: 3,
		DispatchedAt: start, Started: fence.Instant{Wall: start.Add(time.Second), Boot: 1 << 50},
		Finished: fence.Instant{Wall: start.Add(2 * time.Second), Boot: 1<<50 + 5},
	}
}

func sampleNode(id fence.NodeID) fence.Node {
	return fence.Node{
		ID: id, Role: fence.Master, Address: "10.0.0.1:7700", State: fence.Live, Slots: 8,
		MachineID: "m", BootID: "b", Containment: "cgroup", TTL: 15 * time.Second, StartedAt: start,
	}
}

// complete fails if a field of v is empty, so that a field that is new in a
// row is new in its sample too.
func complete(t *testing.T, v any, except ...string) {
	t.Helper()
	known := map[string]bool{}
	for _, name := range except {
		known[name] = true
	}
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		if name := value.Type().Field(i).Name; value.Field(i).IsZero() && !known[name] {
			t.Errorf("the sample of %T leaves %s empty", v, name)
		}
	}
}

// same fails if what was read is not what was wanted.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func command(kind partition.Kind, run flow.RunID, p int, key string) partition.Command {
	return partition.Command{
		ID: "id-" + key, Key: key, Kind: kind, Partition: p, Run: run,
		Digest: "digest", CreatedAt: start,
	}
}

// submitted stores a run by its start command.
func (w world) submitted(run flow.Run) partition.Command {
	w.t.Helper()
	c, repeated, err := w.Submit(w.t.Context(), command(partition.KindStart, run.ID, run.Partition, "start-"+string(run.ID)), &run)
	if err != nil || repeated {
		w.t.Fatalf("submit: %v, repeated %v", err, repeated)
	}
	return c
}

// claimed makes a node called owner the owner of partition p.
func (w world) claimed(p int, owner fence.NodeID) store.Position {
	w.t.Helper()
	position, err := w.Claim(w.t.Context(), p, owner, start)
	if err != nil {
		w.t.Fatal(err)
	}
	return position
}

// committed stores b as the next commit of its partition.
func (w world) committed(b partition.Batch) {
	w.t.Helper()
	b = w.next(b)
	if err := w.Commit(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
}

// next gives b the number that its partition waits for.
func (w world) next(b partition.Batch) partition.Batch {
	w.t.Helper()
	position := w.position(b.Partition)
	b.Epoch, b.Seq, b.At = position.Epoch, position.Seq+1, start
	return b
}

func (w world) position(p int) store.Position {
	w.t.Helper()
	position, err := w.Position(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return position
}

// must returns what was read.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

package worker

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
	"github.com/semel-dev/semel/internal/worker/runner"
)

func ref(task string) wire.Ref { return wire.Ref{Run: "r", Task: task, Generation: 1} }

// inherit plays a master that asks a dead node about attempts, forgets what it
// is told, and records the death. It returns what it was told, by task, and
// what was still unforgotten when the death came.
func inherit(t *testing.T, c *runner.Certificate, asked ...wire.Ref) (told map[string]wire.Phase, unforgotten int) {
	t.Helper()
	master, worker := stream.Pipe(wire.Hello{Dead: true})
	done := make(chan error, 1)
	go func() { done <- handOver(t.Context(), worker, c) }()
	owner := wire.Owner{Partition: 0, Epoch: 3}
	master.Send(wire.ToWorker{Welcome: &wire.Welcome{Partitions: 1}})
	master.Send(wire.ToWorker{Ask: []wire.Ask{{Owner: owner, Refs: asked}}})
	told = map[string]wire.Phase{}
	open := map[wire.Ref]bool{}
	for i := range c.Finished {
		open[c.Finished[i].Ref] = true
	}
	for {
		msg, err := master.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var refs []wire.Ref
		for _, r := range msg.Reports {
			told[r.Ref.Task] = r.Phase
			refs = append(refs, r.Ref)
			delete(open, r.Ref)
		}
		if len(refs) > 0 {
			master.Send(wire.ToWorker{Forget: []wire.Forget{{Owner: owner, Refs: refs}}})
		}
		if len(msg.Deaths) > 0 {
			unforgotten = len(open)
			master.Send(wire.ToWorker{Ended: []fence.NodeID{c.Node}})
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return told, unforgotten
}

func TestMourn_HandsOverBeforeItTellsOfTheDeath(t *testing.T) {
	c := &runner.Certificate{
		Node:     "w@1",
		Finished: []wire.Report{{Ref: ref("finished"), Phase: wire.Finished, Outcome: &flow.Outcome{Result: flow.Succeeded}}},
		Lost:     []wire.Ref{ref("lost")},
	}
	told, unforgotten := inherit(t, c, ref("finished"), ref("lost"), ref("never came"))
	want := map[string]wire.Phase{"finished": wire.Finished, "never came": wire.Buried}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if unforgotten != 0 {
		t.Errorf("the death came while %d exit records were not taken", unforgotten)
	}
}

// After a power cut the journal may lack its end: what is not in it may have
// run, and on_lost decides.
func TestMourn_BuriesNothingByATornJournal(t *testing.T) {
	told, _ := inherit(t, &runner.Certificate{Node: "w@1", Torn: true}, ref("a"))
	if len(told) != 0 {
		t.Errorf("told %v of an attempt that may have run", told)
	}
}

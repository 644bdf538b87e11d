package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// world feeds a machine arbitrary messages and plays its processes.
type world struct {
	m       *Machine
	journal []Record
	now     fence.Boot
	started map[wire.Ref]int
	live    map[string]flow.Generation // by task: what runs
	buried  map[wire.Ref]bool
	epoch   flow.Epoch // highest ever sent
}

func (w *world) apply(t *rapid.T, in Input) {
	w.now++
	out := w.m.Apply(at(w.now), in)
	w.journal = append(w.journal, out.Journal...)
	for _, d := range out.Start {
		w.starts(t, &d)
	}
	for _, r := range out.Reports {
		if r.Phase == wire.Buried {
			w.buried[r.Ref] = true
		}
	}
}

func (w *world) starts(t *rapid.T, d *wire.Dispatch) {
	r := d.Ref()
	w.started[r]++
	if w.started[r] > 1 {
		t.Fatalf("P2: %v started %d times", r, w.started[r])
	}
	if g, ok := w.live[r.Task]; ok {
		t.Fatalf("P3: %v started while generation %d lives", r, g)
	}
	if d.Owner.Epoch < w.epoch {
		t.Fatalf("P4: %v started under epoch %d after epoch %d", r, d.Owner.Epoch, w.epoch)
	}
	if w.buried[r] {
		t.Fatalf("%v was buried and started", r)
	}
	w.live[r.Task] = r.Generation
}

// TestMachine_KeepsItsPromises sends anything in any order, as a network
// without any law might; only Forget is left to masters that keep theirs.
func TestMachine_KeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{m: New("w@1"), started: map[wire.Ref]int{}, live: map[string]flow.Generation{}, buried: map[wire.Ref]bool{}}
		w.journal = []Record{{Node: "w@1"}}
		w.apply(t, Extend{Deadline: 10_000})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			task := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "task")
			g := flow.Generation(rapid.IntRange(1, 4).Draw(t, "generation"))
			o := wire.Owner{Epoch: flow.Epoch(rapid.IntRange(1, 3).Draw(t, "epoch"))}
			var msg wire.ToWorker
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				msg.Dispatch = []wire.Dispatch{{Owner: o, Work: flow.Work{Run: run, Task: task, Generation: g}}}
			case 1:
				msg.Ask = []wire.Ask{{Owner: o, Refs: []wire.Ref{ref(task, g)}}}
			case 2:
				msg.Kill = []wire.Kill{{Owner: o, Ref: ref(task, g)}}
			case 3:
				if live, ok := w.live[task]; ok {
					delete(w.live, task)
					w.apply(t, Exited{Ref: ref(task, live), Outcome: flow.Outcome{Result: flow.Failed}})
				}
				continue
			case 4: // a crash: only the journal is left, and the machine's processes
				w.m = Replay(w.journal)
				w.apply(t, Extend{Deadline: 10_000})
				continue
			}
			w.apply(t, Message{msg})
			w.epoch = max(w.epoch, o.Epoch)
		}
		compacted := Replay(w.m.Compact())
		if diff := cmp.Diff(w.m.Pending(), compacted.Pending()); diff != "" {
			t.Fatalf("a compacted journal tells something else (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(w.m.Pending(), Replay(w.journal).Pending()); diff != "" {
			t.Fatalf("the journal tells something else (-machine +journal):\n%s", diff)
		}
	})
}

package runner

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

// large is a message of many parts; the texts of each dispatch take kib KiB.
func large(dispatches, kib int) ToRunner {
	until := fence.Boot(1)
	var refs []wire.Ref
	for i := range 2*refsMax + 1 {
		refs = append(refs, wire.Ref{Run: testRun, Task: strconv.Itoa(i), Generation: 1})
	}
	m := &wire.ToWorker{
		Ask:    []wire.Ask{{Owner: wire.Owner{Partition: 1}, Refs: refs}, {Owner: wire.Owner{Partition: 2}}},
		Kill:   []wire.Kill{{Ref: refs[0], Reason: "asked"}},
		Forget: []wire.Forget{{Owner: wire.Owner{Partition: 3}, Refs: refs[:3]}},
	}
	for i := range dispatches {
		m.Dispatch = append(m.Dispatch, wire.Dispatch{Work: flow.Work{Run: testRun, Task: strconv.Itoa(i), Env: []string{strings.Repeat("x", kib<<10)}}})
	}
	return ToRunner{Extend: &until, Attach: true, Message: m, Shutdown: true}
}

func TestSplit_StaysSmallCompleteAndInOrder(t *testing.T) {
	const limit = 1 << 20
	m := large(100, 180)
	m.Message.Dispatch[50].Work.Env[0] = strings.Repeat("x", 3<<20)
	pieces := split(m, limit)
	got := ToRunner{Message: &wire.ToWorker{}}
	furthest := 0 // kind of part that came so far
	for i, piece := range pieces {
		w := piece.Message
		size := 0
		for j := range w.Dispatch {
			size += dispatchSize(&w.Dispatch[j])
		}
		if size > limit && len(w.Dispatch)+len(w.Ask)+len(w.Kill)+len(w.Forget) > 1 {
			t.Errorf("piece %d has %d bytes of %d dispatches", i, size, len(w.Dispatch))
		}
		if (piece.Extend != nil || piece.Attach) != (i == 0) || piece.Shutdown != (i == len(pieces)-1) {
			t.Errorf("piece %d of %d: %+v; what is first has to come first, and the end last", i, len(pieces), piece)
		}
		for kind, n := range []int{len(w.Ask), len(w.Dispatch), len(w.Kill), len(w.Forget)} {
			if n > 0 && kind < furthest {
				t.Errorf("piece %d has parts of kind %d after those of kind %d", i, kind, furthest)
			}
			if n > 0 {
				furthest = kind
			}
		}
		for _, ask := range w.Ask {
			if last := len(got.Message.Ask) - 1; last >= 0 && got.Message.Ask[last].Owner == ask.Owner {
				got.Message.Ask[last].Refs = slices.Concat(got.Message.Ask[last].Refs, ask.Refs)
			} else {
				got.Message.Ask = append(got.Message.Ask, ask)
			}
		}
		got.Message.Dispatch = append(got.Message.Dispatch, w.Dispatch...)
		got.Message.Kill = append(got.Message.Kill, w.Kill...)
		got.Message.Forget = append(got.Message.Forget, w.Forget...)
	}
	got.Extend, got.Attach, got.Shutdown = pieces[0].Extend, pieces[0].Attach, pieces[len(pieces)-1].Shutdown
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(pieces) < 100*180/1024 {
		t.Errorf("%d pieces", len(pieces))
	}
	if whole := split(large(3, 1), pieceMax); len(whole) != 1 {
		t.Errorf("%d pieces of a message that fits into one frame", len(whole))
	}
}

// TestSocket_TakesLargeMessages: a batch of any size goes through, and one
// attempt that is too large for a frame is refused without harm to the others.
func TestSocket_TakesLargeMessages(t *testing.T) {
	w := spawnWorker(t, t.TempDir())
	w.extend(time.Hour)
	link := w.link.(*remote)
	link.piece, link.frame = 16<<10, 128<<10
	var m wire.ToWorker
	for i := range 100 {
		kib := 5
		if i == 50 {
			kib = 200
		}
		m.Dispatch = append(m.Dispatch, wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: w.fill(flow.Work{
			Type: task.TypeNoop, Config: config(task.Noop{}), Env: []string{"A=" + strings.Repeat("x", kib<<10)}, Secrets: []string{"hunter2"},
		})})
	}
	w.send(ToRunner{Message: &m})
	for i := range m.Dispatch {
		o := w.outcome(m.Dispatch[i].Ref())
		if i == 50 && (o.Result != flow.Refused || !strings.HasPrefix(o.Reason, "its settings and its environment take 20")) || i != 50 && o.Result != flow.Succeeded {
			t.Errorf("dispatch %d: %+v", i, o)
		}
	}
	big := m.Dispatch[50].Ref()
	clear(w.told)
	w.send(ToRunner{Attach: true})
	if o := w.outcome(big); o.Result != flow.Refused {
		t.Errorf("%+v: a refusal is told until it is forgotten", o)
	}
}

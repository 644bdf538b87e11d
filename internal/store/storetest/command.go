package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func testSubmit(t *testing.T, w world) {
	ctx, run := t.Context(), sample(1, 1)
	first := w.submitted(run)
	same(t, "run", must[flow.Run](t)(w.Run(ctx, run.ID)), run)

	// The same request again stores nothing and gets the first answer, even if
	// it made up another run.
	other := sample(1, 2)
	again := command(partition.KindStart, other.ID, 1, first.Key)
	stored, repeated, err := w.Submit(ctx, again, &other)
	if err != nil || !repeated {
		t.Errorf("repeated request: %v, repeated %v", err, repeated)
	}
	same(t, "repeated request", stored, first)
	if _, err := w.Run(ctx, other.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a repeated request stored a run: %v", err)
	}

	again.Digest = "of another request"
	if _, _, err := w.Submit(ctx, again, &other); !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("the same key with another request: %v", err)
	}

	stop := command(partition.KindStop, run.ID, 1, "stop")
	stop.Args = json.RawMessage(`{"by":"ü <&>"}`)
	stored, _, err = w.Submit(ctx, stop, nil)
	if err != nil || stored.Sequence <= first.Sequence {
		t.Errorf("second command: sequence %d after %d, %v", stored.Sequence, first.Sequence, err)
	}
	stop.Sequence = stored.Sequence
	same(t, "what Submit returned", stored, stop)
	same(t, "command", must[partition.Command](t)(w.Command(ctx, stop.ID)), stop)
	if _, err := w.Command(ctx, "nobody's"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown command: %v", err)
	}
}

func testSubmitRefused(t *testing.T, w world) {
	ctx, known, fresh := t.Context(), sample(1, 1), sample(1, 2)
	w.submitted(known)
	for name, c := range map[string]struct {
		command partition.Command
		run     *flow.Run
		want    error
	}{
		"run not there":           {command(partition.KindStop, "nobody's", 1, "1"), nil, store.ErrNotFound},
		"start without a run":     {command(partition.KindStart, fresh.ID, 1, "2"), nil, nil},
		"start of another run":    {command(partition.KindStart, "other", 1, "3"), &fresh, nil},
		"start elsewhere":         {command(partition.KindStart, fresh.ID, 2, "4"), &fresh, nil},
		"start of a run there is": {command(partition.KindStart, known.ID, 1, "5"), &known, nil},
		"stop with a run":         {command(partition.KindStop, fresh.ID, 1, "6"), &fresh, nil},
		"no key":                  {partition.Command{ID: "x", Kind: partition.KindStop, Partition: 1, Run: known.ID}, nil, nil},
	} {
		_, _, err := w.Submit(ctx, c.command, c.run)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want an error %v", name, err, c.want)
		}
	}
	if _, err := w.Run(ctx, fresh.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused start left its run behind: %v", err)
	}
	if list := must[[]partition.Command](t)(w.Pending(ctx, 1, 0, 10)); len(list) != 1 {
		t.Errorf("%d commands are stored, want the first one only", len(list))
	}
}

func testPending(t *testing.T, w world) {
	ctx := t.Context()
	var all []partition.Command
	for i := range 5 {
		c := w.submitted(sample(1, i))
		all = append(all, c)
		w.submitted(sample(2, i))
	}
	w.claimed(1, "a")
	w.committed(partition.Batch{Partition: 1, Commands: []partition.Consumed{
		{Sequence: all[1].Sequence}, {Sequence: all[3].Sequence, Refused: "too late"},
	}})
	for _, c := range []struct {
		after uint64
		limit int
		want  []int
	}{
		{0, 10, []int{0, 2, 4}},
		{0, 2, []int{0, 2}},
		{all[0].Sequence, 10, []int{2, 4}},
		{all[1].Sequence, 1, []int{2}},
		{all[4].Sequence, 10, nil},
		{1 << 40, 10, nil},
		{0, 0, nil},
	} {
		var want []partition.Command
		for _, i := range c.want {
			want = append(want, all[i])
		}
		same(t, fmt.Sprintf("pending after %d, %d at most", c.after, c.limit),
			must[[]partition.Command](t)(w.Pending(ctx, 1, c.after, c.limit)), want)
	}
	refused := must[partition.Command](t)(w.Command(ctx, all[3].ID))
	if !refused.DoneAt.Equal(start) || refused.Refused != "too late" {
		t.Errorf("refused command: %+v", refused)
	}
}

func testChanged(t *testing.T, w world) {
	c, cancel := w.Changed()
	told := func() bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	if told() {
		t.Error("told before anything happened")
	}
	w.submitted(sample(1, 1))
	if !told() {
		t.Error("not told of a submit")
	}
	w.claimed(1, "a")
	w.committed(partition.Batch{Partition: 1, Events: []partition.Event{{At: start, Cause: "x"}}})
	w.committed(partition.Batch{Partition: 1, Events: []partition.Event{{At: start, Cause: "y"}}})
	if !told() || told() {
		t.Error("two commits that nobody looked for are one value")
	}
	cancel()
	w.submitted(sample(1, 2))
	if told() {
		t.Error("told after cancel")
	}
	cancel() // harmless
}

func testHealth(t *testing.T, w world) {
	if err := w.Health(t.Context()); err != nil {
		t.Errorf("a good store is not healthy: %v", err)
	}
	before := must[store.Stats](t)(w.Stats(t.Context()))
	w.submitted(sample(1, 1))
	if after := must[store.Stats](t)(w.Stats(t.Context())); after.Pending != before.Pending+1 {
		t.Errorf("pending %d after %d", after.Pending, before.Pending)
	}
	if _, err := w.Events(t.Context(), "", int(time.Hour)); err != nil {
		t.Errorf("a page larger than any: %v", err)
	}
}

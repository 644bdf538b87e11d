package storetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/memory"
	"github.com/semel-dev/semel/internal/store/storetest"
)

func TestFaulty_PassesTheSuite(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewFaulty(memory.Open(), storetest.Script()) })
}

func TestFaulty_Commit(t *testing.T) {
	for name, c := range map[string]struct {
		fault  storetest.Fault
		want   error
		stored uint64
	}{
		"none":      {storetest.None, nil, 1},
		"forgotten": {storetest.Forgotten, store.ErrUnknown, 0},
		"swallowed": {storetest.Swallowed, store.ErrUnknown, 1},
		"full":      {storetest.Full, store.ErrFull, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s := t.Context(), storetest.NewFaulty(memory.Open(), storetest.Script(c.fault))
			if _, err := s.Claim(ctx, 1, "a", time.Now()); err != nil {
				t.Fatal(err)
			}
			b := &partition.Batch{Partition: 1, Epoch: 1, Seq: 1, At: time.Now()}
			if err := s.Commit(ctx, b); !errors.Is(err, c.want) {
				t.Errorf("commit: %v, want %v", err, c.want)
			}
			if got, err := s.Position(ctx, 1); err != nil || got.Seq != c.stored {
				t.Errorf("stands at %d, %v, want %d", got.Seq, err, c.stored)
			}
			if s.Injected(c.fault) != 1 {
				t.Error("the fault was not counted")
			}
			// The same batch again is always right.
			if err := s.Commit(ctx, b); err != nil {
				t.Errorf("commit again: %v", err)
			}
		})
	}
}

func TestFaulty_Submit(t *testing.T) {
	ctx := t.Context()
	s := storetest.NewFaulty(memory.Open(), storetest.Script(storetest.Swallowed, storetest.Forgotten, storetest.Full))
	run := flow.Run{ID: "r", Partition: 1, State: flow.RunQueued}
	c := partition.Command{ID: "c", Key: "k", Kind: partition.KindStart, Run: "r", Partition: 1}
	for i, want := range []error{store.ErrUnknown, store.ErrUnknown, store.ErrFull} {
		if _, _, err := s.Submit(ctx, c, &run); !errors.Is(err, want) {
			t.Errorf("submit %d: %v, want %v", i, err, want)
		}
	}
	if stored, repeated, err := s.Submit(ctx, c, &run); err != nil || !repeated || stored.Sequence != 1 {
		t.Errorf("submit in the end: %+v, repeated %v, %v", stored, repeated, err)
	}
}

func TestSeeded(t *testing.T) {
	plan, again := storetest.Seeded(7, 30), storetest.Seeded(7, 30)
	counts := map[storetest.Fault]int{}
	for n := range 1000 {
		if plan(n) != again(n) {
			t.Fatal("the same seed breaks other calls")
		}
		counts[plan(n)]++
	}
	for fault, least := range map[storetest.Fault]int{storetest.None: 600, storetest.Forgotten: 50, storetest.Swallowed: 50, storetest.Full: 50} {
		if counts[fault] < least {
			t.Errorf("fault %d came %d times in 1000, want %d at least", fault, counts[fault], least)
		}
	}
}

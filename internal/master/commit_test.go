package master_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store/memory"
	"github.com/semel-dev/semel/internal/store/storetest"
)

// A commit whose answer is lost, whether or not it took place, and a full disk:
// none of them loses or repeats anything.
func TestP5_CommitsWithUnknownOutcomes(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { breakCommits(t, seed) })
	}
}

func breakCommits(t *testing.T, seed uint64) {
	s := storetest.NewFaulty(memory.Open(), storetest.Script())
	cluster(t, s, 4)
	for i := range 10 {
		submit(t, s, partition.KindStart, i, "")
	}
	s.Break(storetest.Seeded(seed, 40))
	m, stop := start(t, s, 1)
	w := newWorker(t, "w@1")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { w.serve(ctx, m); close(served) }()
	for i := range 10 {
		until(t, s, i, flow.RunSucceeded)
	}
	if s.Injected(storetest.Forgotten)+s.Injected(storetest.Swallowed)+s.Injected(storetest.Full) == 0 {
		t.Fatal("no fault was injected: this has shown nothing")
	}
	s.Break(storetest.Script())
	cancel()
	<-served
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for ref, n := range w.starts {
		if n != 1 {
			t.Errorf("seed %d: %v started %d times", seed, ref, n)
		}
	}
	if len(w.starts) != 40 {
		t.Errorf("seed %d: %d attempts started, want 40", seed, len(w.starts))
	}
}

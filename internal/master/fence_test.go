package master_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store/memory"
)

// A worker that nobody can certify, since its data directory is gone, holds
// nothing for ever: once its lease is over what it had is lost, and not before.
func TestP1_ASilentWorkerIsFencedWhenItsLeaseIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.Open()
		cluster(t, s, 1)
		m, stop := start(t, s, 1)
		gone := newWorker(t, "gone@1")
		gone.held = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() { gone.serve(ctx, m); close(served) }()
		submit(t, s, partition.KindStart, 0, "")
		m.Wake()
		synctest.Wait()
		cancel()
		<-served
		parted := time.Now()

		w := newWorker(t, "w@1")
		ctx, cancel = context.WithCancel(t.Context())
		served = make(chan struct{})
		go func() { w.serve(ctx, m); close(served) }()
		until(t, s, 0, flow.RunSucceeded)
		if waited := time.Since(parted); waited < leaseTTL || waited > leaseTTL+leaseTTL/10+time.Second {
			t.Errorf("it was fenced after %v, want its lease of %v and the drift", waited, leaseTTL)
		}
		nodes, err := s.NodeList(t.Context())
		if err != nil || !slices.ContainsFunc(nodes, func(n fence.Node) bool { return n.ID == "gone@1" && n.State == fence.Fenced }) {
			t.Errorf("nodes %+v, %v: gone@1 is not fenced", nodes, err)
		}
		cancel()
		<-served
		close(gone.held)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// A store that was brought back from a backup is at an epoch that the workers
// have left behind: the owner claims on until they listen again.
func TestP1_AStoreRestoredFromABackupGoesOn(t *testing.T) {
	s := memory.Open()
	cluster(t, s, 2)
	w := newWorker(t, "w@1")
	w.apply(newOwner(8)) // of owners that the backup does not know of
	m, _ := start(t, s, 1)
	go w.serve(t.Context(), m)
	submit(t, s, partition.KindStart, 0, "")
	m.Wake()
	until(t, s, 0, flow.RunSucceeded)
	position, err := s.Position(t.Context(), 0)
	if err != nil || position.Epoch <= 8 {
		t.Errorf("epoch %d, %v: want one above 8", position.Epoch, err)
	}
}

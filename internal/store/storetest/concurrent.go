package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func testCancelledBefore(t *testing.T, w world) {
	run := sample(1, 1)
	w.claimed(1, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := w.next(partition.Batch{Partition: 1, Runs: []flow.Run{run}})
	if err := w.Commit(ctx, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if _, _, err := w.Submit(ctx, command(partition.KindStart, run.ID, 1, "k"), &run); !errors.Is(err, context.Canceled) {
		t.Errorf("submit: %v", err)
	}
	if _, err := w.Run(ctx, run.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	if _, err := w.Run(t.Context(), run.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was cancelled was stored: %v", err)
	}
	same(t, "position", w.position(1), store.Position{Partition: 1, Epoch: 1, Owner: "a"})
}

// testConcurrent lets many commit at once, each to a partition of its own, and
// some of them wrongly: each gets the answer to its own request.
func testConcurrent(t *testing.T, w world) {
	const writers, commits = 8, 40
	var group sync.WaitGroup
	for p := range writers {
		w.claimed(p, "a")
		group.Go(func() {
			for seq := uint64(1); seq <= commits; seq++ {
				run := sample(p, int(seq))
				b := partition.Batch{Partition: p, Epoch: 1, Seq: seq, At: start, Runs: []flow.Run{run}}
				wrong := b
				wrong.Attempts = []flow.Attempt{sampleAttempt("nobody's", "t", 1)}
				if err := w.Commit(t.Context(), &wrong); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("a commit that is wrong: %v", err)
				}
				if err := w.Commit(t.Context(), &b); err != nil {
					t.Errorf("a commit that is right: %v", err)
				}
				// What was acknowledged is seen by whoever asks next.
				if _, err := w.Run(t.Context(), run.ID); err != nil {
					t.Errorf("after the commit: %v", err)
				}
			}
		})
	}
	group.Wait()
	for p := range writers {
		if got := w.position(p); got.Seq != commits {
			t.Errorf("partition %d stands at %d, want %d", p, got.Seq, commits)
		}
		if s := must[store.Snapshot](t)(w.Load(t.Context(), p)); len(s.Runs) != commits {
			t.Errorf("partition %d has %d runs, want %d", p, len(s.Runs), commits)
		}
	}
}

// testCancellation gives every commit a tiny random time. Whatever is told is
// true, and every batch is there whole or not at all.
func testCancellation(t *testing.T, w world) {
	const writers, tries, rows = 8, 250, 5
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var group sync.WaitGroup
	for p := range writers {
		w.claimed(p, "a")
		random := rand.New(rand.NewPCG(seed, uint64(p)))
		group.Go(func() {
			seq, id := uint64(0), sample(p, 1)
			for range tries {
				b := partition.Batch{Partition: p, Epoch: 1, Seq: seq + 1, At: start, Runs: []flow.Run{id}}
				for row := range rows {
					b.Attempts = append(b.Attempts, sampleAttempt(id.ID, fmt.Sprint("t", row), int(seq)+1))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(2*time.Millisecond))))
				err := w.Commit(ctx, &b)
				cancel()
				switch {
				case err == nil:
					seq++
				case !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("commit: %v", err)
				}
			}
			if got := w.position(p); got.Seq != seq {
				t.Errorf("partition %d stands at %d, and was told %d", p, got.Seq, seq)
			}
			if seq == 0 {
				return // every one was cancelled, the run's row too
			}
			if got := must[[]flow.Attempt](t)(w.Attempts(t.Context(), id.ID, "")); len(got) != int(seq)*rows {
				t.Errorf("partition %d has %d rows, want %d", p, len(got), int(seq)*rows)
			}
		})
	}
	group.Wait()
}

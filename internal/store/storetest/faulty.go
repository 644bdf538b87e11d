package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// Fault is how one Commit or Submit of a Faulty store goes wrong.
type Fault int

// The faults. After Forgotten and Swallowed the caller knows the same:
// nothing.
const (
	None      Fault = iota // it goes right
	Forgotten              // ErrUnknown, and nothing was written
	Swallowed              // ErrUnknown, and all was written: the answer is lost
	Full                   // ErrFull, and nothing was written
)

// Plan says how call number n (from 0, both methods counted together) goes.
type Plan func(n int) Fault

// Script breaks the first calls as listed, and no other.
func Script(faults ...Fault) Plan {
	return func(n int) Fault {
		if n < len(faults) {
			return faults[n]
		}
		return None
	}
}

// Seeded breaks each call with a chance of percent in 100, each kind alike.
func Seeded(seed uint64, percent int) Plan {
	return func(n int) Fault {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		if random.IntN(100) >= percent {
			return None
		}
		return Forgotten + Fault(random.IntN(int(Full)))
	}
}

// Faulty is a store whose Commit and Submit go wrong by plan. What it says
// about the outcome is always true.
type Faulty struct {
	store.Store

	mu       sync.Mutex
	plan     Plan
	calls    int
	injected map[Fault]int
}

// NewFaulty returns s with faults.
func NewFaulty(s store.Store, plan Plan) *Faulty {
	return &Faulty{Store: s, plan: plan, injected: map[Fault]int{}}
}

// Break sets a new plan, whose calls are counted from 0 again.
func (f *Faulty) Break(plan Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan, f.calls = plan, 0
}

// Injected returns how many calls went wrong in this way: a test that met no
// fault has shown nothing.
func (f *Faulty) Injected(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected[fault]
}

func (f *Faulty) next() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := f.plan(f.calls)
	f.calls++
	f.injected[fault]++
	return fault
}

var errInjected = errors.New("injected by a test")

// inject calls write, or not, and answers as the fault says.
func inject(fault Fault, write func() error) error {
	switch fault {
	case None:
		return write()
	case Forgotten:
		return fmt.Errorf("%w: %w", store.ErrUnknown, errInjected)
	case Swallowed:
		// A write that is refused is refused before its outcome can be unknown.
		if err := write(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", store.ErrUnknown, errInjected)
	case Full:
		return fmt.Errorf("%w: %w", store.ErrFull, errInjected)
	}
	panic(fmt.Sprintf("storetest: no fault %d", fault))
}

// Commit is store.Partitions.
func (f *Faulty) Commit(ctx context.Context, b *partition.Batch) error {
	return inject(f.next(), func() error { return f.Store.Commit(ctx, b) })
}

// Submit is store.Commands.
func (f *Faulty) Submit(ctx context.Context, c partition.Command, run *flow.Run) (stored partition.Command, repeated bool, err error) {
	err = inject(f.next(), func() (err error) {
		stored, repeated, err = f.Store.Submit(ctx, c, run)
		return err
	})
	if err != nil {
		return partition.Command{}, false, err
	}
	return stored, repeated, nil
}

package master

import (
	"maps"
	"sync"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// Totals are what this master has committed since it was made.
type Totals struct {
	Commits  uint64
	Rows     uint64
	Finished map[flow.AttemptState]uint64 // attempts, by final state
}

// tally adds up commits. An attempt is counted once: its final row is in one
// batch, and never changes.
type tally struct {
	mu     sync.Mutex
	totals Totals
}

func (t *tally) add(b *partition.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.totals.Commits++
	t.totals.Rows += uint64(len(b.Runs) + len(b.TaskRuns) + len(b.Attempts) + len(b.Commands) + len(b.Events))
	if t.totals.Finished == nil {
		t.totals.Finished = map[flow.AttemptState]uint64{}
	}
	for i := range b.Attempts {
		if state := b.Attempts[i].State; state.Final() {
			t.totals.Finished[state]++
		}
	}
}

// Totals returns what was committed so far.
func (m *Master) Totals() Totals {
	m.tally.mu.Lock()
	defer m.tally.mu.Unlock()
	totals := m.tally.totals
	totals.Finished = maps.Clone(totals.Finished)
	return totals
}

package agent

import (
	"maps"
	"slices"

	"github.com/semel-dev/semel/internal/wire"
)

// Replay returns the machine that wrote these records. Its deadline is not in
// the journal: a lease does not survive the process that held it.
func Replay(records []Record) *Machine {
	m := New("")
	for i := range records {
		m.replay(&records[i])
	}
	return m
}

func (m *Machine) replay(r *Record) {
	switch {
	case r.Node != "":
		m.node = r.Node
	case r.Epoch != nil:
		m.epochs[r.Epoch.Partition] = max(m.epochs[r.Epoch.Partition], r.Epoch.Epoch)
	case r.Accepted != nil:
		m.enter(r.Accepted)
	case r.Spawned != nil:
		if e, ok := m.current(r.Spawned.Ref); ok && e.phase == wire.Accepted {
			e.phase, e.started = wire.Running, r.Spawned.At
		}
	case r.Exited != nil:
		if e, ok := m.current(r.Exited.Ref); ok && e.live() {
			e.end(&r.Exited.Outcome)
		}
	case r.Buried != nil:
		m.bury(r.Buried.Partition, r.Buried.Ref, &Out{})
	case r.Forgot != nil:
		m.forget(&wire.Forget{Refs: r.Forgot}, &Out{})
	}
}

// Compact returns the fewest records that replay to this machine.
func (m *Machine) Compact() []Record {
	records := []Record{{Node: m.node}}
	for _, p := range slices.Sorted(maps.Keys(m.epochs)) {
		records = append(records, Record{Epoch: &wire.Owner{Partition: p, Epoch: m.epochs[p]}})
	}
	for _, e := range m.inOrder() {
		ref := e.dispatch.Ref()
		if e.phase == wire.Buried {
			records = append(records, Record{Buried: &BuriedRecord{Partition: e.dispatch.Owner.Partition, Ref: ref}})
			continue
		}
		d := e.dispatch
		records = append(records, Record{Accepted: &d})
		if e.barred > 0 {
			barred := ref
			barred.Generation = e.barred
			records = append(records, Record{Buried: &BuriedRecord{Partition: e.dispatch.Owner.Partition, Ref: barred}})
		}
		if e.started.Boot != 0 {
			records = append(records, Record{Spawned: &Spawned{Ref: ref, At: e.started}})
		}
		if e.outcome != nil {
			records = append(records, Record{Exited: &Exited{Ref: ref, Outcome: *e.outcome}})
		}
	}
	return records
}

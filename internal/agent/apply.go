package agent

import (
	"fmt"
	"slices"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// Machine is the worker machine. The zero value is of no use: New and Replay
// make one.
type Machine struct {
	node     fence.NodeID
	epochs   map[int]flow.Epoch
	entries  map[taskRun]*entry
	entered  uint64 // orders entries by the time they came
	deadline fence.Boot
	expired  bool
}

// taskRun names a task run across runs.
type taskRun struct {
	run  flow.RunID
	task string
}

// entry is the newest attempt of a task run on this worker.
type entry struct {
	order    uint64
	dispatch wire.Dispatch   // without config, environment and secrets once it was handed over
	phase    wire.Phase      // accepted, running, finished or buried
	barred   flow.Generation // a later one that was buried while this one lived; zero: none
	started  fence.Instant
	outcome  *flow.Outcome
}

// New returns the machine of a node that has not yet heard of anything.
func New(node fence.NodeID) *Machine {
	return &Machine{node: node, epochs: map[int]flow.Epoch{}, entries: map[taskRun]*entry{}}
}

// Node returns whose machine this is.
func (m *Machine) Node() fence.NodeID { return m.node }

// Apply takes one input and decides. Staleness first, then the case.
func (m *Machine) Apply(now fence.Instant, in Input) Out {
	var out Out
	m.expire(now, &out)
	switch in := in.(type) {
	case Message:
		m.message(now, &in, &out)
	case Spawned:
		m.spawned(in, &out)
	case Exited:
		m.exited(in, &out)
	case Attached:
		out.Reports = m.Pending()
	case Extend:
		m.extend(now, in)
	case Tick: // expire has looked at the clock
	default:
		panic(fmt.Sprintf("agent: unknown input %T", in))
	}
	return out
}

// expire notices the deadline, once. An Extend that arrives late must not
// bring back a lease that has ended without the processes having been killed:
// so it is looked at first, whatever the input.
func (m *Machine) expire(now fence.Instant, out *Out) {
	if m.deadline == 0 || m.expired || now.Boot < m.deadline {
		return
	}
	m.expired = true
	out.Expire = true
}

func (m *Machine) extend(now fence.Instant, in Extend) {
	if in.Deadline > m.deadline {
		m.deadline = in.Deadline
	}
	m.expired = now.Boot >= m.deadline
}

// acting reports whether the node may start something.
func (m *Machine) acting(now fence.Instant) bool {
	return m.deadline != 0 && now.Boot < m.deadline && !m.expired
}

func (m *Machine) message(now fence.Instant, in *Message, out *Out) {
	for i := range in.Ask {
		m.ask(&in.Ask[i], out)
	}
	for i := range in.Dispatch {
		m.dispatch(now, &in.Dispatch[i], out)
	}
	for i := range in.Kill {
		m.kill(&in.Kill[i], out)
	}
	for i := range in.Forget {
		m.forget(&in.Forget[i], out)
	}
}

// stale enters a higher epoch, and reports whether o is lower than the highest
// seen.
func (m *Machine) stale(o wire.Owner, out *Out) bool {
	seen := m.epochs[o.Partition]
	if o.Epoch > seen {
		m.epochs[o.Partition] = o.Epoch
		out.Journal = append(out.Journal, Record{Epoch: &o})
	}
	return o.Epoch < seen
}

func (m *Machine) dispatch(now fence.Instant, d *wire.Dispatch, out *Out) {
	ref := d.Ref()
	if m.stale(d.Owner, out) {
		out.Reports = append(out.Reports, m.report(d.Owner.Partition, ref, wire.Stale))
		return
	}
	known, ok := m.entries[taskRun{ref.Run, ref.Task}]
	switch {
	case ok && ref.Generation == known.generation():
		out.Reports = append(out.Reports, m.tell(known))
	case ok && ref.Generation <= known.barred:
		out.Reports = append(out.Reports, m.report(d.Owner.Partition, ref, wire.Buried))
	case ok && ref.Generation < known.generation():
		// A newer attempt was dispatched, so the end of this one is committed.
		out.Reports = append(out.Reports, m.report(d.Owner.Partition, ref, wire.Stale))
	case ok && known.live():
		m.refuse(now, d, fmt.Sprintf("attempt %d of it has not ended on this worker", known.generation()), out)
	case !m.acting(now):
		m.bury(d.Owner.Partition, ref, out)
	default:
		m.enter(d)
		kept := m.entries[taskRun{ref.Run, ref.Task}].dispatch
		out.Journal = append(out.Journal, Record{Accepted: &kept})
		out.Start = append(out.Start, *d)
	}
}

// enter remembers d, without what only the start needs: the journal and a long
// life in memory are no places for environments and secrets.
func (m *Machine) enter(d *wire.Dispatch) *entry {
	kept := *d
	kept.Work.Config, kept.Work.Env, kept.Work.Secrets = nil, nil, nil
	m.entered++
	e := &entry{order: m.entered, dispatch: kept, phase: wire.Accepted}
	m.entries[taskRun{d.Work.Run, d.Work.Task}] = e
	return e
}

// refuse ends an attempt that must not start beside a living older one. The
// older entry stays: the refusal is told once and not remembered, and a
// repeated Dispatch is refused again.
func (m *Machine) refuse(now fence.Instant, d *wire.Dispatch, reason string, out *Out) {
	r := m.report(d.Owner.Partition, d.Ref(), wire.Finished)
	r.Outcome = &flow.Outcome{Result: flow.Refused, Reason: reason, Finished: now}
	out.Reports = append(out.Reports, r)
}

// bury promises never to start an attempt that has not come. Beside a living
// older one the promise is kept with that.
func (m *Machine) bury(partition int, ref wire.Ref, out *Out) {
	if known, ok := m.entries[taskRun{ref.Run, ref.Task}]; ok && (known.live() || ref.Generation <= known.barred) {
		known.barred = max(known.barred, ref.Generation)
		out.Journal = append(out.Journal, Record{Buried: &BuriedRecord{Partition: partition, Ref: ref}})
		out.Reports = append(out.Reports, m.report(partition, ref, wire.Buried))
		return
	}
	e := m.enter(&wire.Dispatch{
		Owner: wire.Owner{Partition: partition, Epoch: m.epochs[partition]},
		Work:  flow.Work{Run: ref.Run, Task: ref.Task, Generation: ref.Generation},
	})
	e.phase = wire.Buried
	out.Journal = append(out.Journal, Record{Buried: &BuriedRecord{Partition: partition, Ref: ref}})
	out.Reports = append(out.Reports, m.tell(e))
}

// ask answers a new owner: one report per attempt, and what never came here
// will never be started here.
func (m *Machine) ask(a *wire.Ask, out *Out) {
	if m.stale(a.Owner, out) {
		for _, ref := range a.Refs { // so that an owner whose store has gone back in time hears of it
			out.Reports = append(out.Reports, m.report(a.Owner.Partition, ref, wire.Stale))
		}
		return
	}
	for _, ref := range a.Refs {
		known, ok := m.entries[taskRun{ref.Run, ref.Task}]
		switch {
		case ok && known.generation() == ref.Generation:
			out.Reports = append(out.Reports, m.tell(known))
		case ok && known.generation() > ref.Generation:
			out.Reports = append(out.Reports, m.report(a.Owner.Partition, ref, wire.Buried))
		default:
			m.bury(a.Owner.Partition, ref, out)
		}
	}
}

func (m *Machine) kill(k *wire.Kill, out *Out) {
	if m.stale(k.Owner, out) {
		return
	}
	known, ok := m.entries[taskRun{k.Ref.Run, k.Ref.Task}]
	switch {
	case ok && known.generation() == k.Ref.Generation && known.live():
		out.Kill = append(out.Kill, Kill{Ref: k.Ref, Reason: k.Reason, Grace: known.dispatch.Work.Grace})
	case ok && known.generation() == k.Ref.Generation:
		out.Reports = append(out.Reports, m.tell(known))
	case !ok || known.generation() < k.Ref.Generation:
		m.bury(k.Owner.Partition, k.Ref, out)
	}
}

// forget drops what is committed. It is obeyed under any epoch: a Forget
// follows a commit, and what is committed is true whoever owns the partition
// now. What has not ended is kept: its end will be told.
func (m *Machine) forget(f *wire.Forget, out *Out) {
	var gone []wire.Ref
	for _, ref := range f.Refs {
		known, ok := m.current(ref)
		if !ok || known.live() {
			continue
		}
		m.drop(known)
		gone = append(gone, ref)
	}
	if len(gone) > 0 {
		out.Journal = append(out.Journal, Record{Forgot: gone})
	}
}

// drop takes an entry out, and leaves what was buried beside it.
func (m *Machine) drop(e *entry) {
	ref := e.dispatch.Ref()
	delete(m.entries, taskRun{ref.Run, ref.Task})
	if e.barred > 0 {
		ref.Generation = e.barred
		m.bury(e.dispatch.Owner.Partition, ref, &Out{}) // its record and its report are long out
	}
}

func (m *Machine) spawned(in Spawned, out *Out) {
	e, ok := m.current(in.Ref)
	if !ok || e.phase != wire.Accepted {
		return
	}
	e.phase, e.started = wire.Running, in.At
	out.Journal = append(out.Journal, Record{Spawned: &in})
	out.Reports = append(out.Reports, m.tell(e))
}

func (m *Machine) exited(in Exited, out *Out) {
	e, ok := m.current(in.Ref)
	if !ok || !e.live() {
		return
	}
	e.end(&in.Outcome)
	out.Journal = append(out.Journal, Record{Exited: &in})
	out.Reports = append(out.Reports, m.tell(e))
}

func (e *entry) end(o *flow.Outcome) {
	e.phase, e.outcome = wire.Finished, o
	if e.started == (fence.Instant{}) {
		e.started = o.Started
	}
}

// current returns the entry of exactly this attempt.
func (m *Machine) current(ref wire.Ref) (*entry, bool) {
	e, ok := m.entries[taskRun{ref.Run, ref.Task}]
	if !ok || e.generation() != ref.Generation {
		return nil, false
	}
	return e, true
}

func (e *entry) generation() flow.Generation { return e.dispatch.Work.Generation }

// live reports whether processes of the attempt may run, now or soon.
func (e *entry) live() bool { return e.phase == wire.Accepted || e.phase == wire.Running }

func (m *Machine) tell(e *entry) wire.Report {
	r := m.report(e.dispatch.Owner.Partition, e.dispatch.Ref(), e.phase)
	r.Started, r.Outcome = e.started, e.outcome
	return r
}

func (m *Machine) report(partition int, ref wire.Ref, phase wire.Phase) wire.Report {
	return wire.Report{Partition: partition, Epoch: m.epochs[partition], Ref: ref, Phase: phase}
}

// Deadline returns until when the node may act; zero before the first Extend.
func (m *Machine) Deadline() fence.Boot { return m.deadline }

// Pending returns a report of every attempt that is not forgotten, in the
// order in which they came.
func (m *Machine) Pending() []wire.Report {
	var reports []wire.Report
	for _, e := range m.inOrder() {
		reports = append(reports, m.tell(e))
	}
	return reports
}

// Unfinished returns the attempts that were accepted and have not ended, in
// the order in which they came, without config, environment and secrets.
func (m *Machine) Unfinished() []wire.Dispatch {
	var live []wire.Dispatch
	for _, e := range m.inOrder() {
		if e.live() {
			live = append(live, e.dispatch)
		}
	}
	return live
}

// Idle reports whether nothing runs or is about to.
func (m *Machine) Idle() bool {
	for _, e := range m.entries {
		if e.live() {
			return false
		}
	}
	return true
}

func (m *Machine) inOrder() []*entry {
	all := make([]*entry, 0, len(m.entries))
	for _, e := range m.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
	return all
}

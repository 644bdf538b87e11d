package partition

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// placedMax bounds how many attempts one batch dispatches: a commit of that
// many rows stays under about 20 ms, so that reports do not wait behind a
// fan-out of 100,000.
const placedMax = 2000

// Machine is the partition machine: it owns the unfinished runs of one
// partition, in memory, for as long as its epoch lasts. Memory is ahead of the
// store by the batches that are on their way; if one of them cannot be
// committed the whole machine is thrown away.
type Machine struct {
	id    int
	epoch flow.Epoch
	seq   uint64

	runs   map[flow.RunID]*run
	nodes  map[fence.NodeID]*node
	queue  queue
	timers timers
	// faulty are the runs whose definition cannot be used, as of the load. They
	// wait, visibly, for a version of the program that can.
	faulty map[flow.RunID]*Loaded
	behind flow.Epoch

	batch   *builder // of the Apply that is going on
	effects *outbox
}

// run is an unfinished run in memory.
type run struct {
	machine *flow.Machine
	wake    time.Time // as it stands in the timers
}

// node is a worker as this partition sees it.
type node struct {
	id     fence.NodeID
	joined bool
	slots  int
	used   int // slots of its active attempts of this partition
	light  int // active attempts that take no slot
	active int // all of them
}

// New returns the machine of a partition that was claimed and loaded.
func New(id int, epoch flow.Epoch, seq uint64, runs []Loaded) *Machine {
	m := &Machine{
		id: id, epoch: epoch, seq: seq,
		runs: map[flow.RunID]*run{}, nodes: map[fence.NodeID]*node{}, faulty: map[flow.RunID]*Loaded{},
	}
	for i := range runs {
		if runs[i].Plan != nil {
			m.take(&runs[i])
		} else {
			m.faulty[runs[i].Run.ID] = &runs[i]
		}
	}
	return m
}

// take brings a stored run into memory, with all that follows from its rows.
func (m *Machine) take(l *Loaded) *run {
	r := &run{machine: flow.Load(l.Plan, l.Run, l.TaskRuns, l.Attempts)}
	m.runs[l.Run.ID] = r
	// What it can start, and what it has to end, it says in its first Apply.
	r.wake = l.Run.CreatedAt
	m.timers.set(l.Run.ID, r.wake)
	for _, ref := range r.machine.ActiveRefs() {
		m.occupy(ref.Node, m.slots(r, ref.Task), 1)
	}
	return r
}

// Has reports whether a run is in memory, so that a command on it need not
// bring it along.
func (m *Machine) Has(id flow.RunID) bool { return m.runs[id] != nil || m.faulty[id] != nil }

// Active returns the nodes that have attempts of this partition.
func (m *Machine) Active() []fence.NodeID {
	var ids []fence.NodeID
	for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
		if m.nodes[id].used+m.nodes[id].light > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Counts are numbers for metrics. Taken is of slots.
type Counts struct{ Runs, Ready, Active, Taken int }

// Counts returns how much there is in memory.
func (m *Machine) Counts() Counts {
	c := Counts{Runs: len(m.runs), Ready: m.queue.len()}
	for _, n := range m.nodes {
		c.Active += n.active
		c.Taken += n.used
	}
	return c
}

// Apply takes what has happened, in order, and decides.
func (m *Machine) Apply(now time.Time, inputs []Input) Out {
	m.batch, m.effects = newBuilder(), &outbox{}
	for _, in := range inputs {
		switch in := in.(type) {
		case Submitted:
			m.submitted(now, &in)
		case Joined:
			m.joined(&in)
		case Parted:
			m.node(in.Node).joined = false
		case Reported:
			m.reported(now, &in)
		case Ended:
			m.ended(now, &in)
		case Tick: // timers are looked at below, whatever came
		default:
			panic(fmt.Sprintf("partition %d: unknown input %T", m.id, in))
		}
	}
	m.fire(now)
	m.expose(now)
	more := m.place(now)
	out := Out{Effects: m.effects.messages(), Wake: m.timers.next(), More: more, Behind: m.behind}
	if b := m.batch.batch(); !b.Empty() {
		m.seq++
		b.Partition, b.Epoch, b.Seq, b.At = m.id, m.epoch, m.seq, now
		out.Batch = b
	}
	m.batch, m.effects = nil, nil
	return out
}

// submitted carries out a command, or refuses it for good. Either way it is
// consumed in this batch.
func (m *Machine) submitted(now time.Time, in *Submitted) {
	c := &in.Command
	refused := ""
	switch {
	case m.faulty[c.Run] != nil:
		refused = m.faulty[c.Run].Fault
	case in.Run != nil && in.Run.Plan == nil:
		refused = m.poisoned(now, in.Run)
	case m.runs[c.Run] == nil && in.Run == nil:
		refused = fmt.Sprintf("run %s is not known", c.Run)
	default:
		refused = m.command(now, c, in.Run)
	}
	m.batch.consumed(Consumed{Sequence: c.Sequence, Refused: refused})
}

// expose says of each faulty run what is wrong with it. What it has on workers
// stays there, unforgotten; where there is nothing, the run fails.
func (m *Machine) expose(now time.Time) {
	for _, id := range slices.Sorted(maps.Keys(m.faulty)) {
		l := m.faulty[id]
		active := slices.ContainsFunc(l.Attempts, func(a flow.Attempt) bool { return !a.State.Final() })
		switch {
		case !active:
			m.poisoned(now, l)
			delete(m.faulty, id)
		case l.Run.Reason != l.Fault:
			l.Run.Reason = l.Fault
			m.batch.run(&l.Run)
			m.batch.event(Event{At: now, Cause: "fault", Run: id, Epoch: m.epoch, Message: l.Fault})
		}
	}
}

// poisoned fails a run whose definition cannot be used: visibly, not in a
// corner where nobody looks.
func (m *Machine) poisoned(now time.Time, l *Loaded) string {
	r := l.Run
	if !r.State.Final() {
		r.State, r.Reason, r.FinishedAt = flow.RunFailed, l.Fault, now
		m.batch.run(&r)
	}
	return l.Fault
}

func (m *Machine) command(now time.Time, c *Command, l *Loaded) (refused string) {
	input, err := c.input()
	if err != nil {
		return fmt.Sprintf("%s of run %s: %v", c.Kind, c.Run, err)
	}
	r := m.runs[c.Run]
	if r == nil {
		r = m.take(l)
	}
	if refused = r.machine.Refusal(input); refused != "" {
		m.dropIfFinal(c.Run, r)
		return refused
	}
	m.step(now, c.Run, r, input)
	return ""
}

// input turns a stored command into what the run machine understands.
func (c *Command) input() (flow.Input, error) {
	decode := func(into any) error {
		if len(c.Args) == 0 {
			return nil
		}
		return json.Unmarshal(c.Args, into)
	}
	switch c.Kind {
	case KindStart:
		return flow.Begin{}, nil
	case KindPause:
		return flow.Pause{}, nil
	case KindStop:
		var in flow.Stop
		err := decode(&in)
		return in, err
	case KindResume:
		var in flow.Resume
		err := decode(&in)
		return in, err
	case KindRerun:
		var in flow.Rerun
		err := decode(&in)
		return in, err
	}
	return nil, fmt.Errorf("unknown kind of command %q", c.Kind)
}

// step hands one input to a run and takes in what it decided.
func (m *Machine) step(now time.Time, id flow.RunID, r *run, in flow.Input) flow.Out {
	out := r.machine.Apply(now, in)
	m.absorb(now, id, r, &out)
	return out
}

func (m *Machine) absorb(now time.Time, id flow.RunID, r *run, out *flow.Out) {
	if out.Run != nil {
		m.batch.run(out.Run)
	}
	for i := range out.TaskRuns {
		m.batch.taskRun(&out.TaskRuns[i])
	}
	for i := range out.Attempts {
		a := &out.Attempts[i]
		m.batch.attempt(a)
		if a.State.Final() {
			m.occupy(a.Node, m.slots(r, a.Task), -1)
		}
	}
	for _, task := range out.Ready {
		m.queue.push(r.machine, task)
	}
	for _, k := range out.Kill {
		m.effects.to(k.Node).kill(m.owner(), m.ref(id, k.Ref), k.Reason)
	}
	for _, ref := range out.Forget {
		m.effects.to(ref.Node).forget(m.owner(), m.ref(id, ref))
	}
	for _, w := range out.Warn {
		m.batch.event(Event{At: w.At, Cause: "timeout", Run: id, Task: w.Task, Message: w.Message})
	}
	if wake := r.machine.Next(); !wake.Equal(r.wake) {
		r.wake = wake
		m.timers.set(id, wake)
	}
	m.dropIfFinal(id, r)
}

// dropIfFinal lets go of a run that is over: the store has it.
func (m *Machine) dropIfFinal(id flow.RunID, r *run) {
	if r.machine.Run().State.Final() {
		delete(m.runs, id)
	}
}

func (m *Machine) owner() wire.Owner { return wire.Owner{Partition: m.id, Epoch: m.epoch} }

func (m *Machine) ref(id flow.RunID, r flow.Ref) wire.Ref {
	return wire.Ref{Run: id, Task: r.Task, Generation: r.Generation}
}

// joined opens a worker for work. All that was ever sent to it and is not
// known to have ended is asked about: what is still on its way on an older
// stream will be dropped there, and must not be waited for.
func (m *Machine) joined(in *Joined) {
	n := m.node(in.Node)
	n.joined, n.slots = !in.Dead, in.Slots
	var refs []wire.Ref
	for _, id := range slices.Sorted(maps.Keys(m.runs)) {
		for _, ref := range m.runs[id].machine.ActiveRefs() {
			if ref.Node == in.Node {
				refs = append(refs, m.ref(id, ref))
			}
		}
	}
	m.effects.to(in.Node).ask(m.owner(), refs)
	for _, id := range slices.Sorted(maps.Keys(m.runs)) {
		m.killAgain(id, in.Node)
	}
}

// killAgain repeats what was asked of a worker whose stream had broken.
func (m *Machine) killAgain(id flow.RunID, to fence.NodeID) {
	for _, k := range m.runs[id].machine.Killing() {
		if k.Node == to {
			m.effects.to(to).kill(m.owner(), m.ref(id, k.Ref), k.Reason)
		}
	}
}

func (m *Machine) reported(now time.Time, in *Reported) {
	for i := range in.Reports {
		rep := &in.Reports[i]
		if rep.Epoch > m.epoch {
			m.behind = max(m.behind, rep.Epoch)
			continue
		}
		r := m.runs[rep.Ref.Run]
		if m.faulty[rep.Ref.Run] != nil {
			continue // its outcome is for an owner that understands the run
		}
		if r == nil {
			// Not in memory means final and committed, or about to be, ahead of
			// this effect: the worker need not remember it.
			if rep.Phase == wire.Finished || rep.Phase == wire.Buried {
				m.effects.to(in.Node).forget(m.owner(), rep.Ref)
			}
			continue
		}
		switch rep.Phase {
		case wire.Accepted, wire.Stale: // says nothing new, or speaks to a former owner
		case wire.Running:
			m.step(now, rep.Ref.Run, r, flow.Started{Task: rep.Ref.Task, Generation: rep.Ref.Generation, At: rep.Started})
		case wire.Buried:
			m.step(now, rep.Ref.Run, r, flow.Buried{Task: rep.Ref.Task, Generation: rep.Ref.Generation})
			m.effects.to(in.Node).forget(m.owner(), rep.Ref)
		case wire.Finished:
			m.step(now, rep.Ref.Run, r, flow.Finished{Task: rep.Ref.Task, Generation: rep.Ref.Generation, Node: in.Node, Outcome: *rep.Outcome})
		}
	}
}

// ended takes what a node had for lost.
func (m *Machine) ended(now time.Time, in *Ended) {
	m.node(in.Node).joined = false
	lost := 0
	for _, id := range slices.Sorted(maps.Keys(m.runs)) {
		r := m.runs[id]
		for _, ref := range r.machine.ActiveRefs() {
			if ref.Node == in.Node {
				lost++
				m.step(now, id, r, flow.Lost{Task: ref.Task, Generation: ref.Generation, Reason: in.Reason, At: in.At})
			}
		}
	}
	if lost > 0 {
		m.batch.event(Event{
			At: now, Cause: "lost", Node: in.Node, Epoch: m.epoch,
			Message: fmt.Sprintf("node %s has ended (%s): %d attempts are lost", in.Node, in.Reason, lost),
		})
	}
	delete(m.nodes, in.Node)
}

// fire ticks the runs whose timers are due.
func (m *Machine) fire(now time.Time) {
	for {
		id, ok := m.timers.due(now)
		if !ok {
			return
		}
		if r := m.runs[id]; r != nil {
			r.wake = time.Time{}
			m.step(now, id, r, flow.Tick{})
		}
	}
}

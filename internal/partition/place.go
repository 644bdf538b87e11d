package partition

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// lightMax bounds the active attempts on one node that take no slot (sleep,
// noop): enough to keep a pipeline full over a few commits, little enough for
// the worker's memory.
const lightMax = 10_000

// placedBytes bounds what one batch hands over, besides placedMax: parameters
// and environments of 2,000 attempts may be 100 MB and more.
const placedBytes = 8 << 20

// place gives ready task runs to workers, by priority of run, age of run,
// priority of task and order of the definition. It reports whether it stopped
// for the size of the batch and not for want of slots.
func (m *Machine) place(now time.Time) (more bool) {
	placed, bytes := 0, 0
	for _, line := range []*line{&m.queue.light, &m.queue.heavy} {
		for line.Len() > 0 {
			top := (*line)[0]
			id := top.machine.Run().ID
			r := m.runs[id]
			if r == nil || r.machine != top.machine || !r.machine.IsReady(top.task) {
				heap.Pop(line)
				continue
			}
			if placed == placedMax || bytes >= placedBytes {
				return true
			}
			n := m.freest(top.slots)
			if n == nil {
				break
			}
			heap.Pop(line)
			placed++
			bytes += m.dispatch(now, id, r, top, n)
		}
	}
	return false
}

// dispatch returns how many bytes it hands over, roughly.
func (m *Machine) dispatch(now time.Time, id flow.RunID, r *run, t turn, n *node) (bytes int) {
	n.take(t.slots, 1)
	out := r.machine.Apply(now, flow.Place{Task: t.task, Node: n.id, Epoch: m.epoch})
	if out.Work == nil {
		n.take(t.slots, -1)
	} else {
		m.effects.to(n.id).dispatch(wire.Dispatch{Owner: m.owner(), Work: *out.Work})
		bytes = len(out.Work.Config)
		for _, e := range out.Work.Env {
			bytes += len(e)
		}
	}
	m.absorb(now, id, r, &out)
	return bytes
}

// freest returns the joined worker with the most free slots, by name among
// equals; nil if none has room.
func (m *Machine) freest(slots int) *node {
	var best *node
	for _, n := range m.nodes {
		if !n.joined || !n.room(slots) {
			continue
		}
		if best == nil || n.free() > best.free() || n.free() == best.free() && n.id < best.id {
			best = n
		}
	}
	return best
}

func (n *node) free() int { return n.slots - n.used }

func (n *node) room(slots int) bool {
	if slots == 0 {
		return n.light < lightMax
	}
	// A task that wants more than the whole worker gets the whole worker.
	return n.free() >= slots || n.used == 0
}

func (n *node) take(slots, count int) {
	n.active += count
	if slots == 0 {
		n.light += count
	} else {
		n.used += slots * count
	}
}

func (m *Machine) node(id fence.NodeID) *node {
	n := m.nodes[id]
	if n == nil {
		n = &node{id: id}
		m.nodes[id] = n
	}
	return n
}

func (m *Machine) occupy(id fence.NodeID, slots, count int) {
	if n := m.nodes[id]; n != nil || count > 0 {
		m.node(id).take(slots, count)
	}
}

func (m *Machine) slots(r *run, task string) int { return r.machine.TaskNamed(task).Slots }

// queue holds ready task runs in two lines, so that what takes no slot never
// waits behind what does.
type queue struct{ light, heavy line }

func (q *queue) len() int { return q.light.Len() + q.heavy.Len() }

func (q *queue) push(r *flow.Machine, task int) {
	t := r.Task(task)
	entry := turn{machine: r, task: task, slots: t.Slots, runPriority: r.Run().Priority, created: r.Run().CreatedAt, taskPriority: t.Priority}
	if t.Slots == 0 {
		heap.Push(&q.light, entry)
	} else {
		heap.Push(&q.heavy, entry)
	}
}

// turn is a ready task run in its line. It may be stale: the run machine is
// asked when its turn comes.
type turn struct {
	machine      *flow.Machine
	task         int
	slots        int
	runPriority  int
	created      time.Time
	taskPriority int
}

type line []turn

func (l line) Len() int      { return len(l) }
func (l line) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l line) Less(i, j int) bool {
	a, b := &l[i], &l[j]
	switch {
	case a.runPriority != b.runPriority:
		return a.runPriority > b.runPriority
	case !a.created.Equal(b.created):
		return a.created.Before(b.created)
	case a.machine != b.machine:
		return a.machine.Run().ID < b.machine.Run().ID
	case a.taskPriority != b.taskPriority:
		return a.taskPriority > b.taskPriority
	}
	return a.task < b.task
}
func (l *line) Push(x any) { *l = append(*l, x.(turn)) }
func (l *line) Pop() any {
	last := (*l)[len(*l)-1]
	(*l)[len(*l)-1] = turn{}
	*l = (*l)[:len(*l)-1]
	return last
}

// timers holds the next wake-up of each run. An entry that was replaced stays
// in the heap and is passed over.
type timers struct {
	heap alarms
	at   map[flow.RunID]time.Time
}

func (t *timers) set(id flow.RunID, at time.Time) {
	if t.at == nil {
		t.at = map[flow.RunID]time.Time{}
	}
	if at.IsZero() {
		delete(t.at, id)
		return
	}
	t.at[id] = at
	heap.Push(&t.heap, alarm{at, id})
}

// drop removes entries at the top that no longer count.
func (t *timers) drop() {
	for t.heap.Len() > 0 {
		if top := t.heap[0]; !t.at[top.run].Equal(top.at) {
			heap.Pop(&t.heap)
			continue
		}
		return
	}
}

func (t *timers) next() time.Time {
	t.drop()
	if t.heap.Len() == 0 {
		return time.Time{}
	}
	return t.heap[0].at
}

func (t *timers) due(now time.Time) (flow.RunID, bool) {
	t.drop()
	if t.heap.Len() == 0 || t.heap[0].at.After(now) {
		return "", false
	}
	top := heap.Pop(&t.heap).(alarm)
	delete(t.at, top.run)
	return top.run, true
}

type alarm struct {
	at  time.Time
	run flow.RunID
}

type alarms []alarm

func (a alarms) Len() int      { return len(a) }
func (a alarms) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a alarms) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].run < a[j].run
	}
	return a[i].at.Before(a[j].at)
}
func (a *alarms) Push(x any) { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// outbox gathers what one Apply sends, one message per worker.
type outbox struct{ by map[fence.NodeID]*letter }

// letter is the message to one worker. Its kinds are taken in the order Ask,
// Dispatch, Kill, Forget there, which is an order in which they may be decided.
type letter struct{ wire.ToWorker }

func (o *outbox) to(id fence.NodeID) *letter {
	if o.by == nil {
		o.by = map[fence.NodeID]*letter{}
	}
	l := o.by[id]
	if l == nil {
		l = &letter{}
		o.by[id] = l
	}
	return l
}

func (l *letter) ask(o wire.Owner, refs []wire.Ref) {
	l.Ask = append(l.Ask, wire.Ask{Owner: o, Refs: refs})
}

func (l *letter) dispatch(d wire.Dispatch) { l.Dispatch = append(l.Dispatch, d) }

func (l *letter) kill(o wire.Owner, ref wire.Ref, reason string) {
	l.Kill = append(l.Kill, wire.Kill{Owner: o, Ref: ref, Reason: reason})
}

func (l *letter) forget(o wire.Owner, ref wire.Ref) {
	if len(l.Forget) == 0 {
		l.Forget = append(l.Forget, wire.Forget{Owner: o})
	}
	l.Forget[0].Refs = append(l.Forget[0].Refs, ref)
}

func (o *outbox) messages() []Send {
	var all []Send
	for _, id := range slices.Sorted(maps.Keys(o.by)) {
		all = append(all, Send{Node: id, Message: o.by[id].ToWorker})
	}
	return all
}

package flow

import "container/heap"

// readyList holds the cells that are open and were not yet announced. Without
// a limit it is a list; with one it is a heap, and as many are announced as
// there are free places, so that what is announced can always be placed.
type readyList struct {
	limit     int // most task runs active at once; 0: none
	list      []int32
	announced int // and still open; only counted under a limit
}

// byUrgency orders cells by priority and by their place in the definition.
type byUrgency struct {
	*readyList
	tasks []Task
}

func (b byUrgency) Len() int      { return len(b.list) }
func (b byUrgency) Swap(i, j int) { b.list[i], b.list[j] = b.list[j], b.list[i] }
func (b byUrgency) Less(i, j int) bool {
	x, y := b.list[i], b.list[j]
	if p, q := b.tasks[x].Priority, b.tasks[y].Priority; p != q {
		return p > q
	}
	return x < y
}
func (b byUrgency) Push(x any) { b.list = append(b.list, x.(int32)) }
func (b byUrgency) Pop() any {
	last := b.list[len(b.list)-1]
	b.list = b.list[:len(b.list)-1]
	return last
}

// add takes a cell that has opened.
func (r *readyList) add(m *Machine, i int32) {
	if r.limit == 0 {
		r.list = append(r.list, i)
		return
	}
	heap.Push(byUrgency{r, m.plan.workflow.Tasks}, i)
}

// leave takes note that a cell is open no more.
func (r *readyList) leave(c *cell) {
	if c.announced {
		c.announced = false
		r.announced--
	}
}

// again forgets what was announced: whoever was told has dropped it by now, or
// will be told twice, which does no harm.
func (r *readyList) again(m *Machine) {
	r.list, r.announced = r.list[:0], 0
	for i := range m.cells {
		m.cells[i].announced = false
		if m.cells[i].phase == open {
			r.list = append(r.list, int32(i))
		}
	}
	if r.limit > 0 {
		heap.Init(byUrgency{r, m.plan.workflow.Tasks})
	}
}

// announce puts what may be placed now into Ready.
func (m *Machine) announce() {
	r := &m.ready
	if r.limit == 0 {
		for _, i := range r.list {
			if m.IsReady(int(i)) {
				m.out.Ready = append(m.out.Ready, int(i))
			}
		}
		r.list = r.list[:0]
		return
	}
	if r.announced > 0 && m.active+r.announced > r.limit {
		r.again(m) // something was placed that had not been announced
	}
	for len(r.list) > 0 && m.active+r.announced < r.limit {
		i := heap.Pop(byUrgency{r, m.plan.workflow.Tasks}).(int32)
		if c := &m.cells[i]; m.IsReady(int(i)) && !c.announced {
			c.announced = true
			r.announced++
			m.out.Ready = append(m.out.Ready, int(i))
		}
	}
}

// IsReady reports whether task i can be placed now.
func (m *Machine) IsReady(i int) bool {
	return m.startable(int32(i)) && (m.ready.limit == 0 || m.active < m.ready.limit)
}

// startable reports whether a task may start, but for the limit.
func (m *Machine) startable(i int32) bool {
	c := &m.cells[i]
	if c.phase != open {
		return false
	}
	switch m.run.State {
	case RunRunning:
		return true
	case RunPausing, RunPaused:
		return c.released
	case RunQueued, RunStopping, RunStopped, RunFailed, RunSucceeded:
	}
	return false
}

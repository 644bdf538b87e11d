package flow

import (
	"errors"
	"fmt"

	"github.com/semel-dev/semel/internal/param"
)

// ErrInvalid is what Compile's error wraps if the workflow cannot be run.
var ErrInvalid = errors.New("invalid workflow")

// Plan is a workflow made ready for machines: names have become indices, the
// DAG two lists. It is shared by all runs of a version that one goroutine
// drives: Apply compiles expressions when they are first used and keeps them
// here. Everything but Apply only reads it.
type Plan struct {
	workflow  *Workflow
	index     map[string]int32
	needs     edges
	next      edges
	env       []variable // of the workflow
	envReady  bool
	templates []*template // by task; nil: not yet compiled
}

// edges are lists of tasks, one for each task, in one piece of memory.
type edges struct {
	from []int32 // where the list of a task begins; that of the next ends it
	to   []int32
}

func (e *edges) of(task int32) []int32 { return e.to[e.from[task]:e.from[task+1]] }

// Compile prepares a workflow for being run. It checks the graph, which
// machines rely on, but not the expressions: those of a large workflow take
// seconds, and Validate has seen them before it was stored.
func Compile(w *Workflow) (*Plan, error) {
	g := newGraph(w)
	if problems := g.check(); len(problems) > 0 {
		more := ""
		if len(problems) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(problems)-1)
		}
		return nil, fmt.Errorf("compile workflow %q: %w: %s%s", w.Name, ErrInvalid, problems[0].Message, more)
	}
	return &Plan{
		workflow:  w,
		index:     g.index,
		needs:     g.needs,
		next:      reversed(&g.needs),
		templates: make([]*template, len(w.Tasks)),
	}, nil
}

// reversed returns the same edges the other way round, each list in order.
func reversed(e *edges) edges {
	n := len(e.from) - 1
	r := edges{from: make([]int32, n+1), to: make([]int32, len(e.to))}
	for _, t := range e.to {
		r.from[t+1]++
	}
	for i := range n {
		r.from[i+1] += r.from[i]
	}
	at := append([]int32(nil), r.from...)
	for i := range int32(n) {
		for _, t := range e.of(i) {
			r.to[at[t]] = i
			at[t]++
		}
	}
	return r
}

// Workflow returns what the plan was compiled from. It must not be changed.
func (p *Plan) Workflow() *Workflow { return p.workflow }

// CheckSelect says what is wrong with a selection of tasks; empty: nothing.
func (p *Plan) CheckSelect(s Select) string {
	for _, name := range s.Tasks {
		if _, ok := p.index[name]; !ok {
			return p.unknown(name)
		}
	}
	if len(s.Tasks) == 0 && (s.Ancestors || s.Descendants) {
		return "ancestors and descendants of which task? name at least one"
	}
	return ""
}

func (p *Plan) unknown(name string) string {
	return fmt.Sprintf("workflow %s has no task %q%s", p.workflow.Name, name, meant(name, p.workflow.Tasks))
}

// meant suggests a task for a name that nobody has.
func meant(name string, tasks []Task) string {
	names := make([]string, len(tasks))
	for i := range tasks {
		names[i] = tasks[i].Name
	}
	if near, ok := param.Nearest(name, names); ok {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// selected marks what a selection names; nil if it names everything. One that
// CheckSelect finds fault with names nothing.
func (p *Plan) selected(s Select) []bool {
	fault := p.CheckSelect(s)
	if fault == "" && len(s.Tasks) == 0 {
		return nil
	}
	marks := make([]bool, len(p.workflow.Tasks))
	if fault != "" {
		return marks
	}
	var start []int32
	for _, name := range s.Tasks {
		if i := p.index[name]; !marks[i] {
			marks[i] = true
			start = append(start, i)
		}
	}
	if s.Ancestors {
		reach(&p.needs, start, marks)
	}
	if s.Descendants {
		reach(&p.next, start, marks)
	}
	return marks
}

// reach marks all that can be come to from start along the edges. What is
// marked already may still lead somewhere, so visits are kept apart.
func reach(e *edges, start []int32, marks []bool) {
	seen := make([]bool, len(marks))
	queue := append([]int32(nil), start...)
	for _, i := range start {
		seen[i] = true
	}
	for at := 0; at < len(queue); at++ {
		for _, t := range e.of(queue[at]) {
			if !seen[t] {
				seen[t], marks[t] = true, true
				queue = append(queue, t)
			}
		}
	}
}

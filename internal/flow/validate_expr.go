package flow

import (
	"cmp"
	"slices"

	"github.com/semel-dev/semel/internal/param"
)

// text compiles a text with expressions; nil if there are none, or if it is
// wrong, which is then reported.
func (v *validator) text(path []any, s string) *param.Text {
	if !mayHoldExpressions(s) {
		return nil
	}
	c, known := v.texts[s]
	if !known {
		c.text, c.err = param.CompileText(s)
		v.texts[s] = c
	}
	if c.err != nil {
		v.problem(path, "%v", c.err)
		return nil
	}
	v.declared(path, c.text.Params())
	return c.text
}

func (v *validator) condition(path []any, s string) *param.Condition {
	c, known := v.conditions[s]
	if !known {
		c.condition, c.err = param.CompileCondition(s)
		v.conditions[s] = c
	}
	if c.err != nil {
		v.problem(path, "%v", c.err)
		return nil
	}
	return c.condition
}

// declared checks that parameters exist.
func (v *validator) declared(path []any, names []string) {
	for _, name := range names {
		if v.params[name] {
			continue
		}
		known := make([]string, len(v.workflow.Params))
		for i, d := range v.workflow.Params {
			known[i] = d.Name
		}
		if near, ok := param.Nearest(name, known); ok {
			v.problem(path, "there is no parameter %q: did you mean %q?", name, near)
		} else {
			v.problem(path, "there is no parameter %q: declare it under params", name)
		}
	}
}

// uses notes what an expression of task i refers to. Whether that is upstream
// is found out for all of them together.
func (v *validator) uses(i int32, refs []param.Ref, params []string, path []any) {
	v.declared(path, params)
	var seen []string
	for _, r := range refs {
		if slices.Contains(seen, r.Task) {
			continue
		}
		seen = append(seen, r.Task)
		to, ok := v.graph.index[r.Task]
		switch {
		case !ok:
			v.problem(path, "there is no task %q%s", r.Task, v.graph.meant(r.Task))
		case to == i:
			v.problem(path, "an expression of %q cannot refer to the task itself", r.Task)
		default:
			v.refs = append(v.refs, reference{from: i, to: to, path: path})
		}
	}
}

// upstreamBatch is how many targets one walk over the graph carries along.
const upstreamBatch = 64

// upstream checks that what an expression refers to is final by the time it is
// evaluated: that it comes before, directly or not. Walking up from every
// reference would be quadratic; instead up to 64 of the tasks referred to are
// carried down the graph at once, a bit for each.
func (v *validator) upstream() {
	needs := &v.graph.needs
	distant := v.refs[:0]
	for _, r := range v.refs {
		if !slices.Contains(needs.of(r.from), r.to) {
			distant = append(distant, r)
		}
	}
	if len(distant) == 0 {
		return
	}
	byTarget := make([]int, len(distant))
	for k := range byTarget {
		byTarget[k] = k
	}
	slices.SortStableFunc(byTarget, func(a, b int) int { return cmp.Compare(distant[a].to, distant[b].to) })
	order := topological(needs)
	above := make([]uint64, len(order)) // bit k: target k of the batch is upstream of the task
	self := make([]uint64, len(order))  // the bit of a target of the batch
	missing := make([]bool, len(distant))
	for begin := 0; begin < len(byTarget); {
		end, targets := begin, 0
		for ; end < len(byTarget); end++ {
			if to := distant[byTarget[end]].to; self[to] == 0 {
				if targets == upstreamBatch {
					break
				}
				self[to] = 1 << targets
				targets++
			}
		}
		for _, i := range order {
			above[i] = 0
			for _, need := range needs.of(i) {
				above[i] |= above[need] | self[need]
			}
		}
		for _, k := range byTarget[begin:end] {
			missing[k] = above[distant[k].from]&self[distant[k].to] == 0
		}
		for _, k := range byTarget[begin:end] {
			self[distant[k].to] = 0
		}
		begin = end
	}
	for k, r := range distant {
		if missing[k] {
			from, to := v.workflow.Tasks[r.from].Name, v.workflow.Tasks[r.to].Name
			v.problem(r.path, "%q does not come before %q: add it to needs", to, from)
		}
	}
}

// topological orders the tasks of a graph without cycles: needs first.
func topological(needs *edges) []int32 {
	n := len(needs.from) - 1
	next := reversed(needs)
	open := make([]int32, n)
	order := make([]int32, 0, n)
	for i := range int32(n) {
		if open[i] = int32(len(needs.of(i))); open[i] == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		for _, s := range next.of(order[at]) {
			if open[s]--; open[s] == 0 {
				order = append(order, s)
			}
		}
	}
	return order
}

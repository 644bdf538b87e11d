package flow

import (
	"fmt"
	"strings"
)

// tasksMax bounds the tasks of a workflow: indices stay small, and one run
// stays in memory.
const tasksMax = 100_000

// cyclesMax bounds how many cycles are reported: mending one usually mends
// others.
const cyclesMax = 10

// guessesMax bounds how many names are looked up among all others: each costs a
// walk over the workflow.
const guessesMax = 20

// pathShown bounds how many tasks of a cycle are named.
const pathShown = 12

// Problem is one thing that is wrong with a workflow. Path leads to it: keys,
// list indices, and tasks by name, as in "tasks", "load", "needs", 0.
type Problem struct {
	Path    []any
	Message string
}

// graph is the DAG of a workflow that may still be wrong.
type graph struct {
	workflow *Workflow
	index    map[string]int32 // the first task of that name
	needs    edges            // without those that do not exist, are repeated, or lead back to themselves
	problems []Problem
	guesses  int // suggestions made
}

func newGraph(w *Workflow) *graph {
	g := &graph{workflow: w, index: make(map[string]int32, len(w.Tasks))}
	for i := range w.Tasks {
		if _, twice := g.index[w.Tasks[i].Name]; !twice {
			g.index[w.Tasks[i].Name] = int32(i)
		}
	}
	return g
}

func (g *graph) problem(message string, path ...any) {
	g.problems = append(g.problems, Problem{Path: path, Message: message})
}

// check returns all that is wrong with the graph, and resolves the needs.
func (g *graph) check() []Problem {
	tasks := g.workflow.Tasks
	switch {
	case len(tasks) == 0:
		g.problem("the workflow has no tasks", "tasks")
	case len(tasks) > tasksMax:
		g.problem(fmt.Sprintf("%d tasks, at most %d are allowed", len(tasks), tasksMax), "tasks")
		return g.problems
	}
	folded := make(map[string]string, len(tasks))
	for i := range tasks {
		g.name(tasks[i].Name, folded)
	}
	g.needs.from = make([]int32, 1, len(tasks)+1)
	last := make([]int32, len(tasks)) // the task that was last seen to need this one, plus one
	for i := range tasks {
		g.task(int32(i), last)
		g.needs.from = append(g.needs.from, int32(len(g.needs.to)))
	}
	g.cycles()
	return g.problems
}

// name checks that nobody has a task's name already. Names that differ by case
// only would share their files on some disks, and confuse people on all.
func (g *graph) name(name string, folded map[string]string) {
	fold := strings.ToLower(name)
	first, known := folded[fold]
	switch {
	case !known:
		folded[fold] = name
	case first == name:
		g.problem(fmt.Sprintf("there are two tasks named %q", name), "tasks", name)
	default:
		g.problem(fmt.Sprintf("the names %q and %q differ by case only", first, name), "tasks", name)
	}
}

func (g *graph) meant(name string) string {
	if g.guesses++; g.guesses > guessesMax {
		return ""
	}
	return meant(name, g.workflow.Tasks)
}

func (g *graph) task(i int32, last []int32) {
	t := &g.workflow.Tasks[i]
	for k, name := range t.Needs {
		need, ok := g.index[name]
		switch {
		case name == t.Name:
			g.problem("the task needs itself", "tasks", t.Name, "needs", k)
		case !ok:
			g.problem(fmt.Sprintf("there is no task %q%s", name, g.meant(name)), "tasks", t.Name, "needs", k)
		case last[need] == i+1:
			g.problem(fmt.Sprintf("%q is there twice", name), "tasks", t.Name, "needs", k)
		default:
			last[need] = i + 1
			g.needs.to = append(g.needs.to, need)
		}
	}
}

// cycles walks the needs depth first, with a stack of its own: a chain may be
// as long as the workflow.
func (g *graph) cycles() {
	const (
		unseen = iota
		onStack
		left
	)
	n := len(g.workflow.Tasks)
	mark := make([]uint8, n)
	at := make([]int32, n) // next need to follow
	var stack []int32
	found := 0
	for root := range int32(n) {
		if mark[root] != unseen {
			continue
		}
		mark[root] = onStack
		stack = append(stack[:0], root)
		for len(stack) > 0 {
			top := stack[len(stack)-1]
			needs := g.needs.of(top)
			if int(at[top]) == len(needs) {
				mark[top] = left
				stack = stack[:len(stack)-1]
				continue
			}
			need := needs[at[top]]
			at[top]++
			switch mark[need] {
			case unseen:
				mark[need] = onStack
				stack = append(stack, need)
			case onStack:
				if found++; found <= cyclesMax {
					g.cycle(stack, need)
				}
			}
		}
	}
}

// cycle reports that the last task of the stack needs one further up.
func (g *graph) cycle(stack []int32, first int32) {
	begin := len(stack) - 1
	for stack[begin] != first {
		begin--
	}
	var names []string
	for k, i := range stack[begin:] {
		if k == pathShown {
			names = append(names, fmt.Sprintf("... (%d tasks)", len(stack)-begin))
			break
		}
		names = append(names, g.workflow.Tasks[i].Name)
	}
	names = append(names, g.workflow.Tasks[first].Name)
	task := &g.workflow.Tasks[stack[len(stack)-1]]
	for k, name := range task.Needs {
		if name == g.workflow.Tasks[first].Name {
			g.problem("cycle: "+strings.Join(names, " needs "), "tasks", task.Name, "needs", k)
			return
		}
	}
	panic(fmt.Sprintf("flow: %q does not need %q", task.Name, g.workflow.Tasks[first].Name))
}

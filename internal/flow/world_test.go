package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/semel-dev/semel/internal/fence"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a run machine with the store behind it and the queue of ready tasks
// before it. It checks after every input what has to hold whatever happens.
type world struct {
	t        fataler
	plan     *Plan
	now      time.Time
	applied  time.Time // when the machine last heard of anything
	m        *Machine
	run      Run // as stored, like the next two
	rows     map[string]TaskRun
	attempts map[string][]Attempt
	queue    []int   // announced
	reports  []Input // what workers have said so far
}

func newWorld(t fataler, w *Workflow, r Run) *world {
	t.Helper()
	for i := range w.Tasks {
		if w.Tasks[i].Config == nil {
			w.Tasks[i].Config = json.RawMessage(`{}`)
		}
		if w.Tasks[i].Type == "" {
			w.Tasks[i].Type = "noop"
		}
	}
	if w.Name == "" {
		w.Name = "w"
	}
	if problems := Validate(w); len(problems) > 0 {
		t.Fatalf("the workflow is not valid: %v", problems)
	}
	plan, err := Compile(w)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r.ID, r.Workflow, r.Version, r.State, r.CreatedAt = "run", w.Name, 1, RunQueued, noon
	v := &world{t: t, plan: plan, now: noon, applied: noon, run: r, rows: map[string]TaskRun{}, attempts: map[string][]Attempt{}}
	v.m = New(plan, r)
	return v
}

// apply hands an input to the machine, stores what it writes and checks it. A
// machine that was loaded at this moment must decide the same.
func (v *world) apply(in Input) Out {
	v.t.Helper()
	twin := v.twin()
	out := v.m.Apply(v.now, in)
	v.applied = v.now
	v.compare(in, out, twin)
	v.store(in, out)
	switch in.(type) {
	case Started, Finished, Lost, Buried:
		v.reports = append(v.reports, in)
	}
	v.queue = append(v.queue, out.Ready...)
	return out
}

// load returns the machine of what is stored.
func (v *world) load() *Machine {
	var rows []TaskRun
	var last []Attempt
	for i := range v.plan.workflow.Tasks {
		name := v.plan.workflow.Tasks[i].Name
		if row, ok := v.rows[name]; ok {
			rows = append(rows, row)
		}
		if all := v.attempts[name]; len(all) > 0 {
			last = append(last, all[len(all)-1])
		}
	}
	return Load(v.plan, v.run, rows, last)
}

// twin is the machine as its next owner would have it. Coming back changes
// nothing that is stored.
func (v *world) twin() *Machine {
	v.t.Helper()
	twin := v.load()
	out := twin.Apply(v.applied, Tick{})
	if out.Run != nil || len(out.TaskRuns) > 0 || len(out.Attempts) > 0 || len(out.Warn) > 0 {
		v.t.Fatalf("a machine that was loaded and ticked wrote %+v", out)
	}
	if err := twin.Check(); err != nil {
		v.t.Fatalf("after Load: %v", err)
	}
	if diff := cmp.Diff(v.m.Views(), twin.Views(), ignoreText); diff != "" {
		v.t.Fatalf("the machine that was loaded differs (-lives +loaded):\n%s", diff)
	}
	if diff := cmp.Diff(v.m.Killing(), out.Kill, cmpopts.EquateEmpty()); diff != "" {
		v.t.Fatalf("kills were not repeated (-pending +repeated):\n%s", diff)
	}
	return twin
}

// ignoreText leaves out the reasons of what is not final: a live machine
// remembers the last attempt's, a loaded one need not.
var ignoreText = cmpopts.IgnoreFields(View{}, "Reason")

func (v *world) compare(in Input, out Out, twin *Machine) {
	v.t.Helper()
	other := twin.Apply(v.now, in)
	options := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Out{}, "Ready")}
	if diff := cmp.Diff(out, other, options); diff != "" {
		v.t.Fatalf("%T%+v: the machine that was loaded decides otherwise (-lives +loaded):\n%s", in, in, diff)
	}
	for i := range v.m.cells {
		if v.m.IsReady(i) != twin.IsReady(i) {
			v.t.Fatalf("%T%+v: %s is ready: %v, in the machine that was loaded: %v", in, in, v.m.name(int32(i)), v.m.IsReady(i), twin.IsReady(i))
		}
	}
	if !v.m.Next().Equal(twin.Next()) {
		v.t.Fatalf("%T%+v: next timer %v, in the machine that was loaded: %v", in, in, v.m.Next(), twin.Next())
	}
}

// store takes the rows of one commit, and checks what may never be written.
func (v *world) store(in Input, out Out) {
	v.t.Helper()
	if err := v.m.Check(); err != nil {
		v.t.Fatalf("after %T%+v: %v", in, in, err)
	}
	if out.Run != nil {
		v.run = *out.Run
	}
	if diff := cmp.Diff(v.m.Run(), v.run); diff != "" {
		v.t.Fatalf("after %T%+v the run is not as stored:\n%s", in, in, diff)
	}
	for _, r := range out.TaskRuns {
		v.rows[r.Task] = r
	}
	for _, a := range out.Attempts {
		v.storeAttempt(a)
	}
	if w := out.Work; w != nil {
		i := v.plan.index[w.Task]
		for _, need := range v.plan.needs.of(i) {
			if s := v.m.state(need); !s.Final() {
				v.t.Fatalf("%s starts while %s is %s", w.Task, v.m.name(need), s)
			}
		}
	}
	for _, i := range out.Ready {
		if !v.m.IsReady(i) {
			v.t.Fatalf("%s is announced and not ready", v.m.name(int32(i)))
		}
	}
}

func (v *world) storeAttempt(a Attempt) {
	v.t.Helper()
	all := v.attempts[a.Task]
	switch n := len(all); {
	case n > 0 && all[n-1].Generation == a.Generation:
		if old := all[n-1]; old.State.Final() {
			v.t.Fatalf("attempt %d of %s was %s and is written again: %+v", a.Number, a.Task, old.State, a)
		}
		all[n-1] = a
	case n > 0 && !all[n-1].State.Final():
		v.t.Fatalf("attempt %d of %s begins while %d is %s", a.Number, a.Task, n, all[n-1].State)
	case a.Number != n+1 || n > 0 && a.Generation <= all[n-1].Generation || a.State != AttemptDispatched:
		v.t.Fatalf("attempt %+v of %s follows %d others", a, a.Task, n)
	default:
		v.attempts[a.Task] = append(all, a)
	}
}

// crash ends the owner; the next one goes on from the store.
func (v *world) crash() Out {
	v.t.Helper()
	v.twin()
	v.m = v.load()
	out := v.m.Apply(v.applied, Tick{})
	v.store(Tick{}, out)
	v.queue = slices.Clone(out.Ready)
	return out
}

// replay says again all that workers have said: nothing changes.
func (v *world) replay() {
	v.t.Helper()
	before := v.m.Views()
	for _, in := range v.reports {
		out := v.m.Apply(v.now, in)
		out.Forget = nil
		if diff := cmp.Diff(Out{}, out, cmpopts.EquateEmpty()); diff != "" {
			v.t.Fatalf("%T%+v came again and changed something:\n%s", in, in, diff)
		}
	}
	if diff := cmp.Diff(before, v.m.Views()); diff != "" {
		v.t.Fatalf("late reports changed something:\n%s", diff)
	}
}

// advance lets time pass, and whatever is due happen.
func (v *world) advance(d time.Duration) Out {
	v.now = v.now.Add(d)
	return v.apply(Tick{})
}

func (v *world) index(task string) int {
	i, ok := v.plan.index[task]
	if !ok {
		v.t.Fatalf("there is no task %q", task)
	}
	return int(i)
}

func (v *world) place(task string) Out {
	return v.apply(Place{Task: v.index(task), Node: "n1", Epoch: 1})
}

func (v *world) generation(task string) Generation { return v.m.cells[v.index(task)].generation }

// node is where a task's last attempt went.
func (v *world) node(task string) fence.NodeID {
	if a := v.m.cells[v.index(task)].attempt; a != nil {
		return a.Node
	}
	return ""
}

func (v *world) instant() fence.Instant {
	return fence.Instant{Wall: v.now, Boot: fence.Boot(v.now.Sub(noon))}
}

func (v *world) finish(task string, r Result) Out {
	return v.apply(Finished{Task: task, Generation: v.generation(task), Node: v.node(task), Outcome: Outcome{Result: r, Finished: v.instant()}})
}

// state of a task, or of the run if the name is empty.
func (v *world) state(task string) string {
	if task == "" {
		return string(v.m.Run().State)
	}
	return string(v.m.View(v.index(task)).State)
}

// want compares states: of the run under "", of tasks under their names.
func (v *world) want(states map[string]string) {
	v.t.Helper()
	got := map[string]string{}
	for name := range states {
		got[name] = v.state(name)
	}
	if diff := cmp.Diff(states, got); diff != "" {
		v.t.Fatalf("states (-want +got):\n%s", diff)
	}
}

// next takes an announced task that can still be placed, as a partition does.
func (v *world) next() (int, bool) {
	for len(v.queue) > 0 {
		i := v.queue[0]
		v.queue = v.queue[1:]
		if v.m.IsReady(i) {
			return i, true
		}
	}
	return 0, false
}

// drive places all that is announced and ends it as outcome says, until
// nothing more happens without time or people.
func (v *world) drive(outcome func(task string) Result) {
	v.t.Helper()
	for range 100_000 {
		i, ok := v.next()
		if !ok {
			return
		}
		if v.apply(Place{Task: i, Node: "n1", Epoch: 1}).Work != nil {
			name := v.plan.workflow.Tasks[i].Name
			v.finish(name, outcome(name))
		}
	}
	v.t.Fatalf("the run does not come to rest")
}

func allSucceed(string) Result { return Succeeded }

func failing(tasks ...string) func(string) Result {
	return func(task string) Result {
		if slices.Contains(tasks, task) {
			return Failed
		}
		return Succeeded
	}
}

// chain is a workflow of n tasks, each needing the one before.
func chain(n int) *Workflow {
	w := &Workflow{Name: "chain"}
	for i := range n {
		t := Task{Name: fmt.Sprintf("t%d", i), Type: "noop", Config: json.RawMessage(`{}`)}
		if i > 0 {
			t.Needs = []string{w.Tasks[i-1].Name}
		}
		w.Tasks = append(w.Tasks, t)
	}
	return w
}

// fanOut is one task, n that need it, and one that needs all of those.
func fanOut(n int) *Workflow {
	w := &Workflow{Name: "fan", Tasks: []Task{{Name: "first", Type: "noop", Config: json.RawMessage(`{}`)}}}
	last := Task{Name: "last", Type: "noop", Config: json.RawMessage(`{}`)}
	for i := range n {
		t := Task{Name: fmt.Sprintf("t%d", i), Needs: []string{"first"}, Type: "noop", Config: json.RawMessage(`{}`)}
		w.Tasks = append(w.Tasks, t)
		last.Needs = append(last.Needs, t.Name)
	}
	w.Tasks = append(w.Tasks, last)
	return w
}

func TestHappyWayWritesTwoRowsATask(t *testing.T) {
	v := newWorld(t, chain(3), Run{})
	v.apply(Begin{})
	for _, task := range []string{"t0", "t1", "t2"} {
		placed := v.place(task)
		ended := v.finish(task, Succeeded)
		if got := len(placed.Attempts) + len(ended.Attempts); got != 2 {
			t.Errorf("%s wrote %d attempt rows, want 2", task, got)
		}
		if got := len(placed.TaskRuns) + len(ended.TaskRuns); got != 0 {
			t.Errorf("%s wrote %d task-run rows, want none", task, got)
		}
	}
	v.want(map[string]string{"": "succeeded", "t0": "succeeded", "t2": "succeeded"})
}

func TestStartedOnItsOwnWritesOneRowMore(t *testing.T) {
	v := newWorld(t, chain(1), Run{})
	v.apply(Begin{})
	v.place("t0")
	out := v.apply(Started{Task: "t0", Generation: 1, At: v.instant()})
	if len(out.Attempts) != 1 || len(out.TaskRuns) != 0 || out.Attempts[0].State != AttemptRunning {
		t.Errorf("started wrote %+v", out)
	}
	v.want(map[string]string{"": "running", "t0": "running"})
}

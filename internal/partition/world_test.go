package partition_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/wire"
)

// world is one master, one worker and a store, in one goroutine: the real
// partition and agent machines, with everything between them played by hand so
// that it can be lost, repeated or cut off anywhere.
type world struct {
	t   *rapid.T
	now time.Time

	// the store
	epoch    flow.Epoch
	seq      uint64
	runs     map[flow.RunID]flow.Run
	tasks    map[flow.RunID]map[string]flow.TaskRun
	attempts map[flow.RunID]map[string][]flow.Attempt
	ended    map[fence.NodeID]bool
	plan     *flow.Plan

	// the master
	machine *partition.Machine
	inbox   []partition.Input
	decided []partition.Out // not yet committed, in order
	wake    time.Time
	command uint64

	// the stream, and what former masters sent that is still on its way
	down    []partition.Send
	up      []wire.Report
	zombies []partition.Send

	// the worker
	incarnation int
	node        fence.NodeID
	agent       *agent.Machine
	processes   map[wire.Ref]bool
	boot        fence.Boot

	// the witness
	started map[wire.Ref]int
	exited  map[wire.Ref]flow.Result
	crashes int
}

func newWorld(t *rapid.T, w *flow.Workflow) *world {
	plan, err := flow.Compile(w)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	v := &world{
		t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), plan: plan,
		runs: map[flow.RunID]flow.Run{}, tasks: map[flow.RunID]map[string]flow.TaskRun{},
		attempts: map[flow.RunID]map[string][]flow.Attempt{}, ended: map[fence.NodeID]bool{},
		started: map[wire.Ref]int{}, exited: map[wire.Ref]flow.Result{},
	}
	v.takeOver()
	v.newRunner()
	return v
}

// takeOver is a master's beginning: all that was not committed is gone.
func (v *world) takeOver() {
	v.epoch++
	var loaded []partition.Loaded
	for _, id := range v.runIDs() {
		if !v.runs[id].State.Final() {
			loaded = append(loaded, *v.loaded(id))
		}
	}
	v.machine = partition.New(0, v.epoch, v.seq, loaded)
	v.inbox, v.decided, v.wake = nil, nil, v.now
	v.zombies = append(v.zombies, v.down...)
	for id := range v.ended {
		v.inbox = append(v.inbox, partition.Ended{Node: id, Reason: "ended before"})
	}
	v.reconnect()
}

func (v *world) runIDs() []flow.RunID {
	var ids []flow.RunID
	for i := range len(v.runs) {
		ids = append(ids, runID(i))
	}
	return ids
}

func runID(i int) flow.RunID { return flow.RunID(fmt.Sprintf("0190a000-0000-7000-8000-%012d", i)) }

func (v *world) loaded(id flow.RunID) *partition.Loaded {
	l := &partition.Loaded{Run: v.runs[id], Plan: v.plan}
	for _, t := range v.plan.Workflow().Tasks {
		if row, ok := v.tasks[id][t.Name]; ok {
			l.TaskRuns = append(l.TaskRuns, row)
		}
		if all := v.attempts[id][t.Name]; len(all) > 0 {
			l.Attempts = append(l.Attempts, all[len(all)-1])
		}
	}
	return l
}

// reconnect breaks the stream, and opens a new one.
func (v *world) reconnect() {
	v.down, v.up = nil, nil
	if v.agent == nil {
		return
	}
	v.inbox = append(v.inbox, partition.Parted{Node: v.node}, partition.Joined{Node: v.node, Slots: 2})
	v.step(agent.Attached{})
}

func (v *world) newRunner() {
	v.incarnation++
	v.node = fence.NodeID(fmt.Sprintf("w@%d", v.incarnation))
	v.agent, v.processes = agent.New(v.node), map[wire.Ref]bool{}
	v.step(agent.Extend{Deadline: 1 << 60})
	v.down, v.up = nil, nil
	v.inbox = append(v.inbox, partition.Joined{Node: v.node, Slots: 2})
}

// step hands one input to the worker machine and plays what it asks for.
func (v *world) step(in agent.Input) {
	v.boot++
	out := v.agent.Apply(fence.Instant{Wall: v.now, Boot: v.boot}, in)
	for i := range out.Start {
		ref := out.Start[i].Ref()
		v.started[ref]++
		if v.started[ref] > 1 {
			v.t.Fatalf("P2: %v started %d times", ref, v.started[ref])
		}
		for other := range v.processes {
			if other.Run == ref.Run && other.Task == ref.Task {
				v.t.Fatalf("P3: %v started while %v lives", ref, other)
			}
		}
		v.processes[ref] = true
	}
	v.up = append(v.up, out.Reports...)
	for _, k := range out.Kill {
		v.exit(k.Ref, flow.Stopped)
	}
}

func (v *world) exit(ref wire.Ref, result flow.Result) {
	if !v.processes[ref] {
		return
	}
	delete(v.processes, ref)
	v.exited[ref] = result
	v.step(agent.Exited{Ref: ref, Outcome: flow.Outcome{Result: result, Reason: string(result)}})
}

// turn lets the master decide about what has come.
func (v *world) turn() {
	inputs := append(v.inbox, partition.Tick{})
	v.inbox = nil
	out := v.machine.Apply(v.now, inputs)
	v.wake = out.Wake
	if out.More {
		v.wake = v.now
	}
	v.decided = append(v.decided, out)
}

// commit stores the oldest batch that is not, and releases what follows from
// it.
func (v *world) commit() {
	if len(v.decided) == 0 {
		return
	}
	out := v.decided[0]
	v.decided = v.decided[1:]
	if b := out.Batch; b != nil {
		if b.Epoch != v.epoch || b.Seq != v.seq+1 {
			v.t.Fatalf("batch (%d, %d) at (%d, %d)", b.Epoch, b.Seq, v.epoch, v.seq)
		}
		v.seq = b.Seq
		v.store(b)
	}
	for _, s := range out.Effects {
		if s.Node == v.node {
			v.down = append(v.down, s)
		}
	}
}

func (v *world) store(b *partition.Batch) {
	for _, r := range b.Runs {
		v.runs[r.ID] = r
	}
	for _, t := range b.TaskRuns {
		if v.tasks[t.Run] == nil {
			v.tasks[t.Run] = map[string]flow.TaskRun{}
		}
		v.tasks[t.Run][t.Task] = t
	}
	for _, a := range b.Attempts {
		v.storeAttempt(a)
	}
}

func (v *world) storeAttempt(a flow.Attempt) {
	if v.attempts[a.Run] == nil {
		v.attempts[a.Run] = map[string][]flow.Attempt{}
	}
	all := v.attempts[a.Run][a.Task]
	if n := len(all); n > 0 && all[n-1].Number == a.Number {
		if old := all[n-1]; old.State.Final() && old.State != a.State {
			v.t.Fatalf("P5: attempt %s/%d was %s and becomes %s", a.Task, a.Number, old.State, a.State)
		}
		all[n-1] = a
		return
	}
	if n := len(all); n > 0 && !all[n-1].State.Final() {
		v.t.Fatalf("P3: attempt %s/%d is dispatched while %d is %s", a.Task, a.Number, all[n-1].Number, all[n-1].State)
	}
	if a.Number != len(all)+1 {
		v.t.Fatalf("attempt %s/%d follows %d others", a.Task, a.Number, len(all))
	}
	v.attempts[a.Run][a.Task] = append(all, a)
}

// network carries the oldest message of one direction.
func (v *world) network(down bool) {
	if down && len(v.down) > 0 {
		s := v.down[0]
		v.down = v.down[1:]
		v.step(agent.Message{ToWorker: s.Message})
		if s.Message.Forget == nil && rapid.Bool().Draw(v.t, "repeated") {
			v.step(agent.Message{ToWorker: s.Message})
		}
	}
	if !down && len(v.up) > 0 {
		v.inbox = append(v.inbox, partition.Reported{Node: v.node, Reports: v.up[:1]})
		v.up = v.up[1:]
	}
}

// crashRunner ends the worker with all its processes. What its journal says
// is handed over as worker/mourn.go does it: first the exit records, until
// they are committed, then the death.
func (v *world) crashRunner() {
	v.crashes++
	dead, left := v.node, v.agent
	v.processes = map[wire.Ref]bool{}
	v.down, v.up, v.zombies, v.agent = nil, nil, nil, nil // a stream is that of one node
	v.inbox = append(v.inbox, partition.Parted{Node: dead})
	for _, r := range left.Pending() {
		if r.Phase == wire.Finished {
			v.inbox = append(v.inbox, partition.Reported{Node: dead, Reports: []wire.Report{r}})
		}
	}
	v.turn()
	if v.t != nil && rapid.Bool().Draw(v.t, "master dies too") {
		// The exit records are still on disk: the next server hands them over.
		v.takeOver()
		for _, r := range left.Pending() {
			if r.Phase == wire.Finished {
				v.inbox = append(v.inbox, partition.Reported{Node: dead, Reports: []wire.Report{r}})
			}
		}
		v.turn()
	}
	for len(v.decided) > 0 {
		v.commit()
	}
	v.ended[dead] = true
	v.inbox = append(v.inbox, partition.Ended{Node: dead, Reason: "killed"})
	v.newRunner()
}

func (v *world) submit(kind partition.Kind, id flow.RunID, args string) {
	v.command++
	c := partition.Command{Sequence: v.command, Kind: kind, Run: id}
	if args != "" {
		c.Args = []byte(args)
	}
	in := partition.Submitted{Command: c}
	if !v.machine.Has(id) {
		for len(v.decided) > 0 {
			v.commit()
		}
		in.Run = v.loaded(id)
	}
	v.inbox = append(v.inbox, in)
	v.turn()
	for len(v.decided) > 0 { // a command is repeated until it is consumed: play the end of that
		v.commit()
	}
}

func (v *world) newRun() flow.RunID {
	id := runID(len(v.runs))
	v.runs[id] = flow.Run{ID: id, Workflow: "w", Version: 1, State: flow.RunQueued, CreatedAt: v.now}
	v.submit(partition.KindStart, id, "")
	return id
}

// chance lets one thing happen.
func (v *world) chance() {
	ids := v.runIDs()
	id := rapid.SampledFrom(ids).Draw(v.t, "run")
	switch rapid.IntRange(0, 16).Draw(v.t, "what") {
	case 0, 1, 2:
		v.turn()
	case 3, 4, 5:
		v.commit()
	case 6, 7:
		v.network(true)
	case 8, 9:
		v.network(false)
	case 10:
		v.someExit(rapid.SampledFrom([]flow.Result{flow.Succeeded, flow.Failed, flow.TimedOut, flow.Refused}).Draw(v.t, "result"))
	case 11:
		v.now = v.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(v.t, "seconds")) * time.Second)
	case 12:
		v.takeOver()
	case 13:
		v.crashRunner()
	case 14:
		v.reconnect()
	case 15: // a former master's message arrives at last
		if len(v.zombies) > 0 {
			v.step(agent.Message{ToWorker: v.zombies[0].Message})
			v.zombies = v.zombies[1:]
		}
	case 16:
		kind := rapid.SampledFrom([]partition.Kind{partition.KindPause, partition.KindResume, partition.KindStop, partition.KindRerun}).Draw(v.t, "kind")
		v.submit(kind, id, rapid.SampledFrom([]string{"", `{"Failed":true}`}).Draw(v.t, "args"))
	}
}

// someExit ends the process that comes first by name.
func (v *world) someExit(result flow.Result) {
	var first wire.Ref
	for ref := range v.processes {
		if first.Task == "" || ref.Run < first.Run || ref.Run == first.Run && ref.Task < first.Task {
			first = ref
		}
	}
	if first.Task != "" {
		v.exit(first, result)
	}
}

// heal stops all faults and demands that every run ends.
func (v *world) heal() {
	for _, id := range v.runIDs() {
		if s := v.runs[id].State; s == flow.RunPaused || s == flow.RunPausing {
			v.submit(partition.KindResume, id, "")
		}
	}
	for range 5000 {
		if v.allFinal() {
			return
		}
		v.turn()
		for len(v.decided) > 0 {
			v.commit()
		}
		for len(v.down) > 0 {
			v.network(true)
		}
		v.someExit(flow.Succeeded)
		for len(v.up) > 0 {
			v.network(false)
		}
		if len(v.inbox) == 0 && !v.wake.IsZero() && v.wake.After(v.now) {
			v.now = v.wake
		}
	}
	for _, id := range v.runIDs() {
		v.t.Errorf("run %s is %s for ever: %v", id, v.runs[id].State, v.tasks[id])
	}
	v.t.FailNow()
}

func (v *world) allFinal() bool {
	for _, r := range v.runs {
		if !r.State.Final() {
			return false
		}
	}
	return true
}

// settled says that nothing is left in memory once every run is over.
func (v *world) settled() {
	v.turn()
	if c := v.machine.Counts(); c.Active != 0 || c.Taken != 0 || c.Runs != 0 {
		v.t.Errorf("all runs are over, and in memory there are %+v", c)
	}
}

// outcomes compares what is stored with what the worker's processes did.
func (v *world) outcomes() {
	for id, tasks := range v.attempts {
		for task, all := range tasks {
			for _, a := range all {
				ref := wire.Ref{Run: id, Task: task, Generation: a.Generation}
				if a.State == flow.AttemptBuried && v.started[ref] > 0 {
					v.t.Errorf("%v was buried and started", ref)
				}
				if a.State == flow.AttemptSucceeded && v.exited[ref] != flow.Succeeded {
					v.t.Errorf("%v is recorded as succeeded, its process ended %q", ref, v.exited[ref])
				}
				if a.State == flow.AttemptLost && v.exited[ref] != "" {
					v.t.Errorf("%v is recorded as lost, its exit record said %q", ref, v.exited[ref])
				}
				if a.State == flow.AttemptLost && v.crashes == 0 {
					v.t.Errorf("%v is lost, and no runner ever died", ref)
				}
			}
		}
	}
}

func randomWorkflow(t *rapid.T) *flow.Workflow {
	w := &flow.Workflow{Name: "w", OnFailure: rapid.SampledFrom([]flow.Strategy{flow.Continue, flow.End}).Draw(t, "on_failure")}
	for i := range rapid.IntRange(1, 6).Draw(t, "tasks") {
		task := flow.Task{
			Name: fmt.Sprintf("t%d", i), Type: "shell", Config: []byte(`{"script":"true"}`), Slots: rapid.IntRange(0, 1).Draw(t, "slots"),
			Join:   rapid.SampledFrom([]flow.Join{flow.JoinNoneFailed, flow.JoinAllDone, flow.JoinAllSucceeded, flow.JoinAnyFailed}).Draw(t, "join"),
			OnLost: rapid.SampledFrom([]flow.OnLost{flow.LostRerun, flow.LostFail}).Draw(t, "on_lost"),
			Retry:  flow.Retry{Limit: rapid.IntRange(0, 2).Draw(t, "retries"), Delay: time.Second},
		}
		for j := range i {
			if rapid.Bool().Draw(t, "need") {
				task.Needs = append(task.Needs, fmt.Sprintf("t%d", j))
			}
		}
		w.Tasks = append(w.Tasks, task)
	}
	return w
}

// TestWorld_NothingTwiceNothingLost crashes masters and runners, breaks
// streams, delays and drops messages, stops and reruns; then it heals, and
// everything must end.
func TestWorld_NothingTwiceNothingLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := newWorld(t, randomWorkflow(t))
		for range rapid.IntRange(1, 2).Draw(t, "runs") {
			v.newRun()
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			v.chance()
		}
		v.heal()
		v.outcomes()
		v.settled()
	})
}

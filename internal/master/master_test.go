package master_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/master"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/memory"
	"github.com/semel-dev/semel/internal/wire"
	"github.com/semel-dev/semel/internal/wire/stream"
)

// worker is a real agent machine whose processes end as soon as they start,
// unless they are held back.
type worker struct {
	t       *testing.T
	node    fence.NodeID
	machine *agent.Machine

	mu      sync.Mutex
	boot    fence.Boot
	starts  map[wire.Ref]int
	held    chan struct{}     // if not nil, processes run until it is closed
	end     *stream.WorkerEnd // the newest stream: reports go there
	forgets int
}

func newWorker(t *testing.T, node fence.NodeID) *worker {
	w := &worker{t: t, node: node, machine: agent.New(node), starts: map[wire.Ref]int{}}
	w.apply(agent.Extend{Deadline: 1 << 60})
	return w
}

func (w *worker) apply(in agent.Input) agent.Out {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boot++
	out := w.machine.Apply(fence.Instant{Wall: time.Now(), Boot: w.boot}, in)
	for i := range out.Start {
		w.starts[out.Start[i].Ref()]++
	}
	if w.end != nil && len(out.Reports) > 0 {
		w.end.Send(wire.FromWorker{Node: w.node, Reports: out.Reports})
	}
	return out
}

// serve attaches the worker to a master until ctx ends.
func (w *worker) serve(ctx context.Context, m *master.Master) {
	masterEnd, end := stream.Pipe(wire.Hello{Node: fence.Node{ID: w.node, Slots: 4, TTL: leaseTTL}})
	defer end.Close()
	go func() { _ = m.Accept(ctx, masterEnd) }()
	w.mu.Lock()
	w.end = end
	w.mu.Unlock()
	w.apply(agent.Attached{})
	for {
		msg, err := end.Recv(ctx)
		if err != nil {
			return
		}
		for _, f := range msg.Forget {
			w.forgets += len(f.Refs)
		}
		out := w.apply(agent.Message{ToWorker: msg})
		for i := range out.Start {
			go func() {
				if w.held != nil {
					<-w.held
				}
				w.apply(agent.Exited{Ref: out.Start[i].Ref(), Outcome: flow.Outcome{Result: flow.Succeeded}})
			}()
		}
	}
}

// cluster is a store with one workflow: a chain of n tasks.
func cluster(t *testing.T, s store.Store, n int) {
	t.Helper()
	w := flow.Workflow{Name: "chain", OnFailure: flow.Continue}
	for i := range n {
		task := flow.Task{Name: fmt.Sprintf("t%d", i), Type: "noop", Config: json.RawMessage(`{}`), Join: flow.JoinNoneFailed, OnLost: flow.LostRerun}
		if i > 0 {
			task.Needs = []string{fmt.Sprintf("t%d", i-1)}
		}
		w.Tasks = append(w.Tasks, task)
	}
	if _, _, err := s.Apply(t.Context(), store.Definition{Workflow: w, Digest: "d"}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

const leaseTTL = 20 * time.Second

// newOwner is a message of an owner under some epoch.
func newOwner(epoch flow.Epoch) agent.Message {
	return agent.Message{ToWorker: wire.ToWorker{Ask: []wire.Ask{{Owner: wire.Owner{Epoch: epoch}}}}}
}

// boot counts from the start of the tests, or of a bubble.
func boot() fence.Boot { return fence.Boot(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))) }

func runID(i int) flow.RunID { return flow.RunID(fmt.Sprintf("0190a000-0000-7000-8000-%012d", i)) }

func submit(t *testing.T, s store.Store, kind partition.Kind, run int, args string) string {
	t.Helper()
	id := fmt.Sprintf("%s-%d-%d", kind, run, time.Now().UnixNano())
	c := partition.Command{ID: id, Key: id, Kind: kind, Run: runID(run), Digest: id, CreatedAt: time.Now()}
	if args != "" {
		c.Args = json.RawMessage(args)
	}
	var row *flow.Run
	if kind == partition.KindStart {
		row = &flow.Run{ID: runID(run), Workflow: "chain", Version: 1, State: flow.RunQueued, CreatedAt: time.Now()}
	}
	if _, _, err := s.Submit(t.Context(), c, row); err != nil {
		t.Fatal(err)
	}
	return id
}

// until waits for a run to come to a state.
func until(t *testing.T, s store.Store, run int, want flow.RunState) {
	t.Helper()
	changed, cancel := s.Changed()
	defer cancel()
	for {
		r, err := s.Run(t.Context(), runID(run))
		if err != nil {
			t.Fatal(err)
		}
		if r.State == want {
			return
		}
		if r.State.Final() {
			t.Fatalf("run %d is %s (%s), want %s", run, r.State, r.Reason, want)
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("run %d is still %s", run, r.State)
		}
	}
}

// start runs a master until the returned function is called.
func start(t *testing.T, s store.Store, incarnation int) (*master.Master, func() error) {
	t.Helper()
	m, err := master.New(master.Config{Store: s, Alone: true, Boot: boot, Node: fence.Node{
		ID: fence.NodeID(fmt.Sprintf("m@%d", incarnation)), Role: fence.Master, State: fence.Live, StartedAt: time.Now(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return m, stop
}

func TestMaster_RunsAChainAndForgets(t *testing.T) {
	s := memory.Open()
	cluster(t, s, 5)
	m, stop := start(t, s, 1)
	w := newWorker(t, "w@1")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { w.serve(ctx, m); close(served) }()
	for i := range 20 {
		submit(t, s, partition.KindStart, i, "")
		m.Wake()
	}
	for i := range 20 {
		until(t, s, i, flow.RunSucceeded)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-served
	for ref, n := range w.starts {
		if n != 1 {
			t.Errorf("%v started %d times", ref, n)
		}
	}
	if len(w.starts) != 100 {
		t.Errorf("%d attempts started, want 100", len(w.starts))
	}
	totals := m.Totals()
	if diff := cmp.Diff(map[flow.AttemptState]uint64{flow.AttemptSucceeded: 100}, totals.Finished); diff != "" {
		t.Errorf("attempts counted (-want +got):\n%s", diff)
	}
	position, err := s.Position(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	// Each attempt is written when it is dispatched and when it has ended.
	if totals.Commits != position.Seq || totals.Rows < 200 {
		t.Errorf("%d commits with %d rows counted, of %d", totals.Commits, totals.Rows, position.Seq)
	}
}

// A successor finds a task running and leaves it alone; its outcome is taken
// once.
func TestP5_ATaskThatRunsThroughItsMastersDeathIsNotRestarted(t *testing.T) {
	s := memory.Open()
	cluster(t, s, 2)
	w := newWorker(t, "w@1")
	w.held = make(chan struct{})

	first, stop := start(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { w.serve(ctx, first); close(served) }()
	submit(t, s, partition.KindStart, 0, "")
	first.Wake()
	changed, unwatch := s.Changed()
	for { // until the worker has it
		w.mu.Lock()
		n := len(w.starts)
		w.mu.Unlock()
		if n == 1 {
			break
		}
		select {
		case <-changed:
		case <-time.After(time.Millisecond):
		}
	}
	unwatch()
	cancel()
	<-served
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	second, _ := start(t, s, 2)
	go w.serve(t.Context(), second)
	close(w.held)
	until(t, s, 0, flow.RunSucceeded)
	attempts, err := s.Attempts(t.Context(), runID(0), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(attempts) != 2 || attempts[0].Epoch != 1 || attempts[1].Epoch != 2 {
		t.Errorf("attempts %+v: want t0 once under epoch 1, t1 once under epoch 2", attempts)
	}
}

// Commands on a run that is over bring it back from the store, after all that
// was ahead of the store is in it.
func TestCommands_FindARunThatIsOver(t *testing.T) {
	s := memory.Open()
	cluster(t, s, 3)
	m, _ := start(t, s, 1)
	w := newWorker(t, "w@1")
	go w.serve(t.Context(), m)
	submit(t, s, partition.KindStart, 0, "")
	m.Wake()
	until(t, s, 0, flow.RunSucceeded)

	first := submit(t, s, partition.KindRerun, 0, "")
	second := submit(t, s, partition.KindRerun, 0, "")
	m.Wake()
	if refused := consumed(t, s, first); refused != "" {
		t.Errorf("the first rerun was refused: %s", refused)
	}
	if refused := consumed(t, s, second); refused == "" {
		t.Error("a rerun of a run that is being rerun was carried out")
	}
	until(t, s, 0, flow.RunSucceeded)
	r, err := s.Run(t.Context(), runID(0))
	if err != nil || r.Round != 1 {
		t.Errorf("round %d, %v: want 1", r.Round, err)
	}
}

// consumed waits until a command is, and returns why it was refused.
func consumed(t *testing.T, s store.Store, id string) string {
	t.Helper()
	changed, cancel := s.Changed()
	defer cancel()
	for {
		c, err := s.Command(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !c.DoneAt.IsZero() {
			return c.Refused
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("command %s is not consumed", id)
		}
	}
}

// A run whose definition is gone fails where people see it.
func TestPoison_FailsItsRunVisibly(t *testing.T) {
	s := memory.Open()
	cluster(t, s, 1)
	c := partition.Command{ID: "c", Key: "c", Kind: partition.KindStart, Run: runID(7), Digest: "c", CreatedAt: time.Now()}
	row := &flow.Run{ID: runID(7), Workflow: "chain", Version: 99, State: flow.RunQueued, CreatedAt: time.Now()}
	if _, _, err := s.Submit(t.Context(), c, row); err != nil {
		t.Fatal(err)
	}
	start(t, s, 1)
	until(t, s, 7, flow.RunFailed)
}

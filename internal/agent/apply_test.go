package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

const run = flow.RunID("0190a000-0000-7000-8000-000000000001")

func at(b fence.Boot) fence.Instant { return fence.Instant{Boot: b} }

func ref(task string, g flow.Generation) wire.Ref {
	return wire.Ref{Run: run, Task: task, Generation: g}
}

func dispatch(task string, g flow.Generation, e flow.Epoch) Message {
	return Message{wire.ToWorker{Dispatch: []wire.Dispatch{{
		Owner: wire.Owner{Epoch: e},
		Work:  flow.Work{Run: run, Task: task, Generation: g, Env: []string{"A=1"}, Secrets: []string{"s"}, Config: []byte(`{}`)},
	}}}}
}

// granted returns a machine that may act until boot 1000.
func granted(t *testing.T) *Machine {
	t.Helper()
	m := New("w@1")
	if out := m.Apply(at(1), Extend{Deadline: 1000}); out.Expire {
		t.Fatal("a first grant expired something")
	}
	return m
}

func phases(reports []wire.Report) []wire.Phase {
	var p []wire.Phase
	for _, r := range reports {
		p = append(p, r.Phase)
	}
	return p
}

func wantPhases(t *testing.T, out Out, want ...wire.Phase) {
	t.Helper()
	if diff := cmp.Diff(want, phases(out.Reports)); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestP2_ADispatchedGenerationStartsAtMostOnce(t *testing.T) {
	m := granted(t)
	if out := m.Apply(at(2), dispatch("a", 1, 1)); len(out.Start) != 1 || len(out.Journal) == 0 {
		t.Fatalf("first dispatch: started %d, journal %d records", len(out.Start), len(out.Journal))
	}
	for i, step := range []Input{nil, Spawned{Ref: ref("a", 1), At: at(3)}, Exited{Ref: ref("a", 1), Outcome: flow.Outcome{Result: flow.Succeeded}}} {
		if step != nil {
			m.Apply(at(3), step)
		}
		out := m.Apply(at(4), dispatch("a", 1, 1))
		if len(out.Start) != 0 {
			t.Fatalf("step %d: a repeated dispatch started again", i)
		}
		wantPhases(t, out, []wire.Phase{wire.Accepted, wire.Running, wire.Finished}[i])
	}
}

func TestP2_SurvivesTheJournal(t *testing.T) {
	m := granted(t)
	out := m.Apply(at(2), dispatch("a", 1, 1))
	again := Replay(append([]Record{{Node: "w@1"}}, out.Journal...))
	again.Apply(at(3), Extend{Deadline: 1000})
	if out := again.Apply(at(4), dispatch("a", 1, 1)); len(out.Start) != 0 {
		t.Error("the machine read from the journal started a known generation")
	}
}

func TestP4_ALowerEpochStartsAndKillsNothing(t *testing.T) {
	m := granted(t)
	m.Apply(at(2), dispatch("a", 1, 5))
	out := m.Apply(at(3), dispatch("b", 1, 4))
	if len(out.Start) != 0 {
		t.Error("a zombie's dispatch was started")
	}
	wantPhases(t, out, wire.Stale)
	kill := Message{wire.ToWorker{Kill: []wire.Kill{{Owner: wire.Owner{Epoch: 4}, Ref: ref("a", 1)}}}}
	if out := m.Apply(at(4), kill); len(out.Kill) != 0 {
		t.Error("a zombie's kill was obeyed")
	}
}

func TestP3_NothingStartsWithoutALease(t *testing.T) {
	m := New("w@1")
	wantPhases(t, m.Apply(at(2), dispatch("a", 1, 1)), wire.Buried)

	m = granted(t)
	out := m.Apply(at(1000), dispatch("a", 1, 1))
	if !out.Expire || len(out.Start) != 0 {
		t.Errorf("at the deadline: expire %v, started %d", out.Expire, len(out.Start))
	}
	wantPhases(t, out, wire.Buried)
}

func TestP3_TheDeadlineKillsOnceAndAnExtendMayFollow(t *testing.T) {
	m := granted(t)
	m.Apply(at(2), dispatch("a", 1, 1))
	if out := m.Apply(at(999), Tick{}); out.Expire {
		t.Error("expired before the deadline")
	}
	if out := m.Apply(at(1000), Extend{Deadline: 2000}); !out.Expire {
		t.Error("a grant that came after the deadline saved what had to die")
	}
	if out := m.Apply(at(1001), Tick{}); out.Expire {
		t.Error("expired twice")
	}
	if out := m.Apply(at(1002), dispatch("b", 1, 1)); len(out.Start) != 1 {
		t.Error("nothing starts under the new grant")
	}
}

func TestP3_NoNewGenerationBesideALivingOne(t *testing.T) {
	m := granted(t)
	m.Apply(at(2), dispatch("a", 1, 1))
	out := m.Apply(at(3), dispatch("a", 2, 1))
	if len(out.Start) != 0 || out.Reports[0].Outcome.Result != flow.Refused {
		t.Fatalf("generation 2 beside a living 1: started %d, reports %+v", len(out.Start), out.Reports)
	}
	m.Apply(at(4), Exited{Ref: ref("a", 1), Outcome: flow.Outcome{Result: flow.Failed}})
	if out := m.Apply(at(5), dispatch("a", 3, 1)); len(out.Start) != 1 {
		t.Error("the next generation after the end did not start")
	}
}

func TestAsk_BuriesWhatNeverCame(t *testing.T) {
	m := granted(t)
	m.Apply(at(2), dispatch("a", 1, 1))
	ask := Message{wire.ToWorker{Ask: []wire.Ask{{Owner: wire.Owner{Epoch: 2}, Refs: []wire.Ref{ref("a", 1), ref("b", 1)}}}}}
	wantPhases(t, m.Apply(at(3), ask), wire.Accepted, wire.Buried)
	out := m.Apply(at(4), dispatch("b", 1, 2))
	if len(out.Start) != 0 {
		t.Error("a buried attempt was started")
	}
	wantPhases(t, out, wire.Buried)
	if out := m.Apply(at(5), dispatch("b", 2, 2)); len(out.Start) != 1 {
		t.Error("the generation after the buried one did not start")
	}
}

func TestKill_BuriesWhatIsStillOnItsWay(t *testing.T) {
	m := granted(t)
	kill := Message{wire.ToWorker{Kill: []wire.Kill{{Owner: wire.Owner{Epoch: 1}, Ref: ref("a", 1), Reason: "stop"}}}}
	wantPhases(t, m.Apply(at(2), kill), wire.Buried)
	if out := m.Apply(at(3), dispatch("a", 1, 1)); len(out.Start) != 0 {
		t.Error("killed before it came, and started all the same")
	}
	m.Apply(at(4), dispatch("b", 1, 1))
	kill.Kill[0].Ref = ref("b", 1)
	if out := m.Apply(at(5), kill); len(out.Kill) != 1 {
		t.Error("a living attempt was not killed")
	}
}

func TestForget_KeepsWhatHasNotEnded(t *testing.T) {
	m := granted(t)
	m.Apply(at(2), dispatch("a", 1, 1))
	forget := Message{wire.ToWorker{Forget: []wire.Forget{{Refs: []wire.Ref{ref("a", 1)}}}}}
	m.Apply(at(3), forget)
	if len(m.Unfinished()) != 1 {
		t.Fatal("a living attempt was forgotten")
	}
	m.Apply(at(4), Exited{Ref: ref("a", 1), Outcome: flow.Outcome{Result: flow.Succeeded}})
	wantPhases(t, m.Apply(at(5), Attached{}), wire.Finished)
	m.Apply(at(6), forget)
	wantPhases(t, m.Apply(at(7), Attached{}))
}

func TestJournal_HoldsNoSecrets(t *testing.T) {
	m := granted(t)
	out := m.Apply(at(2), dispatch("a", 1, 1))
	for _, r := range out.Journal {
		if r.Accepted != nil && (r.Accepted.Work.Secrets != nil || r.Accepted.Work.Env != nil || r.Accepted.Work.Config != nil) {
			t.Error("environment, config or secrets in the journal")
		}
	}
	if out.Start[0].Work.Env == nil {
		t.Error("the start lost its environment")
	}
}

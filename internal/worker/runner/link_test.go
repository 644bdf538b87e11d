package runner

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

func TestLink_ATaskGoesOnWithoutAgent(t *testing.T) {
	dir, marks := t.TempDir(), t.TempDir()
	w := spawnWorker(t, dir)
	w.extend(time.Hour)
	long := w.dispatch(flow.Work{Config: script("until [ -e " + marks + "/go ]; do sleep 0.01; done; echo a=b >>$SEMEL_OUTPUT")})
	w.report(long, wire.Running)
	short := w.dispatch(flow.Work{Config: script("echo $$ >" + marks + "/pid; until [ -e " + marks + "/end ]; do sleep 0.01; done; exit 3")})
	pid := pidIn(t, marks+"/pid")
	w.link.Close()
	node := w.hello.Node
	if err := os.WriteFile(marks+"/end", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "its end", func() bool { return !running(pid) })

	w.dial()
	if w.hello.Node != node {
		t.Fatalf("node %s, before %s: an agent that comes back must find the same incarnation", w.hello.Node, node)
	}
	clear(w.told)
	w.send(ToRunner{Attach: true})
	w.report(long, wire.Running)
	if o := w.outcome(short); *o.ExitCode != 3 {
		t.Errorf("%+v: what ended while nobody was attached must be told", o)
	}
	if err := os.WriteFile(marks+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.outcome(long)
	if diff := cmp.Diff(flow.Outputs{"a": "b"}, o.Outputs); diff != "" || o.ExitCode == nil || *o.ExitCode != 0 {
		t.Errorf("%+v\n%s", o, diff)
	}
	w.forget(long, short)
	clear(w.told)
	last := w.dispatch(flow.Work{Config: script("true")})
	w.send(ToRunner{Attach: true})
	w.outcome(last)
	if _, ok := w.told[long]; ok {
		t.Error("what is forgotten was told again")
	}
}

func TestLink_ANewerAgentReplacesTheOlder(t *testing.T) {
	w := spawnWorker(t, t.TempDir())
	older := w.link
	w.dial()
	if _, err := older.Recv(); !errors.Is(err, ErrEnded) {
		t.Errorf("the older link says %v, want ErrEnded", err)
	}
	w.extend(time.Hour)
	if o := w.shell("true"); o.Result != flow.Succeeded {
		t.Errorf("%+v", o)
	}
}

func TestLink_WhatAReplacedAgentSendsIsDropped(t *testing.T) {
	w := newWorker(t, Config{})
	older := w.link
	w.link = w.runner.Local()
	if _, err := older.Recv(); !errors.Is(err, ErrReplaced) {
		t.Errorf("the older link says %v, want ErrReplaced", err)
	}
	if err := older.Send(ToRunner{Shutdown: true}); !errors.Is(err, ErrReplaced) {
		t.Errorf("it may still send: %v", err)
	}
	w.runner.inbox.put(event{from: older.(*port), message: &ToRunner{Shutdown: true}}) // was under way already
	if o := w.shell("true"); o.Result != flow.Succeeded {
		t.Errorf("%+v", o)
	}
}

// TestSocket_InADeepDirectory: the address of a unix socket holds 108 bytes.
func TestSocket_InADeepDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120), strings.Repeat("e", 120))
	w := spawnWorker(t, dir)
	w.extend(time.Hour)
	if o := w.shell("pwd"); o.Result != flow.Succeeded {
		t.Errorf("%+v", o)
	}
	info, err := os.Stat(filepath.Join(dir, socketFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: only the owner may connect", info.Mode(), err)
	}
}

func TestSpawn_SaysWhyARunnerDidNotComeUp(t *testing.T) {
	dir := t.TempDir()
	l, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	t.Setenv(runnerVariable, dir)
	err = Spawn(t.Context(), executable(t), nil, dir)
	if err == nil || !strings.Contains(err.Error(), "is in use by process") {
		t.Errorf("%v, want the runner's own words", err)
	}
}

func TestNew_SecondRunnerOnOneDirectory(t *testing.T) {
	w := newWorker(t, Config{})
	if _, err := New(Config{Dir: w.dir}); !errors.Is(err, ErrAlive) {
		t.Errorf("%v, want ErrAlive", err)
	}
	status, err := Inspect(w.dir)
	if diff := cmp.Diff(Status{Alive: true, Hello: &w.hello}, status); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if o := w.shell("true"); o.Result != flow.Succeeded {
		t.Errorf("%+v: the attempt to start a second one did harm", o)
	}
}

func TestInspect_OfNothing(t *testing.T) {
	status, err := Inspect(t.TempDir())
	if err != nil || status.Alive || status.Hello != nil {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestFrames_IgnoreWhatTheyDoNotKnow: agent and runner may be of different
// versions while one of them is upgraded.
func TestFrames_IgnoreWhatTheyDoNotKnow(t *testing.T) {
	var m ToRunner
	if err := json.Unmarshal([]byte(`{"attach":true,"color":"red","message":{"dispatch":[{"owner":{"epoch":3,"x":1}}]}}`), &m); err != nil {
		t.Fatal(err)
	}
	if !m.Attach || m.Message.Dispatch[0].Owner.Epoch != 3 {
		t.Errorf("%+v", m)
	}
}

func TestPieces_StaySmallAndComplete(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	var reports []wire.Report
	for i := range 30 {
		reports = append(reports, wire.Report{Ref: wire.Ref{Generation: flow.Generation(i)}, Outcome: &flow.Outcome{Outputs: flow.Outputs{"a": large}}})
	}
	var got []wire.Report
	for _, piece := range pieces(reports) {
		if len(piece) > pieceMax>>20+1 {
			t.Errorf("a piece of %d reports", len(piece))
		}
		got = append(got, piece...)
	}
	if diff := cmp.Diff(reports, got); diff != "" {
		t.Error(diff)
	}
}

// TestP2_ADispatchThatComesTwiceStartsOnce, within one life of a runner and in
// the next one, which does not know the attempt but has another identity.
func TestP2_ADispatchThatComesTwiceStartsOnce(t *testing.T) {
	w := newWorker(t, Config{})
	mark := filepath.Join(t.TempDir(), "starts")
	work := w.fill(flow.Work{Config: script("echo x >>" + mark)})
	d := wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: work}
	w.send(ToRunner{Message: &wire.ToWorker{Dispatch: []wire.Dispatch{d, d}}})
	w.send(ToRunner{Message: &wire.ToWorker{Dispatch: []wire.Dispatch{d}}})
	w.outcome(d.Ref())
	w.send(ToRunner{Message: &wire.ToWorker{Dispatch: []wire.Dispatch{d}}})
	clear(w.told)
	w.outcome(d.Ref())
	w.shell("true") // whatever the last one has started would have begun before
	if text, err := os.ReadFile(mark); err != nil || string(text) != "x\n" {
		t.Errorf("it was started %d times (%v)", len(text)/2, err)
	}
}

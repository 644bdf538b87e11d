package e2e

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The server is asked to end while a task runs. The task goes on and ends
// without it; the next server takes that in and goes on with the same node.
func TestServerSIGTERM_TasksGoOn(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(`
name: long
tasks:
  short:
    run: |
      echo short$SEMEL_ATTEMPT >> DIR/ran
      until [ -e DIR/go-short ]; do sleep 0.02; done
      echo "made=meanwhile" >> "$SEMEL_OUTPUT"
      echo short-end >> DIR/ran
  long:
    run: |
      echo long$SEMEL_ATTEMPT >> DIR/ran
      until [ -e DIR/go-long ]; do sleep 0.02; done
      echo long-end >> DIR/ran
  after: {needs: [short, long], run: "echo after-${{ tasks.short.outputs.made }} >> DIR/ran"}
`)
	w.up()
	run := w.start(file)
	w.until("both run", func() bool { return len(w.lines("ran")) == 2 })
	node := w.show(run).Tasks[0].Attempts[0].Node
	if code := w.server.Stop(); code != 0 {
		t.Errorf("the server ended with exit code %d:\n%s", code, w.server.Log)
	}
	w.touch("go-short")
	w.until("a task ends without a server", func() bool { return slices.Contains(w.lines("ran"), "short-end") })

	w.up()
	w.touch("go-long")
	s := w.wait(run, "succeeded")
	for _, task := range s.Tasks {
		if len(task.Attempts) != 1 || task.Attempts[0].Node != node {
			t.Errorf("task %s has the attempts %v, want one, on node %s", task.Name, task.Attempts, node)
		}
	}
	got := w.lines("ran")
	slices.Sort(got)
	if want := []string{"after-meanwhile", "long-end", "long1", "short-end", "short1"}; !slices.Equal(got, want) {
		t.Errorf("the tasks left %q, want %q", got, want)
	}
	w.verify()
}

// The runner is killed, and the tasks with it. What then becomes of them is
// what each says.
func TestRunnerKilled_OnLostDecides(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(`
name: lost
tasks:
  again: {run: "echo again$SEMEL_ATTEMPT >> DIR/ran; until [ -e DIR/go ]; do sleep 0.02; done"}
  fails: {on_lost: fail, run: "echo fails$SEMEL_ATTEMPT >> DIR/ran; until [ -e DIR/go ]; do sleep 0.02; done"}
  holds: {on_lost: hold, run: "echo holds$SEMEL_ATTEMPT >> DIR/ran; until [ -e DIR/go ]; do sleep 0.02; done"}
  after: {needs: holds, run: "echo after$SEMEL_ATTEMPT >> DIR/ran"}
`)
	w.up()
	run := w.start(file)
	w.until("all run", func() bool { return len(w.lines("ran")) == 3 })
	if n, err := w.KillRunners(); err != nil || n != 1 {
		t.Fatalf("killed %d runners, %v", n, err)
	}
	w.until("one is repeated", func() bool { return slices.Contains(w.lines("ran"), "again2") })
	w.touch("go")
	want := map[string]string{"again": "succeeded again", "fails": "failed", "holds": "held", "after": "waiting"}
	w.until("the others are decided", func() bool { return cmp.Equal(want, w.show(run).states()) })
	if out := w.client("explain", run).Out; !strings.Contains(out, "holds") || !strings.Contains(out, "resume or stop") {
		t.Errorf("explain does not say what to do:\n%s", out)
	}
	if r := w.client("resume", run, "--task", "holds"); r.Code != 0 {
		t.Error(r.Err)
	}
	s := w.wait(run, "failed")
	want["holds"], want["after"] = "succeeded again", "succeeded"
	if diff := cmp.Diff(want, s.states()); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	w.client("rerun", run, "--failed")
	if diff := cmp.Diff("succeeded again", w.wait(run, "succeeded").states()["fails"]); diff != "" {
		t.Errorf("fails (-want +got):\n%s", diff)
	}
	got := w.lines("ran")
	slices.Sort(got)
	if want := []string{"after1", "again1", "again2", "fails1", "fails2", "holds1", "holds2"}; !slices.Equal(got, want) {
		t.Errorf("the tasks left %q, want %q", got, want)
	}
	w.verify()
}

// 10,000 tasks in a file, through every command that shows them.
func TestTenThousandTasks(t *testing.T) {
	const n = 10_000
	w := newWorld(t, "")
	var b strings.Builder
	b.WriteString("name: many\ntasks:\n")
	for i := range n {
		b.WriteString("  t" + strconv.Itoa(i) + ": {noop: true")
		if i > 0 {
			b.WriteString(", needs: t" + strconv.Itoa(i/10))
		}
		b.WriteString("}\n")
	}
	file := w.path("many.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.run("validate", file); r.Code != 0 || !strings.Contains(r.Out, "10000 tasks") {
		t.Errorf("validate: exit code %d: %s%s", r.Code, r.Out, r.Err)
	}
	if r := w.run("run", file); r.Code != 0 || strings.Count(r.Out, " succeeded\n") != n+1 {
		t.Errorf("run: exit code %d, %d succeeded: %s", r.Code, strings.Count(r.Out, " succeeded\n"), r.Err)
	}
	w.up()
	run := w.start(file)
	if s := w.wait(run, "succeeded"); len(s.Tasks) != n {
		t.Errorf("show has %d tasks, want %d", len(s.Tasks), n)
	}
	for _, command := range []string{"show", "explain", "logs"} {
		if r := w.client(command, run); r.Code != 0 {
			t.Errorf("%s: exit code %d: %s", command, r.Code, r.Err)
		}
	}
	w.verify()
}

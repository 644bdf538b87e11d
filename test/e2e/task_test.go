package e2e

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLogOf50MB_CutWithItsEndKept(t *testing.T) {
	w := newWorld(t, "")
	w.up()
	run := w.start(w.file(`
name: talkative
tasks:
  a: {run: "echo THE-BEGINNING; head -c 52428800 /dev/zero | tr '\\0' x | fold -w 99; echo; echo THE-END"}
`))
	w.wait(run, "succeeded")
	log := w.client("logs", run, "a").Out
	if first, _, _ := strings.Cut(log, "\n"); first != "THE-BEGINNING" {
		t.Errorf("the log begins with %q", first)
	}
	if !strings.HasSuffix(log, "\nTHE-END\n") {
		t.Errorf("the log ends with %q", log[max(0, len(log)-20):])
	}
	if !strings.Contains(log, "bytes were dropped here]") {
		t.Error("the log does not say that something is missing")
	}
	const limit, notes = 16 << 20, 1 << 10
	if len(log) > limit+notes || len(log) < limit/2 {
		t.Errorf("the log takes %d bytes, want about %d", len(log), limit)
	}
	if tail := w.client("logs", run, "a", "--tail", "8").Out; tail != "THE-END\n" {
		t.Errorf("its tail is %q", tail)
	}
}

func TestBinaryOutput_KeptByteForByte(t *testing.T) {
	w := newWorld(t, "")
	random := rand.NewChaCha8([32]byte{7})
	want := make([]byte, 1<<20)
	_, _ = random.Read(want)
	for i := range 256 {
		want = append(want, byte(i))
	}
	if err := os.WriteFile(w.path("noise"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	file := w.file("{name: binary, tasks: {a: {run: cat DIR/noise}, b: {run: \"cat DIR/noise; exit 3\"}}}")
	w.up()
	run := w.start(file)
	w.wait(run, "failed")
	for _, task := range []string{"a", "b"} {
		if got := w.client("logs", run, task).Out; !bytes.Equal([]byte(got), want) {
			t.Errorf("the log of %s has %d bytes, which are not the %d that were written", task, len(got), len(want))
		}
		if got := w.client("logs", run, task, "-f").Out; !bytes.Equal([]byte(got), want) {
			t.Errorf("the log of %s, followed, has %d bytes, which are not the %d that were written", task, len(got), len(want))
		}
	}
	if r := w.run("run", file, "--json"); r.Code != 1 || !json.Valid([]byte(r.Out)) {
		t.Errorf("run --json: exit code %d, and not JSON", r.Code)
	}
}

// alive reports whether somebody holds the lock that a process takes for life:
// numbers of processes are given again, and a dead one may wait for its parent.
func (w *world) alive(lock string) bool {
	w.t.Helper()
	f, err := os.Open(w.path(lock))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

func TestTaskThatIgnoresSIGTERM_KilledAfterItsGrace(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(`
name: deaf
defaults: {grace: 2s}
tasks:
  a:
    run: |
      exec 9>>DIR/lock; flock -n 9
      heard=no
      trap 'echo heard >> DIR/ran; heard=yes' TERM INT
      echo started >> DIR/ran
      while :; do
        sleep 0.05 || true
        if test $heard = yes; then echo went-on >> DIR/ran; heard=before; fi
      done
  b: {needs: a, run: "echo b >> DIR/ran"}
`)
	w.up()
	run := w.start(file)
	w.until("the task runs", func() bool { return slices.Contains(w.lines("ran"), "started") })
	r := w.client("stop", run, "--reason", "wrong region", "--wait")
	if r.Code != 1 {
		t.Errorf("stop --wait: exit code %d: %s", r.Code, r.Err)
	}
	if w.alive("lock") {
		t.Error("the run has stopped, and its task is alive")
	}
	s := w.show(run)
	if diff := cmp.Diff(map[string]string{"a": "stopped", "b": "stopped"}, s.states()); s.Run.State != "stopped" || diff != "" {
		t.Errorf("the run is %s, its tasks (-want +got):\n%s", s.Run.State, diff)
	}
	if got, want := w.lines("ran"), []string{"started", "heard", "went-on"}; !slices.Equal(got, want) {
		t.Errorf("the tasks left %q, want %q: asked once, and then killed", got, want)
	}
	w.verify()
}

func TestDaemon_EndsWithItsTask(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(`
name: daemon
defaults: {grace: 300ms}
tasks:
  leaves:
    run: |
      setsid sh -c 'exec 9>>DIR/left; flock -n 9; trap "" TERM HUP INT; touch DIR/up; while :; do sleep 0.05; done' > /dev/null 2>&1 &
      until [ -e DIR/up ]; do sleep 0.02; done
  after:
    needs: leaves
    run: |
      exec 9>>DIR/left
      flock -n 9
  killed:
    needs: after
    run: |
      setsid setsid sh -c 'exec 9>>DIR/killed; flock -n 9; trap "" TERM HUP INT; touch DIR/deep; while :; do sleep 0.05; done' > /dev/null 2>&1 &
      while :; do sleep 0.05; done
`)
	w.up()
	run := w.start(file)
	w.until("the second daemon is up", func() bool { _, err := os.Stat(w.path("deep")); return err == nil })
	if w.alive("left") {
		t.Error("the task has succeeded, and its daemon is alive")
	}
	if !w.alive("killed") {
		t.Error("the second daemon is not alive before it is killed: this test shows nothing")
	}
	w.client("stop", run, "--wait")
	if w.alive("killed") {
		t.Error("the run has stopped, and a daemon of it is alive")
	}
	want := map[string]string{"leaves": "succeeded", "after": "succeeded", "killed": "stopped"}
	if diff := cmp.Diff(want, w.show(run).states()); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	w.verify()
}

// A secret stands in no output, and in no command line of a process that lives
// on: those anybody on the machine can read.
func TestSecret_IsNowhereToBeSeen(t *testing.T) {
	const secret = "hunter22-5d1f"
	w := newWorld(t, "")
	file := w.file(`
name: secret
params: {token: {type: string, required: true, secret: true}}
tasks:
  a:
    env: {COPY: "token=${{ params.token }}"}
    run: |
      echo "$PARAM_TOKEN ${{ params.token }} $COPY"
      printf '%s' "${PARAM_TOKEN%1f}"; printf '1f\n'
      echo "copy=$PARAM_TOKEN" >> "$SEMEL_OUTPUT"
      [ "${#PARAM_TOKEN}" -eq 13 ] && touch DIR/up
      until [ -e DIR/go ]; do sleep 0.02; done
  b: {needs: a, when: "tasks.a.outputs.copy == params.token", run: "echo ${{ tasks.a.outputs.copy }}"}
  c: {needs: a, run: "echo x", dir: "/nowhere/${{ params.token }}"}
`)
	w.up()
	run := w.start(file, "-p", "token="+secret)
	w.until("the task runs with its secret", func() bool { _, err := os.Stat(w.path("up")); return err == nil })
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(secret)) {
			t.Errorf("%s: %q", path, line)
		}
	}
	w.touch("go")
	s := w.wait(run, "failed")
	if want := (map[string]string{"a": "succeeded", "b": "succeeded", "c": "failed"}); cmp.Diff(want, s.states()) != "" {
		t.Errorf("tasks are %v, want %v", s.states(), want)
	}
	for _, args := range [][]string{
		{"show", run},
		{"show", run, "--json"},
		{"show", run, "a"},
		{"show", run, "c", "--json"},
		{"list"},
		{"list", "--json"},
		{"explain", run},
		{"explain", run, "c", "--json"},
		{"logs", run},
		{"logs", run, "a", "-f"},
		{"wait", run, "--json"},
	} {
		if r := w.client(args...); strings.Contains(r.Out+r.Err, secret) || r.Out == "" {
			t.Errorf("semel %s: the secret is seen, or nothing is: %s%s", strings.Join(args, " "), r.Out, r.Err)
		}
	}
	if strings.Contains(w.server.Log.String(), secret) {
		t.Error("the secret stands in the log of the server")
	}
	if r := w.run("run", file, "-p", "token="+secret); strings.Contains(r.Out+r.Err, secret) || r.Code != 1 {
		t.Errorf("semel run: exit code %d, the secret is seen: %s%s", r.Code, r.Out, r.Err)
	}
}

func TestSameKeyAtOnce_StartsOneRun(t *testing.T) {
	w := newWorld(t, "")
	file := w.file(traced)
	w.up()
	ids := make([]string, 30)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r, err := w.Run("start", file, "--key", "once", "--server", w.server.URL)
			if err != nil || r.Code != 0 {
				t.Errorf("start: %v, exit code %d: %s", err, r.Code, r.Err)
			}
			ids[i] = r.Out
		})
	}
	all.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("one key started %q", slices.Compact(ids))
	}
	w.wait(strings.TrimSpace(ids[0]), "succeeded")
	if got := w.lines("ran"); len(got) != 1 {
		t.Errorf("the task ran %d times, want once", len(got))
	}
	r := w.client("start", file, "-p", "region=eu", "--key", "once")
	refusal(t, r, 1, []string{"idempotency key"}, []string{"start", "--key"})
}

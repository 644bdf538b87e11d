package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/test/process"
)

// world is one data directory, and a directory beside it for workflows and for
// what their tasks leave.
type world struct {
	*process.Semel
	t      *testing.T
	dir    string
	server *process.Server
}

// newWorld makes a world with its data in the directory data, or in a fresh one.
func newWorld(t *testing.T, data string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	if data == "" {
		data = filepath.Join(w.dir, "data")
	}
	w.Semel = &process.Semel{Binary: binary, Data: data, Slots: 8}
	t.Cleanup(func() {
		if w.server != nil {
			w.server.Kill()
			if t.Failed() {
				t.Logf("the last server said:\n%s", w.server.Log)
			}
		}
		if _, err := w.KillRunners(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// up starts the server.
func (w *world) up() {
	w.t.Helper()
	s, err := w.Start()
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = s
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// file writes a workflow in which DIR stands for the directory of this world.
func (w *world) file(text string) string {
	w.t.Helper()
	path := w.path("workflow.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", w.dir)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// run runs a command to its end.
func (w *world) run(args ...string) process.Result {
	w.t.Helper()
	r, err := w.Run(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// client runs a client command against the server.
func (w *world) client(args ...string) process.Result {
	w.t.Helper()
	return w.run(append(args, "--server", w.server.URL)...)
}

// refused runs a command that has to end with the exit code, say all of what
// is wanted on stderr, and nothing on stdout.
func (w *world) refused(code int, want []string, args ...string) {
	w.t.Helper()
	refusal(w.t, w.run(args...), code, want, args)
}

func refusal(t *testing.T, r process.Result, code int, want, args []string) {
	t.Helper()
	command := "semel " + strings.Join(args, " ")
	if r.Code != code {
		t.Errorf("%s: exit code %d, want %d: %s", command, r.Code, code, r.Err)
	}
	if r.Out != "" {
		t.Errorf("%s: printed %q", command, r.Out)
	}
	for _, s := range want {
		if !strings.Contains(r.Err, s) {
			t.Errorf("%s: said %q, want %q in it", command, r.Err, s)
		}
	}
}

// start starts a run of the workflow and returns its id.
func (w *world) start(file string, args ...string) string {
	w.t.Helper()
	out, err := w.Client(w.server.URL, append([]string{"start", file}, args...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// wait waits for the end of the run, which has to be this one.
func (w *world) wait(run, state string) *shown {
	w.t.Helper()
	w.client("wait", run, "-q")
	s := w.show(run)
	if s.Run.State != state {
		w.t.Errorf("run %s is %s (%s), want %s", run, s.Run.State, s.Run.Reason, state)
	}
	return s
}

// shown is `semel show --json`, as far as it is needed here.
type shown struct {
	Run   struct{ ID, State, Reason string }
	Tasks []struct {
		Name, State, Reason string
		Outputs             map[string]string
		Attempts            []struct {
			Number      int
			State, Node string
		}
	}
}

// states are those of the tasks, with the number of their attempts.
func (s *shown) states() map[string]string {
	states := map[string]string{}
	for _, task := range s.Tasks {
		states[task.Name] = task.State + strings.Repeat(" again", max(len(task.Attempts)-1, 0))
	}
	return states
}

func (w *world) show(run string) *shown {
	w.t.Helper()
	out, err := w.Client(w.server.URL, "show", run, "--json")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &shown{}
	if err := json.Unmarshal([]byte(out), s); err != nil {
		w.t.Fatalf("show --json: %v in %q", err, out)
	}
	return s
}

// verify demands that the ledger holds.
func (w *world) verify() {
	w.t.Helper()
	if r := w.client("verify"); r.Code != 0 {
		w.t.Errorf("the ledger does not hold: %s%s", r.Out, r.Err)
	}
}

// lines reads the lines that tasks left in a file of the world.
func (w *world) lines(name string) []string {
	w.t.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// touch makes a file that a task waits for.
func (w *world) touch(name string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// until asks again and again until the answer is yes; the test's own deadline
// bounds it.
func (w *world) until(what string, yes func() bool) {
	w.t.Helper()
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// disk mounts a small disk.
func disk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

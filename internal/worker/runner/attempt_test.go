package runner

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
	"github.com/semel-dev/semel/internal/wire"
)

func TestEnvironment(t *testing.T) {
	t.Setenv("SEMEL_SECRET_OF_THE_SERVER", "x")
	w := newWorker(t, Config{})
	ref := w.dispatch(flow.Work{
		Number: 1, Env: []string{"GREETING=hello", "HOME=/nowhere", "SEMEL_TASK=forged", "GREETING=hi", "nonsense"},
		Config: script(`env | grep -E '^(SEMEL_|GREETING|HOME)' | grep -v '^SEMEL_OUTPUT' | sort; [ -n "$PATH" ]`),
	})
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Fatalf("%+v", o)
	}
	want := strings.Join([]string{
		"GREETING=hi", "HOME=/nowhere", "SEMEL_ATTEMPT=1", "SEMEL_FENCING_TOKEN=1", "SEMEL_IDEMPOTENCY_KEY=key",
		"SEMEL_NODE=" + string(w.hello.Node), "SEMEL_RUN_ID=" + string(testRun), "SEMEL_TASK=t1", "SEMEL_WORKFLOW=test", "",
	}, "\n")
	if diff := cmp.Diff(want, w.log(ref)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestProcess_HasNoTerminalAndNoForeignFiles(t *testing.T) {
	leak, err := unix.Open(os.DevNull, unix.O_RDONLY, 0) // as a careless parent leaves it open
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	w := newWorker(t, Config{Containment: Weak})
	ref := w.dispatch(flow.Work{Config: script(`readlink /proc/$$/fd/0; readlink /proc/$$/fd/` + strconv.Itoa(leak) + ` || echo closed; ps -o tty= -p $$ | tr -d ' '`)})
	w.outcome(ref)
	if got, want := w.log(ref), "/dev/null\nclosed\n?\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestInterpreters(t *testing.T) {
	w := newWorker(t, Config{})
	long := "# " + strings.Repeat("x", 200<<10) + "\necho $0\n"
	for name, c := range map[string]struct {
		config task.Shell
		want   string
	}{
		"EndsAtTheFirstFailure": {task.Shell{Script: "echo a\nfalse\necho b"}, "a\n"},
		"File":                  {task.Shell{Script: "# a file\nthe text", Interpreter: []string{"cat"}}, "# a file\nthe text"},
		"LongScript":            {task.Shell{Script: long}, filepath.Join(w.dir, "attempts", "desks", "*.script") + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			ref := w.dispatch(flow.Work{Task: name, Config: config(c.config)})
			w.outcome(ref)
			got := w.log(ref)
			if ok, err := filepath.Match(c.want, got); err != nil || !ok {
				t.Errorf("%.200q, want %.200q", got, c.want)
			}
		})
	}
}

func TestDirectories(t *testing.T) {
	w := newWorker(t, Config{})
	attempts := filepath.Join(w.dir, "attempts")
	for range 3 {
		o := w.shell(`ls >&2; [ -z "$(ls -A)" ] && [ ! -e "$SEMEL_OUTPUT" ] && echo x >file && mkdir -p .d/e && echo a=b >>"$SEMEL_OUTPUT" && chmod 0 .`)
		if o.Result != flow.Succeeded {
			t.Fatalf("%+v: an attempt has to begin on a clean desk", o)
		}
	}
	until(t, "the desks to be cleared", func() bool {
		left, err := filepath.Glob(filepath.Join(attempts, "*", "*", "*"))
		return err == nil && len(left) == 0
	})
	failed := w.dispatch(flow.Work{Config: script("echo x >file; exit 1")})
	w.outcome(failed)
	kept := filepath.Join(attempts, string(testRun), failed.Task+".1", "file")
	until(t, "what a failed attempt has left to be kept for people", func() bool {
		_, err := os.Stat(kept)
		return err == nil
	})
	elsewhere := t.TempDir()
	other := w.dispatch(flow.Work{Config: config(task.Shell{Script: "pwd", Dir: elsewhere})})
	w.outcome(other)
	if got := w.log(other); got != elsewhere+"\n" {
		t.Errorf("it ran in %q, want %q", got, elsewhere)
	}
}

func TestDirectories_OfFailedAttemptsAreLimited(t *testing.T) {
	w := newWorker(t, Config{})
	var refs []wire.Ref
	for range failedKept + 3 {
		refs = append(refs, w.dispatch(flow.Work{Config: script("echo >file; exit 1")}))
	}
	for _, ref := range refs {
		w.outcome(ref)
	}
	count := func() int {
		paths, err := filepath.Glob(filepath.Join(w.dir, "attempts", string(testRun), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(paths)
	}
	until(t, "all of them, since none is forgotten", func() bool { return count() == failedKept+3 })
	w.forget(refs...)
	until(t, "the oldest to go", func() bool { return count() == failedKept })

	adopted, err := openDirs(w.dir, w.runner.cfg.Log)
	if err != nil || len(adopted.old) != failedKept {
		t.Errorf("the next runner finds %d of them (%v), want %d", len(adopted.old), err, failedKept)
	}
}

func TestNamesThatAreNoFileNames(t *testing.T) {
	w := newWorker(t, Config{})
	for _, work := range []flow.Work{
		{Run: "../../etc", Config: script("true")},
		{Run: "a/b", Config: script("true")},
		{Task: "..", Config: script("true")},
		{Task: "a/b", Config: script("true")},
		{Task: "a.b", Type: task.TypeSleep, Config: []byte(`{"for":"0s"}`)},
	} {
		if o := w.outcome(w.dispatch(work)); o.Result != flow.Refused {
			t.Errorf("run %q, task %q: %+v, want refused", work.Run, work.Task, o)
		}
	}
}

func TestFunctionsAndInstants(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		if r.URL.Path == "/secret" {
			http.Error(w, "bad token hunter2", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"rows":42}`))
	}))
	defer server.Close()
	w := newWorker(t, Config{})

	o := w.outcome(w.dispatch(flow.Work{Type: task.TypeNoop, Config: config(task.Noop{Outputs: map[string]string{"a": "b"}})}))
	if o.Result != flow.Succeeded || o.Outputs["a"] != "b" || o.Started.Boot == 0 {
		t.Errorf("noop: %+v", o)
	}
	o = w.outcome(w.dispatch(flow.Work{Type: task.TypeHTTP, Config: config(task.HTTP{URL: server.URL, Outputs: map[string]string{"rows": "json:rows"}})}))
	if o.Result != flow.Succeeded || o.Outputs["rows"] != "42" {
		t.Errorf("http: %+v", o)
	}
	ref := w.dispatch(flow.Work{Type: task.TypeHTTP, Secrets: []string{"hunter2"}, Config: config(task.HTTP{URL: server.URL + "/secret"})})
	if o := w.outcome(ref); o.Result != flow.Failed || o.Reason != "HTTP 403 Forbidden: bad token ***" {
		t.Errorf("http: %+v", o)
	}
	if log := w.log(ref); strings.Contains(log, "hunter2") || !strings.Contains(log, "403 Forbidden") {
		t.Errorf("log %q", log)
	}
	slow := w.dispatch(flow.Work{Type: task.TypeHTTP, Config: config(task.HTTP{URL: server.URL + "/slow"})})
	w.report(slow, wire.Running)
	w.kill(slow)
	if o := w.outcome(slow); o.Result != flow.Stopped {
		t.Errorf("killed http: %+v, want stopped", o)
	}
	late := w.dispatch(flow.Work{Type: task.TypeSleep, Timeout: 10 * time.Millisecond, Config: config(task.Sleep{For: "1h"})})
	if o := w.outcome(late); o.Result != flow.TimedOut {
		t.Errorf("sleep beyond its timeout: %+v", o)
	}
	if o := w.outcome(w.dispatch(flow.Work{Type: "teleport"})); o.Result != flow.Refused {
		t.Errorf("unknown type: %+v, want refused", o)
	}
	if o := w.outcome(w.dispatch(flow.Work{Type: task.TypeNoop, Config: config(task.Noop{Outputs: map[string]string{"1": "b"}})})); o.Result != flow.Failed {
		t.Errorf("noop with a bad output: %+v, want failed", o)
	}
}

func TestStarted_IsToldOnlyOfWhatRunsForAWhile(t *testing.T) {
	w := newWorker(t, Config{})
	long := w.dispatch(flow.Work{Config: script("sleep 1000")})
	r := w.report(long, wire.Running)
	if r.Started.Boot == 0 || r.Outcome != nil {
		t.Errorf("%+v", r)
	}
	w.kill(long)
	w.outcome(long)
	w.dispatch(flow.Work{Type: task.TypeNoop})
	m, err := w.link.Recv()
	if err != nil || len(m.Reports) != 1 || m.Reports[0].Phase != wire.Finished {
		t.Errorf("%+v, %v; want one report of the end and none of the start", m, err)
	}
}

func TestBatches_TakeOneWrite(t *testing.T) {
	w := newWorker(t, Config{})
	var m wire.ToWorker
	for i := range 1000 {
		m.Dispatch = append(m.Dispatch, wire.Dispatch{Owner: wire.Owner{Epoch: 1}, Work: w.fill(flow.Work{Task: "n" + strconv.Itoa(i), Type: task.TypeNoop})})
	}
	before := w.runner.Stats().Writes
	w.send(ToRunner{Message: &m})
	for i := range m.Dispatch {
		w.outcome(m.Dispatch[i].Ref())
	}
	if writes := w.runner.Stats().Writes - before; writes > 10 {
		t.Errorf("%d writes to the journal for 1,000 attempts that came at once", writes)
	}
}

func TestUnifiedMount(t *testing.T) {
	const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/uni\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw
`
	root, point, ok := unifiedMount(hybrid)
	if diff := cmp.Diff([]any{"/", "/sys/fs/cgroup/uni fied", true}, []any{root, point, ok}); diff != "" {
		t.Error(diff)
	}
	if _, _, ok := unifiedMount("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"); ok {
		t.Error("found a mount where there is none")
	}
	path, ok := unifiedPath("9:name=systemd:/x\n0::/user.slice/a\n")
	if path != "/user.slice/a" || !ok {
		t.Errorf("%q, %v", path, ok)
	}
}

func TestTag_MatchesWholeVariables(t *testing.T) {
	env := []byte("A=1\x00SEMEL_NODE=w@1\x00B=SEMEL_TASK=x\x00")
	for want, tags := range map[bool][]tag{
		true:  {{"SEMEL_NODE=w@1"}, {"A=1"}, {"A=1", "SEMEL_NODE=w@1"}},
		false: {{}, {"SEMEL_NODE=w@"}, {"SEMEL_TASK=x"}, {"A=1", "C=1"}, {"NODE=w@1"}},
	} {
		for _, tag := range tags {
			if got := tag.in(env); got != want {
				t.Errorf("%v: %v, want %v", tag, got, want)
			}
		}
	}
}

func TestProveDead_NeverGuesses(t *testing.T) {
	here, err := newHello("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	here.MachineID = "0123456789abcdef0123456789abcdef"
	change := func(f func(*Hello)) Hello {
		h := here
		f(&h)
		return h
	}
	for name, c := range map[string]struct {
		dead Hello
		ok   bool
	}{
		"Here":             {here, true},
		"Restarted":        {change(func(h *Hello) { h.BootID = "other" }), true},
		"AnotherMachine":   {change(func(h *Hello) { h.MachineID = "other"; h.BootID = "other" }), false},
		"AnotherNamespace": {change(func(h *Hello) { h.Namespace = "pid:[1]" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			proof, err := proveDead(t.Context(), c.dead, here)
			if (err == nil) != c.ok || (proof != "") != c.ok {
				t.Errorf("%q, %v", proof, err)
			}
		})
	}
	nameless := here
	nameless.MachineID = ""
	dead := nameless
	dead.BootID = "other"
	if proof, err := proveDead(t.Context(), dead, nameless); err == nil {
		t.Errorf("%q: two machines without an id cannot be told apart", proof)
	}
}

func TestRungs_IncludeTheOneThatIsTaken(t *testing.T) {
	w := newWorker(t, Config{})
	if !slices.Contains(rungs(t), Containment(w.hello.Containment)) {
		t.Errorf("auto has taken %s", w.hello.Containment)
	}
}

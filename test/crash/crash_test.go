// Package crash kills real processes of a real Semel at random moments and
// looks, from outside, at what their tasks did.
package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/fault"
	"github.com/semel-dev/semel/test/process"
)

var (
	killsFlag = flag.Int("kills", 50, "how often each crash test kills")
	seedFlag  = flag.Uint64("seed", 0, "seed of the moments; 0 takes a fresh one")
)

var (
	binary string
	faulty string // the same, with places where it can be made to crash
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "semel-crash")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary, faulty = filepath.Join(dir, "semel"), filepath.Join(dir, "semel-faulty")
	for path, tags := range map[string]string{binary: "", faulty: "faults"} {
		if err := process.Build(path, tags); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// shown is `semel show --json`, as far as it is needed here.
type shown struct {
	Run   struct{ ID, State string }
	Tasks []struct {
		Name, State string
		Attempts    []struct {
			Number     int
			Generation int
			State      string
		}
	}
}

// trial is one series of crashes.
type trial struct {
	*process.Semel
	t       *testing.T
	random  *rand.Rand
	witness string
	file    string
	run     string // the run that is being disturbed
	runs    []string
	server  *process.Server
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	locks := filepath.Join(dir, "locks")
	if err := os.Mkdir(locks, 0o700); err != nil {
		t.Fatal(err)
	}
	tr := &trial{
		Semel:   &process.Semel{Binary: binary, Data: filepath.Join(dir, "data"), Slots: 8},
		t:       t,
		random:  rand.New(rand.NewPCG(seed, 1)),
		witness: filepath.Join(dir, "witness"),
		file:    filepath.Join(dir, "crash.yaml"),
	}
	if err := os.WriteFile(tr.file, []byte(workflow(tr.witness, locks)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if tr.server != nil {
			tr.server.Kill()
			if t.Failed() {
				t.Logf("the last server said:\n%s", tr.server.Log)
			}
		}
		if _, err := tr.KillRunners(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func (tr *trial) up() {
	tr.t.Helper()
	s, err := tr.Start()
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.server = s
}

// show asks for the state of a run.
func (tr *trial) show(run string) *shown {
	tr.t.Helper()
	out, err := tr.Client(tr.server.URL, "show", run, "--json")
	if err != nil {
		tr.t.Fatal(err)
	}
	s := &shown{}
	if err := json.Unmarshal([]byte(out), s); err != nil {
		tr.t.Fatalf("show --json: %v in %q", err, out)
	}
	return s
}

// keepBusy starts another run when the one before it is over, so that every
// kill meets work.
func (tr *trial) keepBusy() {
	tr.t.Helper()
	if tr.run != "" && !slices.Contains([]string{"succeeded", "failed", "stopped"}, tr.show(tr.run).Run.State) {
		return
	}
	out, err := tr.Client(tr.server.URL, "start", tr.file, "--json", "--key", "k"+strconv.Itoa(len(tr.runs)))
	if err != nil {
		tr.t.Fatal(err)
	}
	if tr.run = startedRun(out); tr.run == "" {
		tr.t.Fatalf("start --json: %q", out)
	}
	tr.runs = append(tr.runs, tr.run)
}

// progress waits until the witness has grown by some lines, so that the next
// kill meets running tasks and not a server that is only starting.
func (tr *trial) progress(lines int) {
	tr.t.Helper()
	before := tr.lines()
	for tr.lines() < before+lines {
		if err := tr.t.Context().Err(); err != nil {
			tr.t.Fatalf("no progress: %v", err)
		}
		if tr.show(tr.run).Run.State == "succeeded" {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (tr *trial) lines() int {
	tr.t.Helper()
	seen, err := read(tr.witness)
	if err != nil {
		return 0 // a line is being written
	}
	return seen.lines
}

// finish lets every run end, and returns what is then known of each.
func (tr *trial) finish() []*shown {
	tr.t.Helper()
	var all []*shown
	for _, run := range tr.runs {
		if _, err := tr.Client(tr.server.URL, "wait", run); err != nil {
			tr.t.Fatalf("wait for run %s: %v\n%s", run, err, tr.server.Log)
		}
		s := tr.show(run)
		if s.Run.State != "succeeded" {
			tr.t.Errorf("run %s is %s, want succeeded", run, s.Run.State)
		}
		all = append(all, s)
	}
	if out, err := tr.Client(tr.server.URL, "verify"); err != nil {
		tr.t.Errorf("the ledger does not hold: %v\n%s", err, out)
	}
	return all
}

// account compares the witness with the ledger: nothing overlapped, nothing
// that finished was repeated, every start is a known attempt and each attempt
// started at most once. It returns how many attempts were lost.
func (tr *trial) account(all []*shown) (lost int) {
	tr.t.Helper()
	said, err := read(tr.witness)
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, o := range said.overlaps {
		tr.t.Error(o)
	}
	for _, s := range all {
		for _, task := range s.Tasks {
			key := s.Run.ID + " " + task.Name
			seen := said.by[key]
			if seen == nil {
				tr.t.Errorf("%s: the ledger says %s, and it never ran", key, task.State)
				continue
			}
			states := map[string]string{}
			for i, a := range task.Attempts {
				states[strconv.Itoa(a.Number)] = a.State
				switch {
				case a.State == "lost":
					lost++
				case a.State == "succeeded" && i != len(task.Attempts)-1:
					tr.t.Errorf("%s: attempt %d succeeded and was followed by another", key, a.Number)
				case a.State == "succeeded" && !slices.Contains(seen.ends, strconv.Itoa(a.Number)):
					tr.t.Errorf("%s: attempt %d succeeded and never came to its end", key, a.Number)
				}
			}
			for i, n := range seen.starts {
				if states[n] == "" || states[n] == "buried" {
					tr.t.Errorf("%s: attempt %s started, the ledger says %q", key, n, states[n])
				}
				if slices.Contains(seen.starts[:i], n) {
					tr.t.Errorf("%s: attempt %s started twice", key, n)
				}
			}
		}
		delete(said.by, s.Run.ID)
	}
	return lost
}

// disturb kills again and again, each time at a random moment.
func (tr *trial) disturb(kill func() error) {
	tr.t.Helper()
	tr.up()
	for i := range *killsFlag {
		tr.keepBusy()
		tr.progress(1 + tr.random.IntN(12))
		time.Sleep(time.Duration(tr.random.IntN(40)) * time.Millisecond) // the moment of the crash, not a wait for anything
		if err := kill(); err != nil {
			tr.t.Fatalf("kill %d: %v", i, err)
		}
	}
	tr.keepBusy()
}

func TestServerCrash_DisturbsNoTask(t *testing.T) {
	tr := newTrial(t)
	tr.disturb(func() error {
		tr.server.Kill()
		tr.up()
		return nil
	})
	all := tr.finish()
	if lost := tr.account(all); lost != 0 {
		t.Errorf("%d attempts were lost to crashes of the server alone", lost)
	}
	for _, s := range all {
		for _, task := range s.Tasks {
			started := 0
			for _, a := range task.Attempts {
				if a.State != "buried" {
					started++
				}
			}
			if started != 1 {
				t.Errorf("%s %s ran %d times", s.Run.ID, task.Name, started)
			}
		}
	}
}

// The server dies at every fault point, at its first and at later passages: in
// the middle of a commit, before it, and between a commit and what it decided.
func TestFaultPoints_LoseAndRepeatNothing(t *testing.T) {
	tr := newTrial(t)
	tr.Binary = faulty
	died := 0
	for _, name := range fault.Names {
		passages := []int{1, 3, 20}
		if strings.HasPrefix(name, "sqlite.migrate.") {
			passages = passages[:1] // passed once in the life of a file, if at all
		}
		for _, passage := range passages {
			if tr.dieAt(name, passage) {
				died++
			}
		}
	}
	tr.up()
	tr.keepBusy()
	if lost := tr.account(tr.finish()); lost != 0 {
		t.Errorf("%d attempts were lost to crashes of the server alone", lost)
	}
	t.Logf("the server died at a fault point %d times", died)
	if died < 2*len(fault.Names) {
		t.Errorf("the server died %d times only: this run has shown little", died)
	}
}

// dieAt runs a server that dies at a fault point, with work to do, and reports
// whether it did. A point that is not passed often enough, as those of a
// migration, is left after one run.
func (tr *trial) dieAt(name string, passage int) bool {
	tr.t.Helper()
	tr.Env = []string{fmt.Sprintf("%s=%s:exit:%d", fault.Variable, name, passage)}
	defer func() { tr.Env = nil }()
	s, err := tr.Start()
	if err != nil {
		return true // it died before it listened
	}
	tr.server = s
	out, err := tr.Client(s.URL, "start", tr.file, "--json", "--key", fmt.Sprintf("%s-%d", name, passage))
	if run := startedRun(out); err == nil && run != "" {
		tr.runs = append(tr.runs, run)
	}
	for {
		select {
		case <-s.Done():
			return true
		case <-time.After(10 * time.Millisecond):
		}
		if out, err := tr.Client(s.URL, "list", "--state", "queued", "--state", "running", "--json"); err == nil && !strings.Contains(out, `"id"`) {
			s.Kill()
			return false
		}
	}
}

// startedRun reads the answer of start --json.
func startedRun(out string) string {
	var started struct{ Run struct{ ID string } }
	if json.Unmarshal([]byte(out), &started) != nil {
		return ""
	}
	return started.Run.ID
}

func TestRunnerCrash_RepeatsOnlyWhatRan(t *testing.T) {
	tr := newTrial(t)
	killed := 0
	tr.disturb(func() error {
		n, err := tr.KillRunners()
		killed += n
		return err
	})
	lost := tr.account(tr.finish())
	t.Logf("%d runners killed, %d attempts lost and repeated", killed, lost)
	if killed == 0 || lost == 0 {
		t.Error("nothing was hit: this run has shown nothing")
	}
}

func TestWholeCrash_RepeatsOnlyWhatRan(t *testing.T) {
	tr := newTrial(t)
	tr.disturb(func() error {
		first := tr.random.IntN(2)
		if first == 0 {
			tr.server.Kill()
		}
		if _, err := tr.KillRunners(); err != nil {
			return err
		}
		if first == 1 {
			tr.server.Kill()
			// It may have put a new runner in place of the dead one.
			if _, err := tr.KillRunners(); err != nil {
				return err
			}
		}
		tr.up()
		return nil
	})
	lost := tr.account(tr.finish())
	t.Logf("%d attempts lost and repeated", lost)
	if lost == 0 {
		t.Error("nothing was hit: this run has shown nothing")
	}
}

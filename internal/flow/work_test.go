package flow

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/param"
)

// worked runs a task behind one that gave outputs, and returns what its worker
// is told.
func worked(t *testing.T, task Task, params param.Values, defs ...param.Def) (*Work, *world) {
	t.Helper()
	task.Name, task.Needs = "load", []string{"extract"}
	w := &Workflow{Name: "daily", Params: defs, Env: map[string]string{"STAGE": "test", "WHERE": "${{ run.workflow }}"}, Tasks: []Task{{Name: "extract"}, task}}
	v := newWorld(t, w, Run{Params: params})
	v.apply(Begin{})
	v.place("extract")
	v.apply(Finished{Task: "extract", Generation: 1, Outcome: Outcome{Result: Succeeded, Outputs: Outputs{"rows": "42", "evil": "'; rm -rf / #"}}})
	return v.place("load").Work, v
}

func TestWorkWithoutExpressionsIsTheDefinition(t *testing.T) {
	config := json.RawMessage(`{"b": 1, "a":"x"}`)
	w := &Workflow{Name: "w", Tasks: []Task{{Name: "a", Type: "shell", Config: config, Slots: 2, Timeout: Timeout{After: 5}, Grace: 7}}}
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	got := v.place("a").Work
	want := &Work{Run: "run", Task: "a", Generation: 1, Number: 1, Workflow: "w", Type: "shell", Config: config, Timeout: 5, Grace: 7, Slots: 2, Key: "run/a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("work (-want +got):\n%s", diff)
	}
	if &got.Config[0] != &config[0] {
		t.Error("the configuration was copied: it is the same for every attempt")
	}
}

func TestWarnIsNotTheWorkersBusiness(t *testing.T) {
	work, _ := worked(t, Task{Timeout: Timeout{After: 5, Action: TimeoutWarn}}, nil)
	if work.Timeout != 0 {
		t.Errorf("the worker is told a timeout of %v, under action warn", work.Timeout)
	}
}

// TestScriptValuesNeverBecomeCode: what a value holds reaches a shell as a
// variable.
func TestScriptValuesNeverBecomeCode(t *testing.T) {
	for _, interpreter := range []string{``, `,"interpreter":["sh","-e"]`, `,"interpreter":["/usr/bin/env","-S","A=1","bash"]`, `,"interpreter":["/bin/zsh"]`} {
		work, _ := worked(t, Task{Type: "shell", Config: json.RawMessage(`{"script":"echo ${{ tasks.extract.outputs.evil }}"` + interpreter + `,"dir":"/data/${{ tasks.extract.outputs.rows }}"}`)}, nil)
		if work == nil {
			t.Fatalf("interpreter %s: not dispatched", interpreter)
		}
		var config struct{ Script, Dir string }
		if err := json.Unmarshal(work.Config, &config); err != nil {
			t.Fatal(err)
		}
		if config.Script != "echo ${SEMEL_EXPR_1}" || config.Dir != "/data/42" {
			t.Errorf("interpreter %s: configuration %s", interpreter, work.Config)
		}
		want := []string{"STAGE=test", "WHERE=daily", "SEMEL_EXPR_1='; rm -rf / #"}
		if diff := cmp.Diff(want, work.Env); diff != "" {
			t.Errorf("interpreter %s: env (-want +got):\n%s", interpreter, diff)
		}
	}
}

// TestOtherInterpretersGetPlainValuesOnly: the quoting of python is not known
// here, so a value that could be code fails the task.
func TestOtherInterpretersGetPlainValuesOnly(t *testing.T) {
	for _, interpreter := range []string{`["python3","-u"]`, `["env","python3"]`, `["${{ params.python }}"]`} {
		script := func(output string) Task {
			return Task{Type: "shell", Config: json.RawMessage(`{"interpreter":` + interpreter + `,"script":"print(${{ tasks.extract.outputs.` + output + ` }})"}`)}
		}
		params, def := param.Values{"python": "python3"}, param.Def{Name: "python", Type: param.String}
		work, _ := worked(t, script("rows"), params, def)
		var config struct{ Script string }
		if err := json.Unmarshal(work.Config, &config); err != nil || config.Script != "print(42)" {
			t.Errorf("interpreter %s: configuration %s (%v)", interpreter, work.Config, err)
		}
		work, v := worked(t, script("evil"), params, def)
		if work != nil {
			t.Errorf("interpreter %s: a value became code: %s", interpreter, work.Config)
		}
		v.want(map[string]string{"": "failed", "load": "failed"})
		if view := v.m.View(1); view.Cause != CauseTemplate || view.Number != 0 {
			t.Errorf("interpreter %s: %+v, want cause template and no attempt", interpreter, view)
		}
	}
}

// TestScriptsOfOtherTypesAreData: only shell tasks have code in that field.
func TestScriptsOfOtherTypesAreData(t *testing.T) {
	work, _ := worked(t, Task{Type: "http", Config: json.RawMessage(`{"script":"${{ tasks.extract.outputs.evil }}","n":1.50,"list":["$${{ x }}",true,null]}`)}, nil)
	if got, want := string(work.Config), `{"list":["${{ x }}",true,null],"n":1.50,"script":"'; rm -rf / #"}`; got != want {
		t.Errorf("configuration %s, want %s", got, want)
	}
}

func TestEnvironmentAndSecrets(t *testing.T) {
	params := param.Values{"region": "cn", "days": int64(3), "token": "s3cret", "empty": ""}
	defs := []param.Def{
		{Name: "region", Type: param.String},
		{Name: "days", Type: param.Int},
		{Name: "token", Type: param.String, Secret: true},
		{Name: "empty", Type: param.String, Secret: true},
	}
	work, _ := worked(t, Task{Env: map[string]string{"STAGE": "${{ params.region }}-${{ task.attempt }}", "A": "$HOME"}}, params, defs...)
	want := []string{"PARAM_DAYS=3", "PARAM_EMPTY=", "PARAM_REGION=cn", "PARAM_TOKEN=s3cret", "WHERE=daily", "A=$HOME", "STAGE=cn-1"}
	if diff := cmp.Diff(want, work.Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"s3cret"}, work.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// TestWorksDoNotShareTheirEnvironment: what one attempt appends must not show
// in another.
func TestWorksDoNotShareTheirEnvironment(t *testing.T) {
	script := json.RawMessage(`{"script":"echo ${{ task.name }}"}`)
	defs := []param.Def{{Name: "p", Type: param.String}, {Name: "q", Type: param.String}, {Name: "r", Type: param.String}}
	w := &Workflow{Name: "w", Params: defs, Tasks: []Task{
		{Name: "a", Type: "shell", Config: script}, {Name: "b", Type: "shell", Config: script},
	}}
	v := newWorld(t, w, Run{Params: param.Values{"p": "1", "q": "2", "r": "3"}})
	v.apply(Begin{})
	a, b := v.place("a").Work, v.place("b").Work
	if got := a.Env[len(a.Env)-1] + " " + b.Env[len(b.Env)-1]; got != "SEMEL_EXPR_1=a SEMEL_EXPR_1=b" {
		t.Errorf("environments end with %s", got)
	}
}

// TestStaleOutputsAreGone: after a rerun in which a task was skipped, nobody
// sees what it had put out before.
func TestStaleOutputsAreGone(t *testing.T) {
	w := &Workflow{Name: "w", Tasks: []Task{
		{Name: "flaky"},
		{Name: "alarm", Needs: []string{"flaky"}, Join: JoinAnyFailed},
		{Name: "report", Needs: []string{"alarm"}, Join: JoinAllDone, Env: map[string]string{"SENT": "${{ tasks.alarm.state }}"}},
	}}
	v := newWorld(t, w, Run{})
	v.apply(Begin{})
	v.place("flaky")
	v.finish("flaky", Failed)
	v.place("alarm")
	v.apply(Finished{Task: "alarm", Generation: 1, Outcome: Outcome{Result: Succeeded, Outputs: Outputs{"sent": "yes"}}})
	v.place("report")
	v.finish("report", Succeeded)
	if got := v.m.View(1).Outputs["sent"]; got != "yes" {
		t.Fatalf("output %q", got)
	}
	v.apply(Rerun{})
	v.place("flaky")
	v.finish("flaky", Succeeded)
	if view := v.m.View(1); view.State != TaskSkipped || view.Outputs != nil || !view.StartedAt.IsZero() {
		t.Errorf("skipped, with what an earlier round left: %+v", view)
	}
	if work := v.place("report").Work; len(work.Env) != 1 || work.Env[0] != "SENT=skipped" {
		t.Errorf("env %q", work.Env)
	}
}

// TestOnlyWhatIsFinalIsSeen: a definition that was stored by an older version
// may refer to what does not come before it. It fails, and does not run on
// half of the truth.
func TestOnlyWhatIsFinalIsSeen(t *testing.T) {
	w := chain(2)
	w.Tasks[1].Needs = nil
	w.Tasks[1].Env = map[string]string{"A": "${{ tasks.t0.state }}"}
	plan, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	m := New(plan, Run{ID: "r", State: RunQueued})
	m.Apply(noon, Begin{})
	m.Apply(noon, Place{Task: 0, Node: "n", Epoch: 1})
	if out := m.Apply(noon, Place{Task: 1, Node: "n", Epoch: 1}); out.Work != nil {
		t.Errorf("dispatched with env %q", out.Work.Env)
	}
	if got := m.View(1); got.State != TaskFailed || got.Cause != CauseTemplate {
		t.Errorf("%+v", got)
	}
}

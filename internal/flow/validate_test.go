package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/param"
)

// valid is a workflow in which everything is used and nothing is wrong.
func valid() *Workflow {
	object := json.RawMessage(`{}`)
	return &Workflow{
		Name: "daily-sales", OnFailure: End, Parallel: 4,
		Params: []param.Def{{Name: "region", Type: param.String, Default: "cn"}},
		Env:    map[string]string{"REGION": "${{ params.region }}"},
		Tasks: []Task{
			{Name: "extract", Type: "shell", Config: json.RawMessage(`{"script":"echo ${{ params.region }}"}`), Retry: Retry{Limit: 3, Delay: time.Second, Backoff: 2, DelayMax: time.Minute, Jitter: 0.1}, Timeout: Timeout{After: time.Minute, Action: TimeoutWarn}, OnLost: LostHold, Slots: 1},
			{Name: "clean", Needs: []string{"extract"}, When: "tasks.extract.outputs.rows != '0'", Type: "noop", Config: object, OnLost: LostRerun, Join: JoinAllSucceeded},
			{Name: "load-2", Needs: []string{"clean"}, Type: "http", Config: json.RawMessage(`{"headers":{"X":"${{ tasks.extract.state }}"}}`), Env: map[string]string{"A": "${{ tasks.clean.outputs.a }}"}, OnLost: LostFail, Delay: time.Hour, Grace: time.Second, Disabled: true},
			{Name: "alarm", Needs: []string{"load-2"}, Type: "noop", Config: object, Join: JoinAnyFailed, When: "tasks['load-2'].state == 'failed'", AllowFailure: true, Priority: -1},
		},
	}
}

func TestValidWorkflow(t *testing.T) {
	w := valid()
	if problems := Validate(w); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if _, err := Compile(w); err != nil {
		t.Errorf("compile: %v", err)
	}
}

// TestInvalidWorkflows breaks the valid one in one way each.
func TestInvalidWorkflows(t *testing.T) {
	task := func(i int, change func(*Task)) func(*Workflow) {
		return func(w *Workflow) { change(&w.Tasks[i]) }
	}
	tests := []struct {
		name   string
		change func(*Workflow)
		want   []string // path: message
	}{
		{"no name", func(w *Workflow) { w.Name = "" }, []string{`name: bad name "": ` + nameHint}},
		{"slash in the name", func(w *Workflow) { w.Name = "a/b" }, []string{`name: bad name "a/b": ` + nameHint}},
		{"strategy", func(w *Workflow) { w.OnFailure = "stop" }, []string{`on_failure: unknown strategy "stop": use continue or end`}},
		{"negative limit", func(w *Workflow) { w.Parallel = -1 }, []string{`parallel: -1 is negative: use 0 for no limit`}},
		{"no tasks", func(w *Workflow) { w.Tasks = nil }, []string{`tasks: the workflow has no tasks`}},
		{"parameter twice", func(w *Workflow) { w.Params = append(w.Params, w.Params[0]) }, []string{`params.region: parameter "region" is declared twice`}},
		{"parameters with one variable", func(w *Workflow) { w.Params = append(w.Params, param.Def{Name: "REGION", Type: param.Int}) }, []string{`params.REGION: parameters "region" and "REGION" would both be PARAM_REGION in the environment`}},
		{"bad default", func(w *Workflow) { w.Params[0].Type = "text" }, []string{`params.region: unknown type "text": use one of string, int, float, bool, list, map`}},
		{"reserved variable", func(w *Workflow) { w.Env = map[string]string{"SEMEL_RUN_ID": "x"} }, []string{`env.SEMEL_RUN_ID: names that begin with SEMEL_ are set by Semel: choose another for "SEMEL_RUN_ID"`}},
		{"reserved variable of a task", task(0, func(t *Task) { t.Env = map[string]string{"semel_x": "", "A-B": ""} }), []string{`tasks.extract.env.A-B: bad name "A-B" of a variable: use letters, digits and _`, `tasks.extract.env.semel_x: names that begin with SEMEL_ are set by Semel: choose another for "semel_x"`}},
		{"workflow env refers to a task", func(w *Workflow) { w.Env["X"] = "${{ tasks.extract.state }}" }, []string{`env.X: the environment of the workflow is that of every task and cannot refer to one: set it under env of the tasks that come after "extract"`}},
		{"bad task name", task(1, func(t *Task) { t.Name = "2fast" }), []string{`tasks.load-2.needs.0: there is no task "clean"`, `tasks.2fast: bad name "2fast": ` + nameHint, `tasks.load-2.env.A: there is no task "clean"`}},
		{"name too long", task(3, func(t *Task) { t.Name = strings.Repeat("a", 101) }), []string{`tasks.` + strings.Repeat("a", 101) + `: bad name "` + strings.Repeat("a", 101) + `": ` + nameHint}},
		{"same name", task(3, func(t *Task) { t.Name = "clean" }), []string{`tasks.clean: there are two tasks named "clean"`}},
		{"same name but for case", task(3, func(t *Task) { t.Name = "Clean" }), []string{`tasks.Clean: the names "clean" and "Clean" differ by case only`}},
		{"missing need", task(1, func(t *Task) { t.Needs = []string{"extrct", "extract"} }), []string{`tasks.clean.needs.0: there is no task "extrct": did you mean "extract"?`}},
		{"missing need, like nothing", task(1, func(t *Task) { t.Needs = []string{"extract", "zzz"} }), []string{`tasks.clean.needs.1: there is no task "zzz"`}},
		{"self need", task(1, func(t *Task) { t.Needs = []string{"extract", "clean"} }), []string{`tasks.clean.needs.1: the task needs itself`}},
		{"need twice", task(1, func(t *Task) { t.Needs = []string{"extract", "extract"} }), []string{`tasks.clean.needs.1: "extract" is there twice`}},
		{"cycle", task(0, func(t *Task) { t.Needs = []string{"load-2"} }), []string{`tasks.clean.needs.0: cycle: extract needs load-2 needs clean needs extract`}},
		{"join", task(1, func(t *Task) { t.Join = "any" }), []string{`tasks.clean.join: unknown join "any": use none_failed, all_succeeded, all_done or any_failed`}},
		{"any_failed of nothing", task(0, func(t *Task) { t.Join = JoinAnyFailed }), []string{`tasks.extract.join: join any_failed without needs would never run: name what may fail under needs`}},
		{"on_lost", task(0, func(t *Task) { t.OnLost = "retry" }), []string{`tasks.extract.on_lost: unknown on_lost "retry": use rerun, fail or hold`}},
		{"timeout action", task(0, func(t *Task) { t.Timeout.Action = "kill" }), []string{`tasks.extract.timeout.action: unknown action "kill": use fail or warn`}},
		{"timeout without a time", task(0, func(t *Task) { t.Timeout.After = 0 }), []string{`tasks.extract.timeout.after: a timeout needs a time: set after`}},
		{"no type", task(0, func(t *Task) { t.Type = "" }), []string{`tasks.extract.type: the task has no type`}},
		{"negative times", task(0, func(t *Task) {
			t.Delay, t.Grace, t.Timeout.After, t.Retry.Delay, t.Retry.DelayMax = -1, -2, -3, -4, -5
		}), []string{
			`tasks.extract.retry.delay: -4ns is negative`, `tasks.extract.retry.delay_max: -5ns is negative`, `tasks.extract.timeout.after: -3ns is negative`,
			`tasks.extract.delay: -1ns is negative`, `tasks.extract.grace: -2ns is negative`,
		}},
		{"a very long delay", task(0, func(t *Task) { t.Delay = math.MaxInt64 }), []string{`tasks.extract.delay: 2562047h47m16.854775807s is longer than a year`}},
		{"retries", task(0, func(t *Task) { t.Retry.Limit = -1 }), []string{`tasks.extract.retry.limit: -1 is not between 0 and 1000000`}},
		{"backoff", task(0, func(t *Task) { t.Retry.Backoff = 0.5 }), []string{`tasks.extract.retry.backoff: 0.5 is not between 1 and 1000`}},
		{"backoff is not a number", task(0, func(t *Task) { t.Retry.Backoff = math.NaN() }), []string{`tasks.extract.retry.backoff: NaN is not between 1 and 1000`}},
		{"jitter", task(0, func(t *Task) { t.Retry.Jitter = 1.5 }), []string{`tasks.extract.retry.jitter: 1.5 is not between 0 and 1`}},
		{"delay_max", task(0, func(t *Task) { t.Retry.DelayMax = time.Millisecond }), []string{`tasks.extract.retry.delay_max: 1ms is shorter than the delay, 1s`}},
		{"slots", task(0, func(t *Task) { t.Slots = -1 }), []string{`tasks.extract.slots: -1 is not between 0 and 1000000`}},
		{"config", task(1, func(t *Task) { t.Config = json.RawMessage(`[]`) }), []string{`tasks.clean.config: must be a JSON object`}},
		{"no config", task(1, func(t *Task) { t.Config = nil }), []string{`tasks.clean.config: must be a JSON object`}},
		{"when refers to itself", task(1, func(t *Task) { t.When = "tasks.clean.state == 'failed'" }), []string{`tasks.clean.when: an expression of "clean" cannot refer to the task itself`}},
		{"when refers to nobody", task(1, func(t *Task) { t.When = "tasks.extrakt.state == 'failed'" }), []string{`tasks.clean.when: there is no task "extrakt": did you mean "extract"?`}},
		{"when refers to what comes after", task(1, func(t *Task) { t.When = "tasks.alarm.state == 'failed'" }), []string{`tasks.clean.when: "alarm" does not come before "clean": add it to needs`}},
		{"unknown parameter in when", task(1, func(t *Task) { t.When = "params.regoin == 'cn'" }), []string{`tasks.clean.when: there is no parameter "regoin": did you mean "region"?`}},
		{"unknown parameter in a script", task(0, func(t *Task) { t.Config = json.RawMessage(`{"script":"${{ params.day }}"}`) }), []string{`tasks.extract.config.script: there is no parameter "day": declare it under params`}},
		{"reference in a list of a map", task(0, func(t *Task) { t.Config = json.RawMessage(`{"a":[{"b":"${{ tasks.clean.state }}"}]}`) }), []string{`tasks.extract.config.a.0.b: "clean" does not come before "extract": add it to needs`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := valid()
			test.change(w)
			var got []string
			for _, p := range Validate(w) {
				parts := make([]string, len(p.Path))
				for i, part := range p.Path {
					parts[i] = fmt.Sprint(part)
				}
				got = append(got, strings.Join(parts, ".")+": "+p.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBadExpressions: what param finds wrong is said where it stands. Its words
// are its own.
func TestBadExpressions(t *testing.T) {
	w := valid()
	w.Env["BAD"] = "${{ params. }}"
	w.Tasks[0].Config = json.RawMessage(`{"script":"${{ 1 + }}"}`)
	w.Tasks[1].When = "1 +"
	w.Tasks[2].Env["A"] = "${{ nope( }}"
	var got [][]any
	for _, p := range Validate(w) {
		got = append(got, p.Path)
	}
	want := [][]any{{"env", "BAD"}, {"tasks", "extract", "config", "script"}, {"tasks", "clean", "when"}, {"tasks", "load-2", "env", "A"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestCompileRefusesWhatMachinesCannotRun(t *testing.T) {
	w := valid()
	w.Tasks[1].Needs = []string{"nobody", "clean"}
	_, err := Compile(w)
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("error %v, want ErrInvalid", err)
	}
	if want := `compile workflow "daily-sales": invalid workflow: there is no task "nobody" (and 1 more)`; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestCycles(t *testing.T) {
	w := &Workflow{Name: "w"}
	add := func(name string, needs ...string) {
		w.Tasks = append(w.Tasks, Task{Name: name, Needs: needs, Type: "noop", Config: json.RawMessage(`{}`)})
	}
	add("a", "b")
	add("b", "c")
	add("c", "a", "d")
	add("d")
	add("x", "y")
	add("y", "x", "a")
	var got []string
	for _, p := range Validate(w) {
		got = append(got, fmt.Sprint(p.Path, " ", p.Message))
	}
	want := []string{"[tasks c needs 0] cycle: a needs b needs c needs a", "[tasks y needs 0] cycle: x needs y needs x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cycles (-want +got):\n%s", diff)
	}
}

// TestLongCycle: its path is shortened, and walking it does not recurse.
func TestLongCycle(t *testing.T) {
	w := chain(50_000)
	w.Tasks[0].Needs = []string{"t49999"}
	problems := Validate(w)
	if len(problems) != 1 || len(problems[0].Message) > 300 || !strings.HasSuffix(problems[0].Message, "... (50000 tasks) needs t0") {
		t.Errorf("problems: %.500v", problems)
	}
}

func TestTooManyTasks(t *testing.T) {
	if problems := Validate(chain(tasksMax)); len(problems) > 0 {
		t.Errorf("%d tasks are allowed: %v", tasksMax, problems)
	}
	problems := Validate(chain(tasksMax + 1))
	if len(problems) != 1 || problems[0].Message != "100001 tasks, at most 100000 are allowed" {
		t.Errorf("problems: %.500v", problems)
	}
}

// TestManyFaultsStayCheap: each missing need would be compared with all names,
// if there were no bound.
func TestManyFaultsStayCheap(t *testing.T) {
	w := chain(20_000)
	for i := range w.Tasks {
		w.Tasks[i].Needs = []string{fmt.Sprintf("x%d", i)}
	}
	if got := len(Validate(w)); got != 20_000 {
		t.Errorf("%d problems, want one for each task", got)
	}
}

// TestUpstreamOfManyTasks checks a reference from every task of a chain to one
// far above, and one that is not above: more targets than one walk carries.
func TestUpstreamOfManyTasks(t *testing.T) {
	w := chain(2_000)
	for i := range w.Tasks {
		w.Tasks[i].Env = map[string]string{"ABOVE": fmt.Sprintf("${{ tasks.t%d.state }}", max(0, i/2))}
	}
	w.Tasks[0].Env = nil
	w.Tasks[1500].Env["BELOW"] = "${{ tasks.t1501.state }}"
	problems := Validate(w)
	if len(problems) != 1 || problems[0].Message != `"t1501" does not come before "t1500": add it to needs` {
		t.Errorf("problems: %.500v", problems)
	}
}

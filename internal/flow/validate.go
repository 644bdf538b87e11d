package flow

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/param"
)

// Bounds of what a definition may ask for.
const (
	retriesMax  = 1_000_000
	backoffMax  = 1_000.0
	durationMax = 366 * 24 * time.Hour // of a delay or a timeout
	slotsMax    = 1_000_000
)

// nameRule is what expressions, files and environment variables can carry.
var nameRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,99}$`)

const nameHint = "use a letter or _, then letters, digits, _ and -, at most 100 in all"

// envRule is what every shell takes as the name of a variable.
var envRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// envReserved begins the names of the variables that Semel sets itself.
const envReserved = "SEMEL_"

// Validate returns all that is wrong with a workflow, in a fixed order; nil if
// it can be run. The cost grows linearly with the workflow, apart from what
// its expressions cost to compile.
func Validate(w *Workflow) []Problem {
	v := &validator{workflow: w, params: map[string]bool{}, texts: map[string]compiledText{}, conditions: map[string]compiledCondition{}}
	v.settings()
	v.graph = newGraph(w)
	broken := v.graph.check()
	v.problems = append(v.problems, broken...)
	if len(w.Tasks) > tasksMax {
		return v.problems
	}
	for i := range w.Tasks {
		v.task(int32(i))
	}
	if len(broken) == 0 {
		v.upstream()
	}
	return v.problems
}

type validator struct {
	workflow   *Workflow
	graph      *graph
	params     map[string]bool
	problems   []Problem
	refs       []reference
	texts      map[string]compiledText // by source: generated workflows repeat themselves
	conditions map[string]compiledCondition
}

type compiledText struct {
	text *param.Text
	err  error
}

type compiledCondition struct {
	condition *param.Condition
	err       error
}

// reference is a task that an expression of another one refers to.
type reference struct {
	from, to int32
	path     []any
}

func (v *validator) problem(path []any, format string, args ...any) {
	v.problems = append(v.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// settings checks what is said about the workflow as a whole.
func (v *validator) settings() {
	w := v.workflow
	if !nameRule.MatchString(w.Name) {
		v.problem([]any{"name"}, "bad name %q: %s", w.Name, nameHint)
	}
	switch w.OnFailure {
	case "", Continue, End:
	default:
		v.problem([]any{"on_failure"}, "unknown strategy %q: use continue or end", w.OnFailure)
	}
	if w.Parallel < 0 {
		v.problem([]any{"parallel"}, "%d is negative: use 0 for no limit", w.Parallel)
	}
	variables := map[string]string{}
	for _, d := range w.Params {
		path := []any{"params", d.Name}
		for _, message := range param.CheckDef(d) {
			v.problem(path, "%s", message)
		}
		name := param.EnvName(d.Name)
		switch other, taken := variables[name]; {
		case v.params[d.Name]:
			v.problem(path, "parameter %q is declared twice", d.Name)
		case taken:
			v.problem(path, "parameters %q and %q would both be %s in the environment", other, d.Name, name)
		}
		v.params[d.Name], variables[name] = true, d.Name
	}
	for _, name := range slices.Sorted(maps.Keys(w.Env)) {
		path := []any{"env", name}
		v.variable(path, name)
		if text := v.text(path, w.Env[name]); text != nil && len(text.Refs()) > 0 {
			v.problem(path, "the environment of the workflow is that of every task and cannot refer to one: set it under env of the tasks that come after %q", text.Refs()[0].Task)
		}
	}
}

func (v *validator) variable(path []any, name string) {
	switch {
	case !envRule.MatchString(name):
		v.problem(path, "bad name %q of a variable: use letters, digits and _", name)
	case strings.HasPrefix(strings.ToUpper(name), envReserved):
		v.problem(path, "names that begin with %s are set by Semel: choose another for %q", envReserved, name)
	}
}

func (v *validator) task(i int32) {
	t := &v.workflow.Tasks[i]
	at := func(rest ...any) []any { return append([]any{"tasks", t.Name}, rest...) }
	if !nameRule.MatchString(t.Name) {
		v.problem(at(), "bad name %q: %s", t.Name, nameHint)
	}
	v.choices(t, at)
	v.numbers(t, at)
	if t.When != "" {
		if c := v.condition(at("when"), t.When); c != nil {
			v.uses(i, c.Refs(), c.Params(), at("when"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		v.variable(at("env", name), name)
		if text := v.text(at("env", name), t.Env[name]); text != nil {
			v.uses(i, text.Refs(), nil, at("env", name))
		}
	}
	if !mayHoldExpressions(t.Config) {
		if !isObject(t.Config) {
			v.problem(at("config"), "must be a JSON object")
		}
		return
	}
	tree, err := parseConfig(t.Config)
	if err != nil {
		v.problem(at("config"), "must be a JSON object: %v", err)
		return
	}
	eachText(tree, nil, func(where []any, s string) {
		path := append(at("config"), where...)
		if text := v.text(path, s); text != nil {
			v.uses(i, text.Refs(), nil, path)
		}
	})
}

// choices checks what has a fixed set of words; none means the default.
func (v *validator) choices(t *Task, at func(...any) []any) {
	if t.Type == "" {
		v.problem(at("type"), "the task has no type")
	}
	switch t.Join {
	case "", JoinNoneFailed, JoinAllSucceeded, JoinAllDone:
	case JoinAnyFailed:
		if len(t.Needs) == 0 {
			v.problem(at("join"), "join any_failed without needs would never run: name what may fail under needs")
		}
	default:
		v.problem(at("join"), "unknown join %q: use none_failed, all_succeeded, all_done or any_failed", t.Join)
	}
	switch t.OnLost {
	case "", LostRerun, LostFail, LostHold:
	default:
		v.problem(at("on_lost"), "unknown on_lost %q: use rerun, fail or hold", t.OnLost)
	}
	switch t.Timeout.Action {
	case "", TimeoutFail, TimeoutWarn:
	default:
		v.problem(at("timeout", "action"), "unknown action %q: use fail or warn", t.Timeout.Action)
	}
	if t.Timeout.Action != "" && t.Timeout.After == 0 {
		v.problem(at("timeout", "after"), "a timeout needs a time: set after")
	}
}

func (v *validator) numbers(t *Task, at func(...any) []any) {
	durations := []struct {
		of   time.Duration
		path []any
	}{
		{t.Retry.Delay, []any{"retry", "delay"}},
		{t.Retry.DelayMax, []any{"retry", "delay_max"}},
		{t.Timeout.After, []any{"timeout", "after"}},
		{t.Delay, []any{"delay"}},
		{t.Grace, []any{"grace"}},
	}
	for _, d := range durations {
		switch {
		case d.of < 0:
			v.problem(at(d.path...), "%v is negative", d.of)
		case d.of > durationMax:
			v.problem(at(d.path...), "%v is longer than a year", d.of)
		}
	}
	r := t.Retry
	if r.Limit < 0 || r.Limit > retriesMax {
		v.problem(at("retry", "limit"), "%d is not between 0 and %d", r.Limit, retriesMax)
	}
	if r.Backoff != 0 && (math.IsNaN(r.Backoff) || r.Backoff < 1 || r.Backoff > backoffMax) {
		v.problem(at("retry", "backoff"), "%v is not between 1 and %v", r.Backoff, backoffMax)
	}
	if math.IsNaN(r.Jitter) || r.Jitter < 0 || r.Jitter > 1 {
		v.problem(at("retry", "jitter"), "%v is not between 0 and 1", r.Jitter)
	}
	if r.DelayMax > 0 && r.DelayMax < r.Delay {
		v.problem(at("retry", "delay_max"), "%v is shorter than the delay, %v", r.DelayMax, r.Delay)
	}
	if t.Slots < 0 || t.Slots > slotsMax {
		v.problem(at("slots"), "%d is not between 0 and %d", t.Slots, slotsMax)
	}
}

package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// draft is a task while it is being read.
type draft struct {
	flow.Task
	settings
	value value
	said  []entry
	works []work
	slots *int
}

// work is one of the keys that say what a task does.
type work struct {
	key         string
	at          value
	interpreter []string // of a script
	script      bool
	taskType    string
	config      json.RawMessage // of everything but a script
}

var joins = []string{string(flow.JoinNoneFailed), string(flow.JoinAllSucceeded), string(flow.JoinAllDone), string(flow.JoinAnyFailed)}

var taskTable = &table[draft]{
	what:    "a task",
	example: `{run: "echo hello"}`,
	fields: append([]field[draft]{
		{
			key: "description", doc: "What the task is for, for people.", schema: textSchema(),
			read: func(r *reader, v value, d *draft) { d.Description = r.text(v) },
		},
		{
			key: "needs", doc: "The tasks that come before: a name, or a list of names.", schema: textsSchema(),
			read: func(r *reader, v value, d *draft) { d.Needs = r.list(v) },
		},
		{
			key: "join", doc: "When the task runs, once its needs are final: none_failed (default), all_succeeded, all_done or any_failed.", schema: choiceSchema(joins...),
			read: func(r *reader, v value, d *draft) { d.Join = flow.Join(r.choice(v, joins)) },
		},
		{
			key: "when", doc: "An expression; false skips the task. Example: params.region == \"cn\".", schema: textSchema(),
			read: func(r *reader, v value, d *draft) { d.When = r.condition(v) },
		},
		{
			key: "env", doc: "Environment variables of the task.", schema: envSchema(),
			read: func(r *reader, v value, d *draft) { d.Env = r.pairs(v) },
		},
		{
			key: "delay", doc: "How long the task waits once its needs are met. Default 0s.", schema: durationSchema(),
			read: func(r *reader, v value, d *draft) { d.Delay = r.duration(v) },
		},
		{
			key: "slots", doc: "How many slots of a worker an attempt takes. Default 1; 0 for sleep and noop.", schema: integerSchema(0, slotsMax),
			read: func(r *reader, v value, d *draft) { x := r.integer(v, 0, slotsMax); d.slots = &x },
		},
		{
			key: "priority", doc: "Of the tasks that are ready, a higher number goes first. Default 0.", schema: integerSchema(-priorityMax, priorityMax),
			read: func(r *reader, v value, d *draft) { d.Priority = r.integer(v, -priorityMax, priorityMax) },
		},
		{
			key: "disabled", doc: "Leave the task out; what needs it runs as if it had succeeded. Default false.", schema: booleanSchema(),
			read: func(r *reader, v value, d *draft) { d.Disabled = r.boolean(v) },
		},
		{
			key: "allow_failure", doc: "A failure of the task is not a failure of the run, and what needs it runs. Default false.", schema: booleanSchema(),
			read: func(r *reader, v value, d *draft) { d.AllowFailure = r.boolean(v) },
		},
	}, append(lift(defaultFields, func(d *draft) *settings { return &d.settings }), workFields()...)...),
	elsewhere: map[string]string{
		"command": `did you mean "run"?`, "cmd": `did you mean "run"?`, "script": `did you mean "run"?`, "exec": `did you mean "run"?`, "commands": `did you mean "run"?`, "sh": `did you mean "run"?`,
		"depends": `did you mean "needs"?`, "depends_on": `did you mean "needs"?`, "dependencies": `did you mean "needs"?`, "dependson": `did you mean "needs"?`, "after": `did you mean "needs"?`, "requires": `did you mean "needs"?`, "upstream": `did you mean "needs"?`,
		"if": `did you mean "when"?`, "condition": `did you mean "when"?`, "retries": `did you mean "retry"?`, "environment": `did you mean "env"?`,
		"interpreter": `did you mean "shell"?`, "working_dir": `did you mean "dir"?`, "workdir": `did you mean "dir"?`, "cwd": `did you mean "dir"?`, "working_directory": `did you mean "dir"?`,
		"continue_on_error": `did you mean "allow_failure"?`, "enabled": "write disabled: true to leave a task out",
		"name": "in a mapping the name of a task is its key: remove it", "schedule": scheduleHint, "cron": scheduleHint,
		"type":         "a task says what it does by one key: " + strings.Join(workKeys, ", "),
		"command_line": `did you mean "run"?`, "url": `write it under http, as http: "https://..."`, "outputs": `a script writes its outputs to the file named in SEMEL_OUTPUT; http and noop have outputs of their own`,
		"on_failure": "write on_failure: at the top of the file", "params": "write params: at the top of the file",
	},
}

// priorityMax bounds a priority, so that schedulers can add to it.
const priorityMax = 1_000_000

// interpreters are the keys for scripts. run is the only one whose interpreter
// can be changed, by shell.
var interpreters = []struct {
	key, what string
	argv      []string
}{
	{"run", "A shell script. The interpreter is sh -e, unless shell says otherwise.", nil},
	{"bash", "A script for bash -e -o pipefail.", []string{"bash", "-e", "-o", "pipefail"}},
	{"python", "A script for python3 -u.", []string{"python3", "-u"}},
	{"node", "A script for node.", []string{"node"}},
	{"ruby", "A script for ruby.", []string{"ruby"}},
	{"perl", "A script for perl.", []string{"perl"}},
}

// workKeys are the keys of which a task has exactly one.
var workKeys = []string{"run", "bash", "python", "node", "ruby", "perl", "http", "sleep", "noop"}

func workFields() []field[draft] {
	var all []field[draft]
	for _, i := range interpreters {
		all = append(all, field[draft]{key: i.key, doc: i.what, schema: textSchema(), read: func(r *reader, v value, d *draft) {
			d.works = append(d.works, work{key: i.key, at: v, taskType: task.TypeShell, interpreter: i.argv, script: true})
		}})
	}
	add := func(key, doc string, s schema, empty bool, taskType string, read func(r *reader, v value) any) {
		all = append(all, field[draft]{key: key, doc: doc, schema: s, empty: empty, read: func(r *reader, v value, d *draft) {
			d.works = append(d.works, work{key: key, at: v, taskType: taskType, config: mustJSON(read(r, v))})
		}})
	}
	add("http", "An HTTP request: its URL, or a mapping that says more.", httpSchema(), false, task.TypeHTTP, (*reader).http)
	add("sleep", "Do nothing for a while.", templateOr(durationSchema()), false, task.TypeSleep, (*reader).sleep)
	add("noop", "Succeed at once. Takes true, or outputs for tests.", noopSchema(), true, task.TypeNoop, (*reader).noop)
	return all
}

// task makes a draft a task.
func (r *reader) task(d draft, defaults settings) flow.Task {
	t := d.Task
	all := d.settings.over(defaults)
	all.apply(&t)
	if t.Join == "" {
		t.Join = flow.JoinNoneFailed
	}
	t.Type, t.Config = r.work(d, all)
	t.Slots = slotsOf(t.Type)
	if d.slots != nil {
		t.Slots = *d.slots
	}
	return t
}

// work is the type and the configuration of a task. After a fault it is
// nothing at all, about which nobody can complain a second time.
func (r *reader) work(d draft, s settings) (string, json.RawMessage) {
	nothing := mustJSON(task.Noop{})
	switch {
	case !d.value.mapping():
		return task.TypeNoop, nothing
	case len(d.works) == 0:
		if !slices.ContainsFunc(d.said, func(e entry) bool { return e.unread && (e.meant == "" || slices.Contains(workKeys, e.meant)) }) {
			r.faultAtKey(d.value, "the task does nothing", "give it one of "+strings.Join(workKeys, ", "))
		}
		return task.TypeNoop, nothing
	case len(d.works) > 1:
		second := d.works[1]
		r.faultAtKey(second.at, fmt.Sprintf("the task has both %s and %s", d.works[0].key, second.key), "a task does one thing: make it two tasks")
		return task.TypeNoop, nothing
	}
	w := d.works[0]
	r.misplaced(d, w)
	if !w.script {
		return w.taskType, w.config
	}
	c := task.Shell{Script: r.text(w.at), Interpreter: w.interpreter}
	if w.key == "run" {
		c.Interpreter = s.shell
	}
	if s.dir != nil {
		c.Dir = *s.dir
	}
	return w.taskType, mustJSON(c)
}

// misplaced finds settings that the work of a task has no use for.
func (r *reader) misplaced(d draft, w work) {
	for _, e := range d.said {
		switch {
		case e.unread:
		case e.key == "shell" && w.script && w.key != "run":
			r.faultAtKey(e.value, fmt.Sprintf("a %s task has an interpreter already", w.key), "write run: instead of "+w.key+": to choose another one")
		case (e.key == "shell" || e.key == "dir") && !w.script:
			r.faultAtKey(e.value, fmt.Sprintf("a %s task runs no script, and has no use for %s", w.key, e.key), "remove it")
		}
	}
}

// shells are the names that get options of their own when they stand alone: a
// script goes on after a failed command otherwise, and nobody notices.
var shells = map[string][]string{
	"sh": {"sh", "-e"}, "dash": {"dash", "-e"}, "ksh": {"ksh", "-e"}, "zsh": {"zsh", "-e"},
	"bash": {"bash", "-e", "-o", "pipefail"},
}

// shell reads an interpreter: a name, a line, or a list that is taken as it is.
func (r *reader) shell(v value) []string {
	before := len(r.faults)
	var argv []string
	if v.list() {
		argv = r.list(v)
	} else {
		argv = strings.Fields(r.text(v))
		if len(argv) == 1 && shells[argv[0]] != nil {
			argv = shells[argv[0]]
		}
	}
	switch {
	case len(strings.Join(argv, " ")) > pathMax:
		r.fault(v, fmt.Sprintf("the interpreter is longer than %d bytes", pathMax), "write a shorter one")
		return nil
	case (len(argv) == 0 || argv[0] == "") && len(r.faults) == before:
		r.fault(v, "names no interpreter", `write a name, as "bash", or a list, as [bash, -e]`)
		return nil
	}
	return argv
}

// dir reads a working directory.
func (r *reader) dir(v value) string {
	text := r.text(v)
	switch {
	case len(text) > pathMax:
		r.fault(v, fmt.Sprintf("the directory is longer than %d bytes", pathMax), "write a shorter one")
		return ""
	case text == "" && v.scalar():
		r.fault(v, "names no directory", `write ".", for the directory of this file, or remove the key`)
	}
	return text
}

// sleep reads how long a sleep takes.
func (r *reader) sleep(v value) any {
	if v.scalar() && hasExpression(v.node.Value) {
		return task.Sleep{For: r.text(v)}
	}
	return task.Sleep{For: formatDuration(r.duration(v))}
}

// noop reads nothing, or outputs.
func (r *reader) noop(v value) any {
	var n task.Noop
	switch {
	case v.null():
	case v.mapping():
		fill(r, v, noopTable, &n)
	case !v.scalar() || v.node.Tag != "!!bool" || !r.boolean(v):
		r.fault(v, fmt.Sprintf("must be true, or a mapping with outputs, found %s", v.kind()), "write noop: true")
	}
	return n
}

var noopTable = &table[task.Noop]{
	what:    "noop",
	example: "noop: true",
	fields: []field[task.Noop]{
		{
			key: "outputs", doc: "Outputs of the task.", schema: envSchema(),
			read: func(r *reader, v value, n *task.Noop) { n.Outputs = r.pairs(v) },
		},
	},
}

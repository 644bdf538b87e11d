package spec

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// Defaults of the model, for what a file does not say.
const (
	graceDefault = 10 * time.Second
	slotsMax     = 64
)

// document is a workflow file while it is being read: the workflow, and its
// tasks and settings before the defaults have been given out.
type document struct {
	flow.Workflow
	defaults settings
	drafts   []draft
}

var workflowTable = &table[document]{
	what:    "a workflow",
	example: "name: and tasks:, each on a line of its own",
	fields: []field[document]{
		{
			key: "name", doc: "Name of the workflow. Versions of one workflow share it.", schema: textSchema(),
			read: func(r *reader, v value, d *document) { d.Name = r.text(v) },
		},
		{
			key: "description", doc: "What the workflow is for, for people.", schema: textSchema(),
			read: func(r *reader, v value, d *document) { d.Description = r.text(v) },
		},
		{
			key: "params", doc: "Parameters: a value gives type and default, a mapping says more.", schema: paramsSchema(),
			read: func(r *reader, v value, d *document) { d.Params = r.params(v) },
		},
		{
			key: "env", doc: "Environment variables of every task.", schema: envSchema(),
			read: func(r *reader, v value, d *document) { d.Env = r.pairs(v) },
		},
		{
			key: "on_failure", doc: "What a failed task does to the rest: continue (default) or end.", schema: choiceSchema(strategies...),
			read: func(r *reader, v value, d *document) { d.OnFailure = flow.Strategy(r.choice(v, strategies)) },
		},
		{
			key: "parallel", doc: "Most task runs active at once. Default 0: no limit.", schema: integerSchema(0, tasksMax),
			read: func(r *reader, v value, d *document) { d.Parallel = r.integer(v, 0, tasksMax) },
		},
		{
			key: "defaults", doc: "Settings of every task that does not say otherwise.", schema: mappingSchema(defaultFields),
			read: func(r *reader, v value, d *document) { fill(r, v, defaultsTable, &d.defaults) },
		},
		{
			key: "tasks", doc: "The tasks: a mapping of names to tasks, or a list of tasks with names.", schema: tasksSchema(),
			read: func(r *reader, v value, d *document) { d.drafts = r.tasks(v) },
		},
	},
	elsewhere: map[string]string{
		"schedule": scheduleHint, "schedules": scheduleHint, "cron": scheduleHint, "on": scheduleHint, "trigger": scheduleHint, "triggers": scheduleHint,
		"steps": `did you mean "tasks"?`, "jobs": `did you mean "tasks"?`, "nodes": `did you mean "tasks"?`, "task": `did you mean "tasks"?`,
		"parameters": `did you mean "params"?`, "inputs": `did you mean "params"?`, "vars": `did you mean "params"?`, "variables": `did you mean "params"?`,
		"environment": `did you mean "env"?`, "title": `did you mean "name"?`, "concurrency": `did you mean "parallel"?`, "max_parallel": `did you mean "parallel"?`,
		"failure_strategy": `did you mean "on_failure"?`,
		"retry":            perTaskHint, "timeout": perTaskHint, "on_lost": perTaskHint, "grace": perTaskHint, "shell": perTaskHint, "dir": perTaskHint,
		"version": "a new definition under the same name is a new version by itself: remove it",
	},
}

const (
	scheduleHint = "schedules are not part of a workflow file: remove it"
	perTaskHint  = "write it in a task, or under defaults for all of them"
)

var strategies = []string{string(flow.Continue), string(flow.End)}

// document reads the root of a file and gives out the defaults.
func (r *reader) document(v value) *flow.Workflow {
	d := document{Workflow: flow.Workflow{OnFailure: flow.Continue}}
	known := fill(r, v, workflowTable, &d)
	if v.mapping() {
		if !said(known, "name") {
			r.fault(v, "the workflow has no name", "write name: and a name at the top")
		}
		if !said(known, "tasks") && d.drafts == nil {
			r.fault(v, "the workflow has no tasks", "write tasks: and at least one task")
		}
	}
	for _, t := range d.drafts {
		d.Tasks = append(d.Tasks, r.task(t, d.defaults))
	}
	return &d.Workflow
}

// tasks reads the tasks in either of their two forms.
func (r *reader) tasks(v value) []draft {
	var all []draft
	r.index = map[string]value{}
	one := func(name string, v value) {
		d := draft{value: v}
		d.Name = name
		d.said = fill(r, v, taskTable, &d)
		all = append(all, d)
		r.index[name] = v
	}
	switch {
	case v.mapping() && len(v.node.Content) > 0:
		for _, e := range r.entries(v) {
			one(e.key, e.value)
		}
	case v.list() && len(v.node.Content) > 0:
		for _, item := range v.items() {
			name, rest, ok := r.named(item)
			if !ok {
				continue
			}
			if first, twice := r.index[name]; twice {
				r.faultAtKey(rest, fmt.Sprintf("there is a task %s already, in line %d", quote(name), first.node.Line), "give one of them another name")
				continue
			}
			one(name, rest)
		}
	case v.mapping() || v.list():
		r.faultAtKey(v, "there is no task here", "write at least one task")
	default:
		r.fault(v, fmt.Sprintf("must be a mapping of names to tasks, found %s", v.kind()), `write tasks: {hello: {run: "echo hello"}}`)
	}
	if len(all) > tasksMax {
		r.faultAtKey(v, fmt.Sprintf("there are %d tasks, at most %d are allowed", len(all), tasksMax), "split the workflow")
		return all[:1]
	}
	return all
}

// named takes the name out of a task in a list. From then on the task is as
// if it stood under its name.
func (r *reader) named(v value) (name string, rest value, ok bool) {
	if !v.mapping() {
		r.fault(v, fmt.Sprintf("a task must be a mapping, found %s", v.kind()), `write - {name: hello, run: "echo hello"}`)
		return "", v, false
	}
	node := *v.node
	node.Content = nil
	var named *yaml.Node
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, n := follow(v.node.Content[i]), follow(v.node.Content[i+1])
		if key.Value != "name" || ok {
			node.Content = append(node.Content, v.node.Content[i], v.node.Content[i+1])
			continue
		}
		at := value{node: n, key: key, path: &step{up: v.path, key: "name"}}
		name, named, ok = r.text(at), key, true
	}
	if !ok {
		r.fault(v, "a task in a list needs a name", "write name: in it, or write tasks as a mapping of names to tasks")
		return "", v, false
	}
	return name, value{node: &node, key: named, path: &step{up: v.path.up, key: name}}, true
}

// settings are what defaults can say for all tasks.
type settings struct {
	retry   *flow.Retry
	timeout *flow.Timeout
	onLost  *flow.OnLost
	grace   *time.Duration
	shell   []string
	dir     *string
}

var onLosts = []string{string(flow.LostRerun), string(flow.LostFail), string(flow.LostHold)}

var defaultFields = []field[settings]{
	{
		key: "retry", doc: "Retries after a failure: how many, or a mapping that says more. Default 0.", schema: retrySchema(),
		read: func(r *reader, v value, s *settings) { x := r.retry(v); s.retry = &x },
	},
	{
		key: "timeout", doc: "How long an attempt may take, or a mapping that also says what happens then. Default: no limit.", schema: timeoutSchema(),
		read: func(r *reader, v value, s *settings) { x := r.timeout(v); s.timeout = &x },
	},
	{
		key: "on_lost", doc: "What happens when an attempt's outcome is unknown: rerun (default), fail or hold.", schema: choiceSchema(onLosts...),
		read: func(r *reader, v value, s *settings) { x := flow.OnLost(r.choice(v, onLosts)); s.onLost = &x },
	},
	{
		key: "grace", doc: "From the polite signal to the kill, when stopped or timed out. Default 10s.", schema: durationSchema(),
		read: func(r *reader, v value, s *settings) { x := r.duration(v); s.grace = &x },
	},
	{
		key: "shell", doc: "The interpreter of run: a name, or a list with its arguments. Default: sh -e.", schema: textsSchema(),
		read: func(r *reader, v value, s *settings) { s.shell = r.shell(v) },
	},
	{
		key: "dir", doc: "Working directory, relative to the file. Default: an empty directory of the attempt's own.", schema: textSchema(),
		read: func(r *reader, v value, s *settings) { x := r.dir(v); s.dir = &x },
	},
}

var defaultsTable = &table[settings]{
	what:    "defaults",
	example: "defaults: {retry: 3}",
	fields:  defaultFields,
	elsewhere: map[string]string{
		"env":        "write env: at the top of the file, beside defaults",
		"on_failure": "write on_failure: at the top of the file, beside defaults",
		"parallel":   "write parallel: at the top of the file, beside defaults",
		"retries":    `did you mean "retry"?`, "interpreter": `did you mean "shell"?`, "working_dir": `did you mean "dir"?`, "cwd": `did you mean "dir"?`,
	},
}

// over is a task's own settings over the defaults.
func (s settings) over(defaults settings) settings {
	if s.retry == nil {
		s.retry = defaults.retry
	}
	if s.timeout == nil {
		s.timeout = defaults.timeout
	}
	if s.onLost == nil {
		s.onLost = defaults.onLost
	}
	if s.grace == nil {
		s.grace = defaults.grace
	}
	if s.shell == nil {
		s.shell = defaults.shell
	}
	if s.dir == nil {
		s.dir = defaults.dir
	}
	return s
}

// apply writes settings into a task.
func (s settings) apply(t *flow.Task) {
	t.OnLost, t.Grace = flow.LostRerun, graceDefault
	if s.retry != nil {
		t.Retry = *s.retry
	}
	if s.timeout != nil {
		t.Timeout = *s.timeout
	}
	if s.onLost != nil {
		t.OnLost = *s.onLost
	}
	if s.grace != nil {
		t.Grace = *s.grace
	}
}

// slotsOf is how many slots an attempt takes if nothing is said: one for what
// occupies a worker, none for what only waits.
func slotsOf(taskType string) int {
	switch taskType {
	case task.TypeSleep, task.TypeNoop:
		return 0
	}
	return 1
}

package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/semel-dev/semel/internal/param"
)

// The part of the shell type's configuration that is treated as code and not
// as data.
const (
	typeShell   = "shell"
	fieldScript = "script"
	fieldArgv   = "interpreter"
)

// shells are the interpreters whose quoting param follows: in their scripts a
// value becomes a reference to a variable.
var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh"}

// template is what a task's expressions have been compiled to.
type template struct {
	when   *param.Condition // nil: always
	whenAs error            // when does not compile
	config map[string]any   // nil: no expressions, the definition is used as it is
	script *param.Text      // of a shell task, apart from config; nil: as it is
	shell  bool             // its interpreter is one of shells
	env    []variable
	refs   []param.Ref // all that config and env refer to
	err    error       // config or env does not compile
}

// variable is one of the environment, in compiled form.
type variable struct {
	name  string
	value string      // if text is nil
	text  *param.Text // nil: a plain value
}

// template returns the compiled expressions of a task. It is only called by
// Apply.
func (p *Plan) template(i int32) *template {
	if p.templates[i] == nil {
		p.templates[i] = p.compile(&p.workflow.Tasks[i])
	}
	return p.templates[i]
}

func (p *Plan) compile(t *Task) *template {
	c := &template{}
	if t.When != "" {
		c.when, c.whenAs = param.CompileCondition(t.When)
	}
	if !p.envReady {
		p.env, c.err = variables(p.workflow.Env, new([]param.Ref))
		p.envReady = c.err == nil
	}
	if c.err == nil {
		c.env, c.err = variables(t.Env, &c.refs)
	}
	if c.err != nil || !mayHoldExpressions(t.Config) {
		return c
	}
	tree, err := parseConfig(t.Config)
	if err != nil {
		c.err = fmt.Errorf("its configuration: %w", err)
		return c
	}
	compiled, err := compileTexts(tree, &c.refs)
	if err != nil {
		c.err = err
		return c
	}
	c.config = compiled.(map[string]any)
	if script, ok := c.config[fieldScript].(*param.Text); ok && t.Type == typeShell {
		c.script, c.shell = script, isShell(tree[fieldArgv])
		delete(c.config, fieldScript)
	}
	return c
}

func variables(env map[string]string, refs *[]param.Ref) ([]variable, error) {
	if len(env) == 0 {
		return nil, nil
	}
	all := make([]variable, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v := variable{name: name, value: env[name]}
		if mayHoldExpressions(v.value) {
			text, err := param.CompileText(v.value)
			if err != nil {
				return nil, fmt.Errorf("%s in env: %w", name, err)
			}
			v.text = text
			*refs = append(*refs, text.Refs()...)
		}
		all = append(all, v)
	}
	return all, nil
}

// isShell reports whether an interpreter is one whose quoting is known. None
// is sh. An expression in it may become anything.
func isShell(interpreter any) bool {
	argv, _ := interpreter.([]any)
	if len(argv) == 0 {
		return true
	}
	first, _ := argv[0].(string)
	if path.Base(first) == "env" {
		for _, arg := range argv[1:] {
			word, _ := arg.(string)
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
				return slices.Contains(shells, path.Base(word))
			}
		}
		return false
	}
	return slices.Contains(shells, path.Base(first))
}

// work resolves all expressions of a task that is about to be dispatched.
func (m *Machine) work(i int32, generation Generation, number int) (*Work, error) {
	t := &m.plan.workflow.Tasks[i]
	w := &Work{
		Run: m.run.ID, Task: t.Name, Generation: generation, Number: number,
		Workflow: m.run.Workflow, Type: t.Type, Config: t.Config, Env: m.env,
		Grace: t.Grace, Slots: t.Slots, Key: string(m.run.ID) + "/" + t.Name, Secrets: m.secrets,
	}
	if t.Timeout.Action != TimeoutWarn {
		w.Timeout = t.Timeout.After
	}
	c := m.plan.template(i)
	switch {
	case c.err != nil:
		return nil, c.err
	case c.config == nil && len(c.env) == 0 && len(m.plan.env) == 0:
		return w, nil
	}
	s := m.scope(t, number, c.refs)
	env, err := m.environment(c, s)
	if err != nil {
		return nil, err
	}
	w.Env = env
	if c.config == nil {
		return w, nil
	}
	if err := c.resolve(w, s); err != nil {
		return nil, err
	}
	return w, nil
}

// resolve writes the configuration of w, and the variables its script needs.
func (c *template) resolve(w *Work, s *param.Scope) error {
	value, err := evaluate(c.config, s)
	if err != nil {
		return err
	}
	config := value.(map[string]any)
	if c.script != nil {
		if c.shell {
			var values []string
			config[fieldScript], values, err = c.script.Script(s, 1)
			w.Env = append(w.Env, values...)
		} else {
			config[fieldScript], err = c.script.Literal(s)
		}
		if err != nil {
			return fmt.Errorf("its script: %w", err)
		}
	}
	w.Config, err = json.Marshal(config)
	if err != nil {
		panic(fmt.Sprintf("flow: the configuration of %q came from JSON: %v", w.Task, err))
	}
	return nil
}

// environment returns the variables of an attempt: parameters, then the
// workflow's, then the task's own, which win.
func (m *Machine) environment(c *template, s *param.Scope) ([]string, error) {
	all := m.env // clipped: appending copies it
	own := func(name string) bool {
		return slices.ContainsFunc(c.env, func(v variable) bool { return v.name == name })
	}
	for _, v := range m.plan.env {
		if own(v.name) {
			continue
		}
		value, err := v.eval(s)
		if err != nil {
			return nil, err
		}
		all = append(all, v.name+"="+value)
	}
	for _, v := range c.env {
		value, err := v.eval(s)
		if err != nil {
			return nil, err
		}
		all = append(all, v.name+"="+value)
	}
	return all, nil
}

func (v *variable) eval(s *param.Scope) (string, error) {
	if v.text == nil {
		return v.value, nil
	}
	value, err := v.text.Eval(s)
	if err != nil {
		return "", fmt.Errorf("%s in env: %w", v.name, err)
	}
	return value, nil
}

// scope is what the expressions of a task see: of the others only what they
// refer to, and only what is final.
func (m *Machine) scope(t *Task, number int, refs []param.Ref) *param.Scope {
	s := &param.Scope{
		Params: m.run.Params,
		Run:    param.RunFacts{ID: string(m.run.ID), Workflow: m.run.Workflow},
		Task:   param.TaskFacts{Name: t.Name, Attempt: number},
	}
	for _, r := range refs {
		i, ok := m.plan.index[r.Task]
		if !ok || !m.cells[i].phase.final() {
			continue
		}
		if s.Tasks == nil {
			s.Tasks = make(map[string]param.Upstream, len(refs))
		}
		s.Tasks[r.Task] = param.Upstream{State: string(m.state(i)), Outputs: m.outputs(i)}
	}
	return s
}

// environmentOf returns what every task of a run gets: its parameters, and
// the values that logs must not show.
func environmentOf(w *Workflow, values param.Values) (env, secrets []string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, param.EnvName(name)+"="+param.Format(values[name]))
	}
	for _, d := range w.Params {
		if v, ok := values[d.Name]; ok && d.Secret {
			if text := param.Format(v); text != "" {
				secrets = append(secrets, text)
			}
		}
	}
	return slices.Clip(env), slices.Clip(secrets)
}

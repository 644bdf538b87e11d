package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/task"
)

// Format writes a workflow as a file that Parse reads back as the same
// workflow. Comments, defaults and aliases of the file it came from are not
// part of a workflow, and do not come back.
func Format(w *flow.Workflow) ([]byte, error) {
	root := mapping()
	root.text("name", w.Name)
	root.textIf("description", w.Description)
	if len(w.Params) > 0 {
		params := mapping()
		for _, d := range w.Params {
			n, err := formatParam(d)
			if err != nil {
				return nil, fmt.Errorf("write parameter %s: %w", d.Name, err)
			}
			params.add(d.Name, n)
		}
		root.add("params", params.node)
	}
	root.pairsIf("env", w.Env)
	if w.OnFailure != flow.Continue {
		root.text("on_failure", string(w.OnFailure))
	}
	if w.Parallel != 0 {
		root.add("parallel", plain("!!int", strconv.Itoa(w.Parallel)))
	}
	tasks := mapping()
	for i := range w.Tasks {
		n, err := formatTask(&w.Tasks[i])
		if err != nil {
			return nil, fmt.Errorf("write task %s: %w", w.Tasks[i].Name, err)
		}
		tasks.add(w.Tasks[i].Name, n)
	}
	root.add("tasks", tasks.node)
	text, err := yaml.Dump(root.node, yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("write workflow %s: %w", w.Name, err)
	}
	return escaped(text), nil
}

func formatParam(d param.Def) (*yaml.Node, error) {
	var initial *yaml.Node
	if d.Default != nil {
		v, err := param.Normal(d.Type, d.Default)
		if err != nil {
			return nil, err
		}
		initial = anyNode(v)
		only := param.Def{Name: d.Name, Type: d.Type, Default: d.Default}
		if bare := mustJSON(only); d.Type != param.Map && typeOf(v) == d.Type && bytes.Equal(bare, mustJSON(d)) {
			return initial, nil
		}
	}
	m := mapping()
	m.text("type", string(d.Type))
	if initial != nil {
		m.add("default", initial)
	}
	m.flagIf("required", d.Required)
	m.textIf("description", d.Description)
	if len(d.Enum) > 0 {
		m.add("enum", anyNode(d.Enum))
	}
	m.flagIf("secret", d.Secret)
	return m.node, nil
}

func formatTask(t *flow.Task) (*yaml.Node, error) {
	m := mapping()
	m.textIf("description", t.Description)
	m.textsIf("needs", t.Needs)
	if t.Join != flow.JoinNoneFailed {
		m.text("join", string(t.Join))
	}
	m.textIf("when", t.When)
	if err := formatWork(m, t); err != nil {
		return nil, err
	}
	m.pairsIf("env", t.Env)
	if t.Retry != (flow.Retry{}) {
		m.add("retry", formatRetry(t.Retry))
	}
	if t.Timeout != (flow.Timeout{}) {
		m.add("timeout", formatTimeout(t.Timeout))
	}
	if t.OnLost != flow.LostRerun {
		m.text("on_lost", string(t.OnLost))
	}
	m.durationIf("delay", t.Delay, 0)
	m.durationIf("grace", t.Grace, graceDefault)
	if t.Slots != slotsOf(t.Type) {
		m.add("slots", plain("!!int", strconv.Itoa(t.Slots)))
	}
	if t.Priority != 0 {
		m.add("priority", plain("!!int", strconv.Itoa(t.Priority)))
	}
	m.flagIf("disabled", t.Disabled)
	m.flagIf("allow_failure", t.AllowFailure)
	return m.node, nil
}

// formatWork writes what a task does: the one key for its type.
func formatWork(m builder, t *flow.Task) error {
	switch t.Type {
	case task.TypeShell:
		var c task.Shell
		if err := readConfig(t.Config, &c); err != nil {
			return err
		}
		key := "run"
		for _, i := range interpreters {
			if i.argv != nil && slices.Equal(i.argv, c.Interpreter) {
				key = i.key
			}
		}
		m.text(key, c.Script)
		if key == "run" {
			m.textsIf("shell", c.Interpreter)
		}
		m.textIf("dir", c.Dir)
	case task.TypeHTTP:
		var c task.HTTP
		if err := readConfig(t.Config, &c); err != nil {
			return err
		}
		h := mapping()
		h.textIf("method", c.Method)
		h.text("url", c.URL)
		h.pairsIf("headers", c.Headers)
		h.textIf("body", c.Body)
		h.textsIf("expect", c.Expect)
		h.textIf("timeout", c.Timeout)
		h.pairsIf("outputs", c.Outputs)
		m.add("http", h.node)
	case task.TypeSleep:
		var c task.Sleep
		if err := readConfig(t.Config, &c); err != nil {
			return err
		}
		m.text("sleep", c.For)
	case task.TypeNoop:
		var c task.Noop
		if err := readConfig(t.Config, &c); err != nil {
			return err
		}
		if len(c.Outputs) == 0 {
			m.flagIf("noop", true)
			return nil
		}
		n := mapping()
		n.pairsIf("outputs", c.Outputs)
		m.add("noop", n.node)
	default:
		return fmt.Errorf("no key of the language is for the task type %q", t.Type)
	}
	return nil
}

// readConfig reads the settings of a task type. A setting that the language
// has no key for must not be dropped in silence.
func readConfig(config json.RawMessage, into any) error {
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("read its settings: %w", err)
	}
	return nil
}

func formatRetry(t flow.Retry) *yaml.Node {
	limit := plain("!!int", strconv.Itoa(t.Limit))
	if t == (flow.Retry{Limit: t.Limit}) {
		return limit
	}
	m := mapping()
	m.add("limit", limit)
	m.durationIf("delay", t.Delay, 0)
	if t.Backoff != 0 {
		m.add("backoff", anyNode(t.Backoff))
	}
	m.durationIf("delay_max", t.DelayMax, 0)
	if t.Jitter != 0 {
		m.add("jitter", anyNode(t.Jitter))
	}
	return m.node
}

func formatTimeout(t flow.Timeout) *yaml.Node {
	if t.Action == flow.TimeoutFail {
		return textNode(formatDuration(t.After))
	}
	m := mapping()
	m.text("after", formatDuration(t.After))
	m.text("action", string(t.Action))
	return m.node
}

// escaped writes the characters that Parse does not take as they are, all of
// which stand in double quotes, by their numbers.
func escaped(text []byte) []byte {
	if !bytes.ContainsFunc(text, mustEscape) {
		return text
	}
	var b bytes.Buffer
	for _, c := range string(text) {
		if mustEscape(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
			continue
		}
		b.WriteRune(c)
	}
	return b.Bytes()
}

func mustEscape(c rune) bool {
	message, _ := unwelcome(c, 0, 0)
	return message != ""
}

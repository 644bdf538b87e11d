package spec

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/task"
)

// TestFormatKeepsEverything writes arbitrary workflows, with the texts that
// YAML has most trouble with, and reads them back.
func TestFormatKeepsEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorkflow(rt)
		text, err := Format(w)
		if err != nil {
			rt.Fatalf("format: %v", err)
		}
		again, err := Parse("again.yaml", text)
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		if Digest(w) != Digest(again) {
			rt.Fatalf("another workflow came back from\n%s\nbefore %+v\nafter  %+v", text, w, again)
		}
	})
}

// troubled are pieces that texts are made of: each is something else in YAML.
var troubled = []string{
	"a", "b c", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", ": ", ":", "#", " #", "- ", "-", "?", "? ", "|", ">", "'", `"`, `\`, "{", "}", "[", "]", ",", "&a", "*a", "!", "!!int",
	"%", "@", "`", "~", "null", "true", "yes", "No", "0755", "1e3", ".5", ".nan", "1_000", "0x1F", "2024-01-01", "1:30", "<<", "=", "---", "...", "\n---\n", "é", "你好", "🙂",
	"\u0085", "\u2028", "\u202e", "\ufeff", "\u200d", "\x1b[1m", "\x7f", "\uffff", "\ue000", strings.Repeat("x", 200), "$", "${A}",
}

func drawText(rt *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(troubled), 0, 6).Draw(rt, label), "")
}

func drawPairs(rt *rapid.T, label string) map[string]string {
	var all map[string]string
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"A", "b", "yes", "null", "NO", "_", "y"}), 0, 4).Draw(rt, label) {
		if all == nil {
			all = map[string]string{}
		}
		all[name] = drawText(rt, label+name)
	}
	return all
}

func drawDuration(rt *rapid.T, label string) time.Duration {
	return rapid.OneOf(
		rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, 1000).Draw(rt, "n")) * rapid.SampledFrom([]time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(rt, "unit")
		}),
		rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(durationMax)).Draw(rt, "ns"))
		}),
	).Draw(rt, label)
}

func drawAny(rt *rapid.T, depth int) any {
	switch rapid.IntRange(0, 5).Draw(rt, "kind") - depth*2 {
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(rt, "items") {
			list = append(list, drawAny(rt, depth+1))
		}
		return list
	case 4:
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(rt, "keys") {
			m[drawText(rt, "key")] = drawAny(rt, depth+1)
		}
		return m
	case 3:
		return rapid.Int64().Draw(rt, "int")
	case 2:
		return rapid.Float64().Draw(rt, "float") + 0
	case 1:
		return rapid.Bool().Draw(rt, "bool")
	}
	return drawText(rt, "text")
}

func drawWorkflow(rt *rapid.T) *flow.Workflow {
	w := &flow.Workflow{
		Name: "w", Description: drawText(rt, "description"), Env: drawPairs(rt, "env"),
		OnFailure: flow.Strategy(rapid.SampledFrom(strategies).Draw(rt, "on_failure")), Parallel: rapid.IntRange(0, 3).Draw(rt, "parallel"),
	}
	for _, name := range []string{"p", "yes", "q"}[:rapid.IntRange(0, 3).Draw(rt, "params")] {
		d := param.Def{Name: name, Description: drawText(rt, "about"), Secret: rapid.Bool().Draw(rt, "secret")}
		v := drawAny(rt, 0)
		d.Type = typeOf(v)
		if rapid.Bool().Draw(rt, "default") {
			d.Default = v
		} else {
			d.Required = rapid.Bool().Draw(rt, "required")
			d.Enum = []any{v}
		}
		w.Params = append(w.Params, d)
	}
	for _, name := range []string{"a", "no", "null", "b-2"}[:rapid.IntRange(1, 4).Draw(rt, "tasks")] {
		w.Tasks = append(w.Tasks, drawTask(rt, name))
	}
	return w
}

func drawTask(rt *rapid.T, name string) flow.Task {
	t := flow.Task{
		Name: name, Description: drawText(rt, "description"), Join: flow.Join(rapid.SampledFrom(joins[:3]).Draw(rt, "join")), Env: drawPairs(rt, "env"),
		OnLost: flow.OnLost(rapid.SampledFrom(onLosts).Draw(rt, "on_lost")), Delay: drawDuration(rt, "delay"), Grace: drawDuration(rt, "grace"),
		Slots: rapid.IntRange(0, slotsMax).Draw(rt, "slots"), Priority: rapid.IntRange(-2, 2).Draw(rt, "priority"),
		Disabled: rapid.Bool().Draw(rt, "disabled"), AllowFailure: rapid.Bool().Draw(rt, "allow_failure"),
	}
	if rapid.Bool().Draw(rt, "retries") {
		t.Retry = flow.Retry{Limit: rapid.IntRange(0, 5).Draw(rt, "limit"), Delay: drawDuration(rt, "delay"), Backoff: rapid.SampledFrom([]float64{0, 1, 1.5, 2}).Draw(rt, "backoff"), Jitter: rapid.Float64Range(0, 1).Draw(rt, "jitter")}
		t.Retry.DelayMax = min(t.Retry.Delay+time.Second, durationMax)
	}
	if after := drawDuration(rt, "after"); after > 0 {
		t.Timeout = flow.Timeout{After: after, Action: flow.TimeoutAction(rapid.SampledFrom(actions).Draw(rt, "action"))}
	}
	switch rapid.IntRange(0, 3).Draw(rt, "type") {
	case 0:
		c := task.Shell{Script: "x" + drawText(rt, "script"), Dir: drawText(rt, "dir"), Interpreter: rapid.SampledFrom([][]string{nil, {"sh"}, {"bash", "-e", "-o", "pipefail"}, {"python3", "-u"}, {"a b", "", "\n"}}).Draw(rt, "interpreter")}
		t.Type, t.Config = task.TypeShell, mustJSON(c)
	case 1:
		c := task.HTTP{URL: "https://example.com/?" + rapid.SampledFrom([]string{"", "#", "a: b", "a #b", "'", "{}", "%20", "é", "你好"}).Draw(rt, "url"), Body: drawText(rt, "body"), Expect: rapid.SampledFrom([][]string{nil, {"200"}, {"2xx", "300-304"}}).Draw(rt, "expect"), Timeout: rapid.SampledFrom([]string{"", "5s", "1m30s"}).Draw(rt, "timeout")}
		t.Type, t.Config = task.TypeHTTP, mustJSON(c)
	case 2:
		t.Type, t.Config = task.TypeSleep, mustJSON(task.Sleep{For: formatDuration(drawDuration(rt, "for"))})
	case 3:
		t.Type, t.Config = task.TypeNoop, mustJSON(task.Noop{Outputs: drawPairs(rt, "outputs")})
	}
	return t
}

// TestFormatRefuses: what the language cannot say is an error, not a loss.
func TestFormatRefuses(t *testing.T) {
	for name, w := range map[string]*flow.Workflow{
		"unknown type":    {Tasks: []flow.Task{{Name: "a", Type: "teapot", Config: []byte("{}")}}},
		"unknown setting": {Tasks: []flow.Task{{Name: "a", Type: task.TypeShell, Config: []byte(`{"script": "x", "sugar": 2}`)}}},
		"no config":       {Tasks: []flow.Task{{Name: "a", Type: task.TypeNoop}}},
		"wrong default":   {Params: []param.Def{{Name: "p", Type: param.Int, Default: "x"}}},
	} {
		if text, err := Format(w); err == nil {
			t.Errorf("%s: written as\n%s", name, text)
		}
	}
}

// TestDigest: the same workflow in other words has the same digest, another
// workflow has another.
func TestDigest(t *testing.T) {
	base := mustParse(t, "a.yaml", []byte("name: x\nenv: {A: a, B: b}\ntasks:\n  a: {run: echo a, retry: 3}\n"))
	same := mustParse(t, "b.yaml", []byte("# the same\ntasks:\n  - retry: {limit: 3}\n    name: a\n    run: \"echo a\"\nenv: {B: b, A: a}\nname: 'x'\n"))
	if Digest(base) != Digest(same) {
		t.Error("the same workflow has two digests")
	}
	same.Tasks[0].Config = []byte("{ \"script\" : \"echo\\u0020a\" }")
	if Digest(base) != Digest(same) {
		t.Error("the same settings in other JSON have another digest")
	}
	for _, src := range []string{
		"name: y\nenv: {A: a, B: b}\ntasks:\n  a: {run: echo a, retry: 3}\n",
		"name: x\nenv: {A: a, B: c}\ntasks:\n  a: {run: echo a, retry: 3}\n",
		"name: x\nenv: {A: a, B: b}\ntasks:\n  a: {run: echo b, retry: 3}\n",
		"name: x\nenv: {A: a, B: b}\ntasks:\n  a: {run: echo a, retry: 2}\n",
	} {
		if Digest(base) == Digest(mustParse(t, "c.yaml", []byte(src))) {
			t.Errorf("two workflows have one digest; the second is\n%s", src)
		}
	}
}

func TestResolveDirs(t *testing.T) {
	w := mustParse(t, "a.yaml", []byte("name: x\nparams: {d: x}\ndefaults: {dir: .}\ntasks:\n  a: {run: a}\n  b: {run: b, dir: /abs}\n  c: {run: c, dir: ../up}\n  d: {noop: true}\n  e: {run: e, dir: \"a/${{ params.d + '//' }}\"}\n  f: {run: f, dir: \"${{ params.d }}\"}\n"))
	plain := mustParse(t, "a.yaml", []byte("name: x\ntasks: {a: {run: a}}"))
	for _, w := range []*flow.Workflow{w, plain} {
		if err := ResolveDirs(w, "/srv/flows"); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{`"dir":"/srv/flows"`, `"dir":"/abs"`, `"dir":"/srv/up"`, `{}`, `"dir":"/srv/flows/a/${{ params.d + '//' }}"`, `"dir":"${{ params.d }}"`} {
		if got := string(w.Tasks[i].Config); !strings.Contains(got, want) {
			t.Errorf("task %s: %s, want %s", w.Tasks[i].Name, got, want)
		}
	}
	if strings.Contains(string(plain.Tasks[0].Config), "dir") {
		t.Error("a task without a directory was given one")
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "0": 0, "0s": 0, "1.5h": 90 * time.Minute, "1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2d3h4m5s6ms": 51*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond,
		"100ns": 100, "366d": durationMax,
	} {
		got, message, _ := parseDuration(text)
		if message != "" || got != want {
			t.Errorf("%s: %v %s, want %v", text, got, message, want)
		}
		if back, message, _ := parseDuration(formatDuration(got)); back != got || message != "" {
			t.Errorf("%s: written as %s", text, formatDuration(got))
		}
	}
	for text, want := range map[string]string{
		"": "is no length of time", "30": "has no unit", "1.5": "has no unit", "-1s": "is negative", "d": "is no length of time", "1d-1h": "is no length of time", "+1s": "is no length of time",
		"1h1d": "is no length of time", "1 h": "is no length of time", "367d": "is longer than a year", "1e9d": "is no length of time", "99999999999999999999h": "is no length of time", "-1d": "is no length of time",
	} {
		if d, message, hint := parseDuration(text); !strings.Contains(message, want) || hint == "" {
			t.Errorf("%q: %v %q %q, want %q", text, d, message, hint, want)
		}
	}
}

package param

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func scope() *Scope {
	return &Scope{
		Params: Values{
			"region": "cn", "n": int64(3), "f": 2.5, "dry": false, "list": []any{int64(1), "a", nil},
			"map": map[string]any{"k": int64(1)}, "empty": "",
		},
		Tasks: map[string]Upstream{
			"extract": {State: "succeeded", Outputs: map[string]string{"rows": "42", "file": "/data/x.csv"}},
			"load-2":  {State: "failed"},
		},
		Run:  RunFacts{ID: "0190-a", Workflow: "daily"},
		Task: TaskFacts{Name: "load", Attempt: 2},
	}
}

func TestTextEval(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"plain", "plain"},
		{"${{ params.region }}", "cn"},
		{"${{params.region}}", "cn"},
		{"a ${{ params.n }} b ${{ params.n + 1 }} c", "a 3 b 4 c"},
		{"${{ tasks.extract.outputs.rows }} rows, ${{ tasks.extract.state }}", "42 rows, succeeded"},
		{`${{ tasks["load-2"].state }}`, "failed"},
		{"${{ run.id }} ${{ run.workflow }} ${{ task.name }} ${{ task.attempt + 1 }}", "0190-a daily load 3"},
		{"${{ '}}' }}", "}}"},
		{`${{ "a\"}}" }}`, `a"}}`},
		{`${{ r"\" + '}}' }}`, `\}}`},
		{`${{ '''it's }} here''' }}`, "it's }} here"},
		{`${{ {"a": {"b": 1}} }}`, `{"a":{"b":1}}`},
		{`${{ {"a": 1}}}`, `{"a":1}`},
		{"${{ 1 + // one }} more }}", ""},
		{"${{ 1 // don't }}", "1"},
		{"$${{ params.region }}", "${{ params.region }}"},
		{"$$${{ params.region }}", "$${{ params.region }}"},
		{"$${{ a }} ${{ params.n }}", "${{ a }} 3"},
		{"${VAR} $(cmd) {{ x }} $ $$ ${ {{ }} }} $", "${VAR} $(cmd) {{ x }} $ $$ ${ {{ }} }} $"},
		{"${VAR:-${{ params.region }}}", "${VAR:-cn}"},
		{"${{ params.region.upper() + ' ' + ' x '.trim() + 'AB'.lower() }}", "CN xab"},
		{"${{ 'a,b,c'.split(',') }}", `["a","b","c"]`},
		{"${{ ['', 'b', ''].join('-') }}", "-b-"},
		{"${{ 'a-b-c'.replace('-', '') }}", "abc"},
		{"${{ 'größe'.substring(1, 4) }}${{ 'größe'.substring(4) }}", "röße"},
		{"${{ int(tasks.extract.outputs.rows) > 40 ? 'many' : 'few' }}", "many"},
		{"${{ params.region in ['cn', 'de'] && params.n < 3.5 }}", "true"},
		{"${{ double(params.n) * params.f }} ${{ string(params.n) + 'x' }}", "7.5 3x"},
		{"${{ params.region.matches('^c.$') }} ${{ params.region.contains('n') }} ${{ params.region.startsWith('c') }} ${{ size(params.region) }}", "true true true 2"},
		{"${{ has(params.nothing) ? params.nothing : 'none' }}", "none"},
		{"${{ has(tasks.extract.outputs.nothing) }}", "false"},
		{"${{ 'nothing' in params }} ${{ 'n' in params }}", "false true"},
		{"${{ params.list }} ${{ params.map }} ${{ params.list[0] }} ${{ params.map.k }} ${{ params.dry }}", `[1,"a",null] {"k":1} 1 1 false`},
		{"${{ [1, 2, 3].filter(x, x > 1).map(x, x * 2) }}", "[4,6]"},
		{"${{ params['region'] }}", "cn"},
		{"a ${{ params.empty }} b", "a  b"},
		{"${{\n  params.region\n}}", "cn"},
		{"${{ null }}", "null"},
		{"${{ 1u }}", "1"},
	}
	for _, test := range tests {
		text, err := CompileText(test.text)
		if test.want == "" && test.text != "" {
			if err == nil {
				t.Errorf("%s: want an error", test.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		got, err := text.Eval(scope())
		if err != nil || got != test.want {
			t.Errorf("%s = %q, %v; want %q", test.text, got, err, test.want)
		}
	}
}

func TestTextRefs(t *testing.T) {
	text, err := CompileText(`${{ tasks.b.outputs.y }} ${{ tasks.a.state + tasks.b.outputs.x + tasks["b"].outputs["y"] }}
		${{ params.p + string(size(tasks.c.outputs)) }} ${{ has(params.q) || [1].exists(i, params["p"] == tasks.d.outputs[params.r]) }}
		$${{ tasks.none.state }}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{{"b", "y"}, {"a", ""}, {"b", "x"}, {"c", ""}, {"d", ""}}
	if diff := cmp.Diff(want, text.Refs()); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"p", "q", "r"}, text.Params()); diff != "" {
		t.Errorf("params (-want +got):\n%s", diff)
	}
	if text.Constant() {
		t.Error("the text has expressions, but is constant")
	}
	plain, err := CompileText("$${{ a }} ${B}")
	if err != nil || !plain.Constant() || plain.Refs() != nil || plain.Params() != nil {
		t.Errorf("a text without expressions: %v, %v", plain, err)
	}
}

func TestCompileTextErrors(t *testing.T) {
	tests := []struct {
		text    string
		offset  int
		message string
	}{
		{"echo ${{ params.x", 5, "${{ is never closed: add }}, or write $${{ if it is meant literally"},
		{"echo ${{ }}", 8, "an expression is missing here"},
		{"${{ 'abc }}", 4, "the string that starts here is never closed: add a '"},
		{"${{ a } }}", 6, "unexpected }: an expression ends with }}"},
		{"ü ${{ foo }}", 7, "unknown name foo: an expression knows params, tasks, run and task; a string needs quotes"},
		{"${{ 'ü' + foo }}", 11, "unknown name foo: an expression knows params, tasks, run and task; a string needs quotes"},
		{"${{ 1 +\n  foo }}", 10, "unknown name foo: an expression knows params, tasks, run and task; a string needs quotes"},
		{"${{ parms.x }}", 4, `unknown name parms: did you mean "params"?`},
		{"${{ params.x.uper() }}", 13, `unknown function uper(): did you mean "upper"?`},
		{"${{ run.nme }}", 7, `run has no "nme": it has id and workflow`},
		{"${{ task.nme }}", 8, `task has no "nme": it has attempt and name`},
		{"${{ tasks.a.output.x }}", 11, `a task before this one has no "output": it has outputs and state`},
		{"${{ 1 + }}", 8, "syntax error: the expression ends too early"},
		{"${{ (1 }}", 7, "syntax error: missing )"},
		{"${{ 1) }}", 5, `syntax error at ")"`},
		{"${{ a b }}", 6, `syntax error at "b"`},
		{"${{ params.x = 1 }}", 13, `syntax error at "=": write == to compare`},
		{"${{ params.x and params.y }}", 13, `syntax error at "and": write &&`},
		{"${{ not params.x }}", 8, `syntax error at "params"`},
		{"${{ `x` }}", 4, "syntax error at \"`\""},
		{"${{ for }}", 4, "the word for is reserved: use params.NAME or a string in quotes"},
		{"${{ tasks.a.outputs.rows > 10 }}", 25, "> cannot be applied to string and int: convert with string(), int() or double()"},
		{"${{ !1 }}", 4, "! cannot be applied to int"},
		{"${{ true ? 1 : 'a' }}", 9, "both sides of ? : must be of one type: convert with string(), int() or double()"},
		{"${{ 99999999999999999999 }}", 4, "the number does not fit in 64 bits"},
		{"${{ tasks }}", 4, "tasks is not a value: write tasks.NAME.state or tasks.NAME.outputs.NAME"},
		{"${{ size(tasks) }}", 9, "tasks is not a value: write tasks.NAME.state or tasks.NAME.outputs.NAME"},
		{"${{ tasks.a }}", 4, "a task is not a value: write tasks.a.state or tasks.a.outputs.NAME"},
		{"${{ tasks[params.x].state }}", 4, `the name of a task must be written out: tasks.NAME or tasks["NAME"]`},
		{"${{ [run] }}", 5, "run is not a value: write run.id or run.workflow"},
		{"${{ task }}", 4, "task is not a value: write task.name or task.attempt"},
		{"${{ [1].map(params, params) }}", 11, "the name params is taken: choose another for the items"},
		{"${{ has(params) }}", 8, "has() takes an access by name, like has(params.x)"},
		{"${{ google.protobuf.Value{} }}", 25, `messages cannot be made in an expression: use a map, {"key": value}`},
		{"${{ timestamp('2020-01-01T00:00:00Z') }}", 4, "unknown function timestamp(): there are int, double, string, bool, size, contains, startsWith, endsWith, matches, lower, upper, trim, ..."},
	}
	for _, test := range tests {
		_, err := CompileText(test.text)
		fault := (*Error)(nil)
		if !errors.As(err, &fault) {
			t.Errorf("%s: error %v", test.text, err)
			continue
		}
		if fault.Offset != test.offset || fault.Message != test.message {
			t.Errorf("%s:\n got %d %s\nwant %d %s", test.text, fault.Offset, fault.Message, test.offset, test.message)
		}
	}
}

func TestTextEvalErrors(t *testing.T) {
	tests := []struct {
		text    string
		offset  int
		message string
	}{
		{"x ${{ tasks.extract.outputs.row }}", 6, `task extract has no output "row"; it has file, rows`},
		{"${{ tasks['load-2'].outputs.x }}", 4, `task load-2 has no output "x"; it has none`},
		{"${{ tasks.extrct.state }}", 4, `nothing is known of task extrct: did you mean "extract"?`},
		{"${{ 1 + params.regoin }}", 8, `there is no parameter "regoin": did you mean "region"?`},
		{"${{ params.map.kk }}", 14, "there is no \"kk\" in `params.map.kk`"},
		{"${{ params.list[9] }}", 15, "index out of bounds: 9 in `params.list[9]`"},
		{"${{ 1 / (params.n - 3) }}", 6, "division by zero in `1 / (params.n - 3)`"},
		{"${{ params.f + 1 }}", 13, "the types do not fit in `params.f + 1`: convert with string(), int() or double()"},
		{"${{ int(params.region) }}", 7, "the text is not a whole number in `int(params.region)`"},
		{"${{ double(params.region) }}", 10, "the text is not a number in `double(params.region)`"},
		{"${{ params.region.matches('[') }}", 25, "bad regular expression: error parsing regexp: missing closing ]: `[` in `params.region.matches('[')`"},
		{"${{ b'x' }}", 4, "the value of ${{ b'x' }} cannot be used: it is of type bytes: convert it with string()"},
		{"${{ [1.0 / 0.0] }}", 4, "the value of ${{ [1.0 / 0.0] }} cannot be used: a number in it is not finite"},
		{"${{ 'a\\u0000' }}", 3, "the value of ${{ 'a\\u0000' }} cannot be used: the text contains a NUL byte"},
		{"${{ 'ab'.substring(3) }}", 18, "substring() from 3 to 2 is outside of a string of 2 characters in `'ab'.substring(3)`"},
	}
	for _, test := range tests {
		text, err := CompileText(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		got, err := text.Eval(scope())
		fault := (*Error)(nil)
		if !errors.As(err, &fault) {
			t.Errorf("%s = %q, %v", test.text, got, err)
			continue
		}
		if fault.Offset != test.offset || fault.Message != test.message {
			t.Errorf("%s:\n got %d %s\nwant %d %s", test.text, fault.Offset, fault.Message, test.offset, test.message)
		}
	}
}

func TestTextBounds(t *testing.T) {
	if _, err := CompileText(strings.Repeat("${{ 1 }}", expressionsMax)); err != nil {
		t.Errorf("%d expressions: %v", expressionsMax, err)
	}
	if _, err := CompileText(strings.Repeat("${{ 1 }}", expressionsMax+1)); err == nil {
		t.Errorf("%d expressions: want an error", expressionsMax+1)
	}
	if _, err := CompileText("${{ '" + strings.Repeat("x", expressionBytesMax) + "' }}"); err == nil {
		t.Error("a long expression: want an error")
	}
	s := scope()
	s.Params["big"] = strings.Repeat("x", valueBytesMax)
	text, err := CompileText(strings.Repeat("${{ params.big }}", 17))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := text.Eval(s); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("a text of 17 times 64 KiB: %v", err)
	}
	if text, err = CompileText("${{ params.big + 'x' }}"); err != nil {
		t.Fatal(err)
	}
	if _, err := text.Eval(s); err == nil || !strings.Contains(err.Error(), "longer than 65536 bytes") {
		t.Errorf("a value of 64 KiB and a byte: %v", err)
	}
	s.Tasks["extract"].Outputs["rows"] = strings.Repeat("x", valueBytesMax+1)
	if text, err = CompileText("${{ size(tasks.extract.outputs.rows) }}"); err != nil {
		t.Fatal(err)
	}
	if _, err := text.Eval(s); err == nil || !strings.Contains(err.Error(), "an expression takes at most 65536") {
		t.Errorf("an output of 64 KiB and a byte: %v", err)
	}
}

func TestCondition(t *testing.T) {
	tests := []struct {
		source string
		want   bool
		err    string
	}{
		{"true", true, ""},
		{"params.region == 'cn' && !params.dry", true, ""},
		{"params.dry", false, ""},
		{"int(tasks.extract.outputs.rows) > 100", false, ""},
		{"tasks['load-2'].state == 'failed'", true, ""},
		{"params.region", false, "the condition `params.region` is a string, not true or false: compare it with something"},
		{"'a'", false, "the condition `'a'` is a string, not true or false: compare it with something"},
		{"tasks.extract.outputs.rows", false, "the condition `tasks.extract.outputs.rows` is a string, not true or false: compare it with something"},
		{"size(params)", false, "the condition `size(params)` is an int, not true or false: compare it with something"},
		{"${{ params.dry }}", false, "a condition is an expression already: write it without ${{ }}"},
		{"  ", false, "an expression is missing here"},
		{"params.nothing == 1", false, `there is no parameter "nothing": the run has dry, empty, f, list, map, n, region`},
	}
	for _, test := range tests {
		got, err := func() (bool, error) {
			c, err := CompileCondition(test.source)
			if err != nil {
				return false, err
			}
			return c.Eval(scope())
		}()
		message := ""
		if err != nil {
			message = err.Error()
		}
		if got != test.want || message != test.err {
			t.Errorf("%s = %v, %q; want %v, %q", test.source, got, message, test.want, test.err)
		}
	}
	c, err := CompileCondition("params.a == 1 && tasks.x.outputs.y == 'z'")
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(c.Refs(), []Ref{{"x", "y"}}) || !cmp.Equal(c.Params(), []string{"a"}) {
		t.Errorf("refs %v, params %v", c.Refs(), c.Params())
	}
}

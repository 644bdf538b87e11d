package param

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzCompileText: no text panics; an error points into the text; one without
// marks is itself; what is compiled can be evaluated, to a value or an error.
func FuzzCompileText(f *testing.F) {
	for _, seed := range []string{"", "plain $ $$ ${A}", "$${{ a }}", "${{ params.region }} ${{ tasks.extract.outputs.rows }}", "${{ '}}' }}", "${{ {'a': {'b': 1}} }}", "${{ 1 +", "${{ [1].map(x, x + 1) }}", "${{ r'\\' + \"\"\"a\"\"\" }}", "ü${{ // c\n run.id }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := CompileText(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		if !strings.Contains(text, markOpen) && !compiled.Constant() {
			t.Errorf("%q is not constant", text)
		}
		got, err := compiled.Eval(scope())
		if err != nil {
			checkError(t, text, err)
			return
		}
		if !strings.Contains(text, markOpen) && got != text {
			t.Errorf("%q became %q", text, got)
		}
		if len(got) > textBytesMax {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// FuzzCondition: likewise for conditions.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{"true", "params.dry", "params.n > 2 && tasks.extract.state == 'succeeded'", "has(params.x)", "'a' in params.list", "params.region.matches('^c')", "[1, 2].exists(x, x == params.n)", "a.b.c", "tasks['load-2'].state != \"\"", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		c, err := CompileCondition(source)
		if err != nil {
			checkError(t, source, err)
			return
		}
		if _, err := c.Eval(scope()); err != nil {
			checkError(t, source, err)
		}
	})
}

var reference = regexp.MustCompile(`\$\{SEMEL_EXPR_[0-9]+\}`)

// FuzzScript: no value ever stands in a script, whatever surrounds it.
func FuzzScript(f *testing.F) {
	for _, seed := range quoting {
		before, after, _ := strings.Cut(seed, "${{ params.v }}")
		f.Add(before, after)
	}
	f.Add("$((", "))")
	f.Add("cat <<'E'\n", "\nE\n")
	const value = "VALUE'\"`$(x)\n;"
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, markOpen) || strings.HasSuffix(before, "$") || strings.Contains(before+after, "VALUE") {
			return
		}
		text, err := CompileText(before + "${{ params.v }}" + after)
		if err != nil {
			checkError(t, before+after, err)
			return
		}
		script, env, err := text.Script(&Scope{Params: Values{"v": value}}, 1)
		if err != nil {
			checkError(t, before+"${{ params.v }}"+after, err)
			return
		}
		if strings.Contains(script, "VALUE") {
			t.Errorf("the value stands in the script %q", script)
		}
		if !strings.HasPrefix(script, before) || !strings.HasSuffix(script, after) {
			t.Errorf("the script changed: %q", script)
		}
		inserted := script[len(before) : len(script)-len(after)]
		if len(env) == 0 && inserted != "${{params.v}}" || len(env) == 1 && !reference.MatchString(inserted) {
			t.Errorf("inserted %q with %q", inserted, env)
		}
	})
}

func checkError(t *testing.T, text string, err error) {
	t.Helper()
	fault := (*Error)(nil)
	if !errors.As(err, &fault) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	if fault.Offset < 0 || fault.Offset > len(text) {
		t.Errorf("offset %d of %q (%d bytes): %s", fault.Offset, text, len(text), fault.Message)
	}
	if fault.Message == "" || strings.ContainsAny(fault.Message, "\n\x00") && utf8.ValidString(text) {
		t.Errorf("message %q for %q", fault.Message, text)
	}
}

package param

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostileExpressions would take the machine down in a language without bounds.
// Each is to be refused, or to stop, with the message.
func hostileExpressions() map[string]string {
	const (
		steps = "takes too many steps"
		large = "makes too large a value"
		deep  = "nested deeper than 32"
		ops   = "at most 2000 operations"
	)
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	shared := "[0]" + strings.Repeat(".map(a,[a,a])", 28)
	return map[string]string{
		"params.l.map(a, params.l.map(b, params.l.map(c, a + b + c)))":                     steps,
		"params.l.all(a, params.l.all(b, params.l.all(c, true)))":                          steps,
		"params.l.exists_one(a, params.l.exists_one(b, params.l.exists_one(c, 1 == 1)))":   steps,
		"params.l.filter(x, params.l == params.l)":                                         steps,
		"['x']" + strings.Repeat(".map(a, a + a)", 28):                                     steps,
		"[params.big]" + strings.Repeat(".map(a, a + a)", 20):                              large,
		"[params.l]" + strings.Repeat(".map(a, a + a)", 20):                                large,
		"params.l.map(x, params.l + params.l)":                                             large,
		shared:                                                                             large,
		shared + " == " + shared:                                                           large,
		"size(" + shared + ")":                                                             large,
		"[" + shared + "].map(x, x == x)":                                                  large,
		"[{'a': 1}]" + strings.Repeat(".map(a, {'x': a, 'y': a})", 28):                     large,
		nested("(", ")", 1900):                                                             deep,
		nested("[", "]", 1900):                                                             deep,
		nested("{1:", "}", 1000):                                                           deep,
		nested("[1].map(x,", ")", 100):                                                     deep,
		"1" + strings.Repeat("+1", 1900):                                                   deep,
		"params" + strings.Repeat(".a", 1900):                                              deep,
		strings.Repeat("true?1:", 400) + "1":                                               deep,
		"[" + strings.Repeat("1,", 2040) + "1]":                                            ops,
		strings.Repeat("9", 4000):                                                          "does not fit in 64 bits",
		strings.Repeat("x", expressionBytesMax+1):                                          "at most 4096 are allowed",
		"params.l.map(x, params.big.upper())":                                              steps,
		"params.l.map(x, params.big.replace('a', 'b'))":                                    steps,
		"params.l.map(x, params.big.split('b'))":                                           steps,
		"params.l.map(x, params.big.substring(0, 65536))":                                  steps,
		"params.l.map(x, params.big.contains('b'))":                                        steps,
		"params.big.replace('a', 'aa')":                                                    "replace() would yield 131072 bytes",
		"params.big.replace('', 'aa')":                                                     "replace() would yield",
		"params.big.split('')":                                                             "split() yields more than 1000 parts",
		"(params.big + params.big).upper()":                                                "takes strings of at most 65536 bytes",
		"[params.big, params.big].join('')":                                                "join() would yield more than 65536 bytes",
		"params.l.map(x, string(x)).join(params.big)":                                      "join() would yield more than 65536 bytes",
		"params.l.all(x, params.big.matches('(a*)*b') || true)":                            steps,
		"params.big.matches('((((a{1,30}){1,30})|b)*)*c')":                                 "too complex for a text of 65536 bytes",
		"params.l.all(x, params.big.matches('(?:a{1,5}|c)*$') || true)":                    steps,
		"'a'.matches('" + strings.Repeat("a{1000}", 36) + "')":                             "too complex",
		"'a'.matches('((a{100}){10}){1000}')":                                              "bad regular expression",
		"params.l.all(x, 'a'.matches('" + strings.Repeat("(?:a|b){9}", 25) + "') || true)": steps,
		"'a'.matches(params.big)":                                                          "at most 256 are allowed",
	}
}

// The bounds of a hostile expression: some ten times what each takes, so that
// a slow machine does not matter, and a missing bound does.
func TestHostileExpressionsStop(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = int64(i)
	}
	s := &Scope{Params: Values{"l": list, "big": strings.Repeat("a", valueBytesMax)}}
	for source, want := range hostileExpressions() {
		name := source
		if len(name) > 80 {
			name = name[:80]
		}
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			message := ""
			if e, fault := compileExpression(source); fault != nil {
				message = fault.Message
			} else if v, fault := e.eval(s); fault != nil {
				message = fault.Message
			} else {
				t.Errorf("it yields %.60v", v)
			}
			runtime.ReadMemStats(&after)
			if !strings.Contains(message, want) {
				t.Errorf("got %q, want %q in it", message, want)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20 {
				t.Errorf("it made %d MiB of garbage", made>>20)
			}
		})
	}
}

// What people write is far from the bounds.
func TestOrdinaryExpressionsAreWithinBounds(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = "item"
	}
	s := &Scope{Params: Values{"l": list, "x": "cn", "big": strings.Repeat("a", valueBytesMax)}}
	for _, source := range []string{
		"params.x == 'a'" + strings.Repeat(" || params.x == 'bc'", 60) + " || true",
		"'a'" + strings.Repeat(" + params.x", 25) + " != ''",
		"params.l.exists(i, i == 'none') || params.l.all(i, i.startsWith('it'))",
		"size(params.l.map(i, i.upper())) == 1000",
		"params.big.matches('^a*$')",
		"size(params.big.replace('a', 'b')) == 65536",
		"params.x in ['" + strings.Repeat("de', '", 300) + "cn']",
	} {
		c, err := CompileCondition(source)
		if err != nil {
			t.Errorf("%.60s: %v", source, err)
			continue
		}
		if ok, err := c.Eval(s); err != nil || !ok {
			t.Errorf("%.60s: %v, %v", source, ok, err)
		}
	}
}

// The sandbox: whatever the language offers is on this list, so that a new
// version of the library does not bring in a way out unseen.
func TestLanguageOffersOnlyWhatIsListed(t *testing.T) {
	want := []string{
		"!_", "-_", "@in", "@not_strictly_false", "_!=_", "_%_", "_&&_", "_*_", "_+_", "_-_", "_/_", "_<=_", "_<_", "_==_",
		"_>=_", "_>_", "_?_:_", "_[_]", "_||_", "bool", "bytes", "contains", "double", "dyn", "endsWith", "int", "join", "lower",
		"matches", "replace", "size", "split", "startsWith", "string", "substring", "trim", "type", "uint", "upper",
	}
	var got []string
	for _, name := range sorted(language.Functions()) {
		if name != "__not_strictly_false__" && name != "in" && name != "_in_" { // older names of two of them
			got = append(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
	var variables []string
	for _, v := range language.Variables() {
		variables = append(variables, v.Name())
	}
	if diff := cmp.Diff([]string{"params", "tasks", "run", "task"}, variables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

// One compiled text may be evaluated by many at once.
func TestTextIsSafeForConcurrentUse(t *testing.T) {
	text, err := CompileText("${{ params.region + tasks.extract.outputs.rows + string(task.attempt) }} '${{ [1, 2].map(x, x + params.n) }}'")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	for range 4 {
		go func() {
			last := ""
			for range 200 {
				got, err := text.Eval(scope())
				if err != nil {
					got = err.Error()
				}
				last = got
			}
			done <- last
		}()
	}
	for range 4 {
		if got := <-done; got != "cn422 '[4,5]'" {
			t.Errorf("got %q", got)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := CompileText("${{ tasks.extract.outputs.rows }} rows for ${{ params.region }}"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	text, err := CompileText("${{ tasks.extract.outputs.rows }} rows for ${{ params.region }}")
	if err != nil {
		b.Fatal(err)
	}
	s := scope()
	for b.Loop() {
		if _, err := text.Eval(s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLanguage is what every start of the program pays, once.
func BenchmarkLanguage(b *testing.B) {
	for b.Loop() {
		mustLanguage()
	}
}

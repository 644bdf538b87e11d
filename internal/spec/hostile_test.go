package spec

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestHostile gives Parse what is made to hurt. Each file is refused, with the
// reason, and without costing much more memory than it has bytes.
func TestHostile(t *testing.T) {
	bomb := func(levels int) string {
		var b strings.Builder
		b.WriteString("name: x\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n")
		for i := 1; i <= levels; i++ {
			alias := fmt.Sprintf("*l%d", i-1)
			fmt.Fprintf(&b, "l%d: &l%d [%s]\n", i, i, strings.Join([]string{alias, alias, alias, alias, alias, alias, alias, alias, alias, alias}, ", "))
		}
		return b.String()
	}
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("name: x\nl0: &l0 [x]\n")
		for i := 1; i <= n; i++ {
			fmt.Fprintf(&b, "l%d: &l%d [*l%d]\n", i, i, i-1)
		}
		return b.String()
	}
	many := func(n int) string {
		var b strings.Builder
		b.WriteString("name: x\ntasks:\n")
		for i := range n {
			fmt.Fprintf(&b, "  t%d: {noop: true}\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ src, want string }{
		"alias bomb of 9 levels":     {bomb(9), "the aliases of this file stand for more than"},
		"chain of 1,000 aliases":     {chain(1000), "nested deeper than"},
		"text repeated by aliases":   {"name: x\nenv:\n  A: &a " + strings.Repeat("x", textMax) + "\n" + repeat("  A%d: *a\n", 40), "the aliases of this file stand for more than"},
		"merges of merges":           {"name: x\na: &a {b: c}\nd: &d {<<: [" + strings.Repeat("*a, ", 9000) + "*a]}\ntasks: {a: {<<: [*d, *d], run: a}}\n", "the aliases of this file stand for more than"},
		"10,000 brackets":            {"name: x\nl: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "nested deeper than"},
		"10,000 open braces":         {"name: x\nl: " + strings.Repeat("{a: ", 10_000), "nested deeper than"},
		"10,000 dashes":              {strings.Repeat("- ", 10_000) + "x", "nested deeper than"},
		"10,000 indented keys":       {indented(10_000), "nested deeper than"},
		"text of 10 MB":              {"name: x\ntasks: {a: {run: \"" + strings.Repeat("x", 10<<20) + "\"}}", "a text of 10485760 bytes"},
		"key of 10 MB":               {"name: x\n? " + strings.Repeat("x", 10<<20) + "\n: y\n", "a text of 10485760 bytes"},
		"100,001 tasks":              {many(tasksMax + 1), "there are 100001 tasks, at most 100000 are allowed"},
		"cycle of 10,000 tasks":      {"name: x\ntasks:\n  t0: {noop: true, needs: t9999}\n" + ring(10_000), "cycle: "},
		"1,001 parameters":           {"name: x\nparams:\n" + repeat("  p%d: x\n", paramsMax+1) + "tasks: {a: {noop: true}}", "there are 1001 parameters"},
		"too many bytes":             {strings.Repeat("#", sourceMax+1), "at most 33554432 are read"},
		"too many values":            {"name: [" + strings.Repeat("a,", separatorsMax) + "]", "separate values"},
		"100,000 unknown keys":       {repeat("k%d: x\n", 100_000), "and 99902 more from here on"},
		"long directory in defaults": {"name: x\ndefaults: {dir: " + strings.Repeat("x", pathMax+1) + "}\ntasks: {a: {run: a}}", "longer than 4096 bytes"},
		"long unknown key":           {"name: x\n? " + strings.Repeat("n", 1<<19) + "\n: y\n", `unknown key "nnnnnnnnnn`},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse("hostile.yaml", []byte(c.src))
			runtime.ReadMemStats(&after)
			var faults Errors
			if !errors.As(err, &faults) {
				t.Fatalf("not refused: %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300s\nwant %s", err, c.want)
			}
			if len(err.Error()) > 100_000 || len(faults) > errorsMax+1 {
				t.Errorf("%d faults in %d bytes", len(faults), len(err.Error()))
			}
			// A tree of YAML nodes has about 100 bytes for each of the file.
			if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(len(c.src))*500+16<<20 {
				t.Errorf("%d bytes allocated for a file of %d", cost, len(c.src))
			}
		})
	}
}

// TestLimitsAllow parses what is just below the limits.
func TestLimitsAllow(t *testing.T) {
	w := mustParse(t, "tasks.yaml", largeWorkflow(2000))
	if len(w.Tasks) != 2000 {
		t.Errorf("%d tasks", len(w.Tasks))
	}
	w = mustParse(t, "text.yaml", []byte("name: x\ntasks: {a: {run: "+strings.Repeat("x", textMax)+"}}"))
	if !strings.Contains(string(w.Tasks[0].Config), "xxx") {
		t.Error("the script is gone")
	}
	mustParse(t, "aliases.yaml", []byte("name: x\ntasks:\n  a: &a {run: echo a}\n"+repeat("  b%d: *a\n", 3000)))
}

// TestManyFaults: thousands of tasks with a fault each are not searched for
// one another, and are cut off with a count.
func TestManyFaults(t *testing.T) {
	for name, src := range map[string]string{
		"keys and needs": "name: x\ntasks:\n" + repeat("  t%d: {needs: [nobody], retyr: 3}\n", 5_000),
		"expressions":    "name: x\ntasks:\n" + repeat("  t%d: {run: \"echo ${{ params.p%[1]d + }}\"}\n", 1_000),
	} {
		_, err := Parse("faults.yaml", []byte(src))
		var faults Errors
		if !errors.As(err, &faults) || len(faults) != errorsMax+1 {
			t.Fatalf("%s: %.500v", name, err)
		}
		if last := faults[errorsMax].Message; !strings.HasPrefix(last, "and ") {
			t.Errorf("%s: last: %s", name, last)
		}
	}
}

// repeat writes a line n times, with a number in it.
func repeat(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// ring is t1 to t(n-1), each after the one before.
func ring(n int) string {
	var b strings.Builder
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  t%d: {noop: true, needs: t%d}\n", i, i-1)
	}
	return b.String()
}

func indented(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", min(i, 200)) + "k:\n")
		if i == 200 {
			break
		}
	}
	return b.String()
}

// largeWorkflow is a file of n tasks as people write them.
func largeWorkflow(n int) []byte {
	var b strings.Builder
	b.WriteString("name: large\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "  task-%d:\n    run: |\n      echo %d\n      sleep 1\n    retry: {limit: 3, delay: 10s}\n", i, i)
		if i > 0 {
			fmt.Fprintf(&b, "    needs: [task-%d]\n", i/2)
		}
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		src := largeWorkflow(n)
		b.Run(fmt.Sprintf("tasks=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("large.yaml", src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/task")
		})
	}
}

package spec

import (
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// FuzzParse holds the laws of Parse for any file: it does not panic, it does
// not take long, what it refuses it refuses with positions, and what it
// accepts Format writes back as the same workflow.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/broken/*.yaml", "../../examples/*.yaml", "../../examples/*/*.yaml"} {
		all, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range all {
			f.Add(read(f, file))
		}
	}
	for _, src := range []string{
		"name: x\ntasks: {a: {run: \"\\u202e\\x85\\uFEFF\\u2028 \\t\\r\"}}",
		"name: x\ntasks: {a: {noop: {outputs: {\" a\\n\": \"|\", \"\": '', \"- b\": \"? c\"}}}}",
		"name: x\nparams: {a: -0.0, b: 1e21, c: 1e-7, d: [1.0, [], {}], e: {type: map, default: {\"\": ~x}}}\ntasks: {a: {noop: }}",
		"name: x\ntasks: {a: {run: |+\n  a\n\n\n, b: {noop: true}}",
		"name: x\ntasks:\n  a:\n    run: |2\n        a\n       b\n  b: {run: >\n   a\n\n   b}\n",
		"name: x\ntasks: {a: {sleep: 1.5d3h2m1s4ms}, b: {noop: true, delay: .5s, grace: 0}}",
		"name: x\ntasks: [{name: a, noop: true}, {<<: &b {noop: true}, name: b}, {<<: *b, name: c}]",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 64<<10 {
			return
		}
		begin := time.Now()
		w, err := Parse("fuzz.yaml", src)
		if took := time.Since(begin); took > 10*time.Second { // generous: a fuzzing machine is a busy one
			t.Fatalf("%d bytes took %s", len(src), took)
		}
		if err != nil {
			checkErrors(t, err)
			return
		}
		checkFormat(t, w)
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	var faults Errors
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("an error without positions: %v", err)
	}
	for _, e := range faults {
		if e.File != "fuzz.yaml" || e.Line < 1 || e.Column < 1 || e.Message == "" {
			t.Fatalf("an error without a position: %+v", e)
		}
	}
}

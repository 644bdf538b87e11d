package param

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	defs := []Def{
		{Name: "region", Type: String, Default: "cn", Enum: []any{"cn", "de"}},
		{Name: "limit", Type: Int, Required: true},
		{Name: "rate", Type: Float, Default: 1},
		{Name: "dry", Type: Bool},
		{Name: "files", Type: List},
		{Name: "labels", Type: Map},
		{Name: "token", Type: Int, Secret: true},
	}
	tests := []struct {
		name  string
		given map[string]any
		want  Values
		err   []string
	}{
		{"defaults", map[string]any{"limit": 5}, Values{"region": "cn", "limit": int64(5), "rate": 1.0}, nil},
		{
			"texts are read by their declared type",
			map[string]any{"region": "de", "limit": " 7 ", "rate": "2.5", "dry": "true", "files": `["a", 1]`, "labels": `{"k": 1.5}`},
			Values{
				"region": "de", "limit": int64(7), "rate": 2.5, "dry": true,
				"files": []any{"a", int64(1)}, "labels": map[string]any{"k": 1.5},
			},
			nil,
		},
		{
			"JSON numbers that are whole become ints",
			map[string]any{"limit": float64(1 << 53), "rate": json.Number("3"), "files": []string{"a"}},
			Values{"region": "cn", "limit": int64(1 << 53), "rate": 3.0, "files": []any{"a"}},
			nil,
		},
		{"null is not given", map[string]any{"limit": 1, "region": nil}, Values{"region": "cn", "limit": int64(1), "rate": 1.0}, nil},
		{
			"all problems at once, declared ones first",
			map[string]any{"regoin": "x", "zzzzzz": 1, "region": "us", "rate": "fast", "dry": 1},
			nil,
			[]string{
				`region: parameter "region": "us" is not allowed: use one of "cn", "de"`,
				`limit: parameter "limit" is required: give it a value`,
				`rate: parameter "rate": expected a float, got "fast"`,
				`dry: parameter "dry": expected true or false, got the int 1`,
				`regoin: unknown parameter "regoin": did you mean "region"?`,
				`zzzzzz: unknown parameter "zzzzzz": the workflow has region, limit, rate, dry, files, labels, token`,
			},
		},
		{"half an int", map[string]any{"limit": 1.5}, nil, []string{`limit: parameter "limit": expected an int, got the float 1.5`}},
		{"an int of another range", map[string]any{"limit": "9223372036854775808"}, nil, []string{`limit: parameter "limit": "9223372036854775808" does not fit in 64 bits`}},
		{"a float that is no number", map[string]any{"limit": 1, "rate": "NaN"}, nil, []string{`rate: parameter "rate": expected a float, got "NaN"`}},
		{"broken JSON", map[string]any{"limit": 1, "files": "[1"}, nil, []string{`files: parameter "files": expected a list written as JSON, got "[1"`}},
		{"JSON of another type", map[string]any{"limit": 1, "files": `{"a": 1}`}, nil, []string{`files: parameter "files": expected a list, got a map`}},
		{"two JSON values", map[string]any{"limit": 1, "files": "[1] [2]"}, nil, []string{`files: parameter "files": expected a list written as JSON, got "[1] [2]"`}},
		{"a string with NUL", map[string]any{"limit": 1, "region": "a\x00"}, nil, []string{`region: parameter "region": the text contains a NUL byte`}},
		{"a secret is not shown", map[string]any{"limit": 1, "token": "hunter2"}, nil, []string{`token: parameter "token": the value given is not an int that is allowed (it is secret, and not shown)`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Resolve(defs, test.given)
			var lines []string
			if problems := (*Errors)(nil); errors.As(err, &problems) {
				for _, p := range problems.Problems {
					lines = append(lines, p.Name+": "+p.Message)
				}
			} else if err != nil {
				t.Fatalf("error is a %T: %v", err, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.err, lines); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResolveBoundsSizes(t *testing.T) {
	long := strings.Repeat("x", valueBytesMax)
	if _, err := Resolve([]Def{{Name: "a", Type: String}}, map[string]any{"a": long}); err != nil {
		t.Errorf("a value of exactly %d bytes: %v", len(long), err)
	}
	if _, err := Resolve([]Def{{Name: "a", Type: String}}, map[string]any{"a": long + "x"}); err == nil || !strings.Contains(err.Error(), "65537 bytes long") {
		t.Errorf("a value of one byte more: %v", err)
	}
	var defs []Def
	given := map[string]any{}
	for i := range 9 {
		name := string(rune('a' + i))
		defs = append(defs, Def{Name: name, Type: String})
		given[name] = long
	}
	if _, err := Resolve(defs, given); err == nil || !strings.Contains(err.Error(), "bytes together") {
		t.Errorf("nine values of %d bytes: %v", len(long), err)
	}
	deep := any("x")
	for range valueDepthMax + 2 {
		deep = []any{deep}
	}
	if _, err := Resolve([]Def{{Name: "a", Type: List}}, map[string]any{"a": deep}); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("a deep list: %v", err)
	}
}

func TestCheckDef(t *testing.T) {
	tests := []struct {
		def  Def
		want []string
	}{
		{Def{Name: "a", Type: String}, nil},
		{Def{Name: "_a9", Type: Int, Default: 3.0, Enum: []any{1, 3}}, nil},
		{Def{Name: "", Type: String}, []string{"a parameter has no name: use a letter or _, then letters, digits and _"}},
		{Def{Name: "9a", Type: String}, []string{`bad name "9a": use a letter or _, then letters, digits and _`}},
		{Def{Name: "a-b", Type: String}, []string{`bad name "a-b": use a letter or _, then letters, digits and _`}},
		{Def{Name: "größe", Type: String}, []string{`bad name "größe": use a letter or _, then letters, digits and _`}},
		{Def{Name: "in", Type: String}, []string{`bad name "in": the word is taken by the language of expressions`}},
		{Def{Name: strings.Repeat("a", 129), Type: String}, []string{"the name is 129 bytes long: at most 128"}},
		{Def{Name: "a", Type: "number"}, []string{`unknown type "number": use one of string, int, float, bool, list, map`}},
		{Def{Name: "a", Type: Int, Default: "3"}, []string{`default: expected an int, got the string "3"`}},
		{Def{Name: "a", Type: Int, Default: 3, Required: true}, []string{"a required parameter cannot have a default: remove one of the two"}},
		{Def{Name: "a", Type: String, Default: "z", Enum: []any{"x", "y"}}, []string{`default: "z" is not in enum: use one of "x", "y"`}},
		{Def{Name: "a", Type: Int, Enum: []any{"x", 1, 1.0}}, []string{`enum value 1: expected an int, got the string "x"`, "enum value 3: 1 is there twice"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, CheckDef(test.def)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.def, diff)
		}
	}
}

// A name that CheckDef takes can be written in an expression and as a variable
// of the environment.
func TestCheckDefTakesWhatExpressionsCanName(t *testing.T) {
	for _, name := range []string{"a", "A_1", "if", "for", "let", "namespace", "task", "params", "size", "null", "true", "in", "false"} {
		_, err := CompileText("${{ params." + name + " }}")
		if ok := len(CheckDef(Def{Name: name, Type: String})) == 0; ok != (err == nil) {
			t.Errorf("%s: allowed as a name %v, but in an expression: %v", name, ok, err)
		}
	}
}

func TestNormal(t *testing.T) {
	tests := []struct {
		t    Type
		v    any
		want any
	}{
		{Int, 5, int64(5)},
		{Int, uint64(5), int64(5)},
		{Int, uint8(5), int64(5)},
		{Int, json.Number("5"), int64(5)},
		{Float, 5, 5.0},
		{Float, float32(0.5), 0.5},
		{List, []int{1, 2}, []any{int64(1), int64(2)}},
		{List, []any{nil, json.Number("0.5")}, []any{nil, 0.5}},
		{Map, map[any]any{"a": 1}, map[string]any{"a": int64(1)}},
		{Map, map[string]string{"a": "b"}, map[string]any{"a": "b"}},
		{String, "s", "s"},
		{Bool, true, true},
	}
	for _, test := range tests {
		got, err := Normal(test.t, test.v)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("Normal(%s, %#v) = %#v, %v; want %#v", test.t, test.v, got, err, test.want)
		}
	}
	for _, v := range []any{map[any]any{1: 2}, uint64(1 << 63), []byte("x"), struct{}{}, nil, map[string]any{"k": []any{"\xff"}}} {
		if got, err := Normal(Map, v); err == nil {
			t.Errorf("Normal(map, %#v) = %#v, want an error", v, got)
		}
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		v    any
		want string
	}{
		{"a\nb", "a\nb"},
		{int64(-7), "-7"},
		{2.0, "2"},
		{0.1, "0.1"},
		{123456789.5, "123456789.5"},
		{1e20, "1e+20"},
		{1e-9, "1e-09"},
		{true, "true"},
		{nil, "null"},
		{[]any{int64(1), "<a>&\n", nil, 0.5}, `[1,"<a>&\n",null,0.5]`},
		{map[string]any{"b": int64(1), "a": []any{}}, `{"a":[],"b":1}`},
	}
	for _, test := range tests {
		if got := Format(test.v); got != test.want {
			t.Errorf("Format(%#v) = %q, want %q", test.v, got, test.want)
		}
	}
}

func TestEnvName(t *testing.T) {
	for name, want := range map[string]string{"region": "PARAM_REGION", "a_b9": "PARAM_A_B9", "x-y.z": "PARAM_X_Y_Z"} {
		if got := EnvName(name); got != want {
			t.Errorf("EnvName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"timeout", "retry", "needs", "region", "when", "env"}
	tests := map[string]string{
		"regoin": "region", "Region": "region", "timeuot": "timeout", "need": "needs", "evn": "env",
		"xyz": "", "": "", "completely_other": "", "q": "",
	}
	for name, want := range tests {
		got, ok := Nearest(name, known)
		if got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
	if got, _ := Nearest("ba", []string{"bb", "ab", "bc"}); got != "ab" {
		t.Errorf("of equally near names the first in order is meant, got %q", got)
	}
	if got, ok := Nearest("b", []string{"a", "c"}); ok {
		t.Errorf("one letter is not a slip for another, got %q", got)
	}
	if got, _ := Nearest("b", []string{"a", "B"}); got != "B" {
		t.Errorf("one letter in the other case, got %q", got)
	}
	if got, ok := Nearest(strings.Repeat("a", 10_000), []string{strings.Repeat("a", 9_999)}); ok {
		t.Errorf("a name of 10,000 letters is nobody's typing, got %q", got)
	}
}

package task

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTypes_SayHowTheyAreCarriedOut(t *testing.T) {
	for _, kind := range Types() {
		ways := 0
		if _, ok := kind.(Process); ok {
			ways++
		}
		if _, ok := kind.(Function); ok {
			ways++
		}
		if _, ok := kind.(Instant); ok {
			ways++
		}
		if ways != 1 {
			t.Errorf("type %s is carried out in %d ways, want 1", kind.Name(), ways)
		}
		if found, ok := Lookup(kind.Name()); !ok || found != kind {
			t.Errorf("type %s is not found by its name", kind.Name())
		}
		if of := reflect.TypeOf(kind.Config()); of.Kind() != reflect.Pointer || of.Elem().Kind() != reflect.Struct {
			t.Errorf("the settings of type %s are a %s, want a pointer to a struct", kind.Name(), of)
		}
		if kind.Summary() == "" {
			t.Errorf("type %s has no summary", kind.Name())
		}
	}
	if _, ok := Lookup("teleport"); ok {
		t.Error("found a type that does not exist")
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		kind, config string
		want         []string
	}{
		"Shell":             {TypeShell, `{"script":"true"}`, nil},
		"EmptyScript":       {TypeShell, `{"script":" \n"}`, []string{"script: is empty; write the commands to run"}},
		"NoInterpreter":     {TypeShell, `{"script":"x","interpreter":[""]}`, []string{"interpreter[0]: is empty; write the name of a program, as python3"}},
		"NUL":               {TypeShell, `{"script":"a\u0000","dir":"\u0000"}`, []string{"script: contains a NUL character, which no interpreter takes", "dir: contains a NUL character"}},
		"WrongKind":         {TypeShell, `{"script":1}`, []string{"script: wants string, not number"}},
		"UnknownKey":        {TypeShell, `{"scrip":"true"}`, []string{`: read settings: json: unknown field "scrip"`}},
		"HTTP":              {TypeHTTP, `{"url":"https://example.com","expect":["2xx","404","200-204"],"outputs":{"a":"json:x[0].y","b":"header:Date"},"timeout":"1s"}`, nil},
		"NoURL":             {TypeHTTP, `{}`, []string{"url: is empty; write an address, as https://example.com/hook"}},
		"OtherScheme":       {TypeHTTP, `{"url":"file:///etc/passwd"}`, []string{`url: "file:///etc/passwd" is not an address; it has to begin with http:// or https:// and name a host`}},
		"Expression":        {TypeHTTP, `{"url":"${{ params.url }}","expect":["${{ x }}"],"headers":{"A":"${{ x }}"}}`, nil},
		"Everything":        {TypeHTTP, `{"url":"http://h","method":"get","expect":["2xx","6xx"],"headers":{"B C":"x","A":"x\n"},"outputs":{"a":"cookie"},"timeout":"-1s"}`, []string{`method: "get" is not a method; write it in capitals, as GET or POST`, "headers.A: the value holds a line break or a NUL character", `headers.B C: "B C" is not a header name`, `expect[1]: "6xx" is not a status; write 200, 2xx or 200-204`, `outputs.a: "cookie" is not known; write status, body, header:NAME, or json:PATH as json:items[0].id`, `timeout: "-1s" is negative`}},
		"Sleep":             {TypeSleep, `{"for":"1m30s"}`, nil},
		"SleepExpression":   {TypeSleep, `{"for":"${{ params.wait }}"}`, nil},
		"SleepNothing":      {TypeSleep, `{}`, []string{"for: is empty; write a duration, as 30s or 1m30s"}},
		"SleepNoDuration":   {TypeSleep, `{"for":"soon"}`, []string{`for: "soon" is not a duration; write it as 500ms, 30s or 1m30s`}},
		"Noop":              {TypeNoop, `{"outputs":{"a":"b"}}`, nil},
		"NoopWithoutConfig": {TypeNoop, ``, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _ := Lookup(c.kind)
			var got []string
			for _, p := range kind.Check(json.RawMessage(c.config)) {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShell_HandsTheScriptOver(t *testing.T) {
	long := strings.Repeat("x", inlineMax+1)
	for name, c := range map[string]struct {
		config Shell
		want   Command
	}{
		"Default":       {Shell{Script: "a", Dir: "/d"}, Command{Argv: []string{"sh", "-e", "-c", "a"}, Dir: "/d"}},
		"Options":       {Shell{Script: "a", Interpreter: []string{"/bin/bash", "-euo", "pipefail"}}, Command{Argv: []string{"/bin/bash", "-euo", "pipefail", "-c", "a"}}},
		"LongOption":    {Shell{Script: "a", Interpreter: []string{"bash", "--norc", "-e"}}, Command{Argv: []string{"bash", "--norc", "-e", "-c", "a"}}},
		"OptionAlone":   {Shell{Script: "a", Interpreter: []string{"bash", "-o"}}, Command{Argv: []string{"bash", "-o"}, Script: "a"}},
		"ShellArgument": {Shell{Script: "a", Interpreter: []string{"sh", "wrapper"}}, Command{Argv: []string{"sh", "wrapper"}, Script: "a"}},
		"LongScript":    {Shell{Script: long}, Command{Argv: []string{"sh", "-e"}, Script: long}},
		"Python":        {Shell{Script: "a", Interpreter: []string{"python3", "-u"}}, Command{Argv: []string{"python3", "-u"}, Script: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := json.Marshal(c.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := shellType{}.Command(config)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestNoop(t *testing.T) {
	if got := (noopType{}).At([]byte(`{"outputs":{"a":"b"}}`)); got.Outputs["a"] != "b" || got.Failure != "" {
		t.Errorf("%+v", got)
	}
	if got := (noopType{}).At([]byte(`{"output":{}}`)); got.Failure == "" {
		t.Error("a key that nobody reads is a mistake")
	}
}

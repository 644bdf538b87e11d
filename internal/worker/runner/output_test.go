package runner

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/flow"
)

func TestParseOutputs(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want flow.Outputs
	}{
		"Nothing":     {"", nil},
		"Line":        {"rows=42\n", flow.Outputs{"rows": "42"}},
		"NoLineBreak": {"rows=42", flow.Outputs{"rows": "42"}},
		"EmptyValue":  {"rows=\n", flow.Outputs{"rows": ""}},
		"Equals":      {"q=a=b<<c\n", flow.Outputs{"q": "a=b<<c"}},
		"LastCounts":  {"a=1\n\na=2\n", flow.Outputs{"a": "2"}},
		"Lines":       {"text<<END\none=1\n\ntwo\nEND\na=b\n", flow.Outputs{"text": "one=1\n\ntwo", "a": "b"}},
		"NoLines":     {"text<<END\nEND\n", flow.Outputs{"text": ""}},
		"Less":        {"a=<b\n", flow.Outputs{"a": "<b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseOutputs(c.text)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestParseOutputs_SaysWhatIsWrong(t *testing.T) {
	var many strings.Builder
	for i := range outputCountMax + 1 {
		many.WriteString("n" + strconv.Itoa(i) + "=\n")
	}
	var large strings.Builder
	for i := range 5 {
		large.WriteString("n" + strconv.Itoa(i) + "=" + strings.Repeat("x", outputValueMax) + "\n")
	}
	for name, c := range map[string]struct{ text, want string }{
		"NoEquals":  {"a=1\nhello\n", `outputs, line 2: "hello" is not an output; write it as name=value`},
		"BadName":   {"1a=1\n", `outputs, line 1: "1a" is not a name; it has to begin with a letter and consist of letters, digits, _ and -`},
		"NoName":    {"=1\n", `outputs, line 1: "" is not a name; it has to begin with a letter and consist of letters, digits, _ and -`},
		"NoEnd":     {"\na<<END\nx\n", `outputs, line 2: no line "END" ends the value of a`},
		"NoWord":    {"a<< \n", `outputs, line 1: a word is missing after <<; write it as name<<END`},
		"NUL":       {"a=\x00\n", "outputs, line 1: the value of a is not text in UTF-8"},
		"NotText":   {"a=\xff\n", "outputs, line 1: the value of a is not text in UTF-8"},
		"LongValue": {"a=" + strings.Repeat("x", outputValueMax+1), "outputs, line 1: the value of a takes 65537 bytes; at most 65536 are allowed: write it to a file and pass its name on"},
		"Many":      {many.String(), "outputs: 1001 of them; at most 1000 are allowed"},
		"Large":     {large.String(), "outputs: they take 327690 bytes; at most 262144 are allowed: write them to a file and pass its name on"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseOutputs(c.text); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func FuzzParseOutputs(f *testing.F) {
	for _, s := range []string{"a=1\n", "a<<E\nx\nE\n", "a<<E", "<<", "=", "a=<", "\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		outputs, err := parseOutputs(text)
		if err != nil {
			return
		}
		if err := checkOutputs(outputs); err != nil {
			t.Errorf("accepted, although %v", err)
		}
	})
}

func TestOutputs_AreReadAfterSuccessOnly(t *testing.T) {
	w := newWorker(t, Config{})
	if o := w.shell(`echo a=1 >>"$SEMEL_OUTPUT"; exit 1`); o.Outputs != nil {
		t.Errorf("%+v: a failed attempt has no outputs", o)
	}
	if o := w.shell(`ln -sf /etc/passwd "$SEMEL_OUTPUT"`); o.Result != flow.Failed {
		t.Errorf("%+v: outputs must not be read through a link", o)
	}
}

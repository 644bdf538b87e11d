package param

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostile are values that would do harm if any part of them became code.
var hostile = []string{
	"plain",
	"",
	" two  words ",
	"'", `"`, "`", `\`, "$", "$HOME ${HOME}", "! # ~ * } { ) ( ;", "EOF\ntouch x\nEOF",
	"'; touch x; '", `"; touch x; "`, "; touch x", "&& touch x", "$(touch x)", "`touch x`", "x\ntouch x\n", "\r\ntouch x",
	`'"'"'$(touch x)'"'"'`, `"'$(touch x)'"`, "${x:-$(touch x)}", "a[$(touch x)]", "<(touch x) > x",
	"größe 漢字 🙂 \u202e\u2028", "a\tb\x01\x7f", "-n", "%s%n",
}

// quoting are scripts that print the value of one expression, and nothing
// else, between marks.
var quoting = map[string]string{
	"double quotes":                     `printf '<%s>' "${{ params.v }}"`,
	"double quotes, within a word":      `printf '%s' "<${{ params.v }}>"`,
	"single quotes":                     `printf '<%s>' '${{ params.v }}'`,
	"single quotes, within a word":      `printf '%s' '<${{ params.v }}>'`,
	"assignment":                        `v=${{ params.v }}; printf '<%s>' "$v"`,
	"assignment of a command":           `v=$(printf '%sx' "${{ params.v }}"); printf '<%s>' "${v%x}"`,
	"command in double quotes":          `printf '%s' "<$(printf '%s' '${{ params.v }}'; printf x)" | sed '$s/x$/>/' | tr -d '\000'`,
	"backquotes":                        "v=`printf '%sx' \"${{ params.v }}\"`; printf '<%s>' \"${v%x}\"",
	"default of a variable":             `printf '<%s>' "${NOTHING:-${{ params.v }}}"`,
	"default, quoted within":            `printf '<%s>' ${NOTHING:-"${{ params.v }}"}`,
	"here-document":                     "cat <<EOF\n<${{ params.v }}>\nEOF\n",
	"here-document, indented delimiter": "cat <<-EOF\n<${{ params.v }}>\n\tEOF\n",
	"here-document with quotes in it":   "cat <<EOF\n<${{ params.v }}>\nEOF\nprintf '%s' \"\"",
	"here-document, then quotes":        "cat <<EOF >/dev/null\nit's \" fine\nEOF\nprintf '<%s>' '${{ params.v }}'",
	"quoted here-document before":       "cat <<'EOF' >/dev/null\n$( ` ' \"\nEOF\nprintf '<%s>' \"${{ params.v }}\"",
	"two here-documents":                "cat <<A >/dev/null; cat <<B\n'\nA\n<${{ params.v }}>\nB\n",
	"here-document in a command":        "v=$(cat <<EOF\n${{ params.v }}x\nEOF\n); printf '<%s>' \"${v%x}\"",
	"after a comment with a quote":      "# don't ${{ params.v }}\nprintf '<%s>' '${{ params.v }}'",
	"after a hash within a word":        "printf '' a#'b'; printf '<%s>' '${{ params.v }}'",
	"after $#":                          "printf '' $#; printf '<%s>' '${{ params.v }}'",
	"after ${#x}":                       "x=1; printf '' ${#x} \"${x#'a'}\"; printf '<%s>' '${{ params.v }}'",
	"after an escaped quote":            `printf '' \'; printf '<%s>' '${{ params.v }}'`,
	"after an escaped quote in quotes":  `printf '' "\"'"; printf '<%s>' '${{ params.v }}'`,
	"after a continued line":            "printf \\\n'<%s>' '${{ params.v }}'",
	"after case in a command":           "v=$(case a in a) echo \"it's\";; (b) ;; esac); printf '<%s>' '${{ params.v }}'",
	"case in a quoted command":          "printf '' \"$(case a in a) echo 'b';; esac)\"; printf '<%s>' '${{ params.v }}'",
	"the word case as an argument":      "v=$(echo case); printf '<%s>' '${{ params.v }}'",
	"after a subshell":                  "(cd . && printf '' \"(\"); printf '<%s>' '${{ params.v }}'",
	"function":                          "f() { printf '<%s>' \"$1\"; }\nf '${{ params.v }}'",
	"after arithmetic":                  "x=$(( (1 << 2) + 1 )); printf '<%s>' '${{ params.v }}'",
	"twice":                             "[ '${{ params.v }}' = \"${{ params.v }}\" ] && printf '<%s>' \"${{params.v}}\"",
	"quotes that are none, in braces":   `printf '%s' "${NOTHING:-<'${{ params.v }}'>}" | sed "s/^<'/</; s/'>\$/>/"`,
	"an expression that joins":          `printf '%s' "${{ '<' + params.v + '>' }}"`,
}

// TestScriptValuesNeverBecomeCode runs every way to quote with every hostile
// value, in a directory of its own: the output is the value, and no file is
// made.
func TestScriptValuesNeverBecomeCode(t *testing.T) {
	for _, sh := range shells(t) {
		for name, source := range quoting {
			t.Run(filepath.Base(sh)+"/"+name, func(t *testing.T) {
				text, err := CompileText(source)
				if err != nil {
					t.Fatal(err)
				}
				for _, value := range hostile {
					script, env, err := text.Script(&Scope{Params: Values{"v": value}}, 1)
					if err != nil {
						t.Fatalf("%q: %v", value, err)
					}
					out := strings.TrimSuffix(run(t, sh, script, env), "\n") // of a here-document
					if want := "<" + value + ">"; out != want {
						t.Errorf("value %q: got %q, want %q\n%s", value, out, want, script)
					}
				}
			})
		}
	}
}

// shells returns sh, and bash where it is there.
func shells(t *testing.T) []string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatalf("a test needs sh: %v", err)
	}
	found := []string{sh}
	if bash, err := exec.LookPath("bash"); err == nil {
		found = append(found, bash)
	}
	return found
}

// run runs a script in an empty directory, which must stay empty.
func run(t *testing.T, sh, script string, env []string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), sh, "-c", script)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere"}, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("script %q with %q: %v", script, env, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("script %q with %q made %s", script, env, entries[0].Name())
	}
	return string(out)
}

func TestScript(t *testing.T) {
	tests := []struct{ text, script, err string }{
		{"echo hi", "echo hi", ""},
		{"echo ${{ params.n }}-${{ params.region }}", "echo ${SEMEL_EXPR_7}-${SEMEL_EXPR_8}", ""},
		{"echo '${{ params.n }}'", `echo ''"${SEMEL_EXPR_7}"''`, ""},
		{"echo $'a\\'${{ params.n }}'", `echo $'a\''"${SEMEL_EXPR_7}"$''`, ""},
		{"echo $${{ params.n }} ${HOME} $(x) {{ }}", "echo ${{ params.n }} ${HOME} $(x) {{ }}", ""},
		{"a # ${{ params.n }} ${{\nparams.nothing\n}}\nb", "a # ${{params.n}} ${{params.nothing}}\nb", ""},
		{"a `b # ${{ params.n }}` '${{ params.n }}'", "a `b # ${{params.n}}` ''\"${SEMEL_EXPR_7}\"''", ""},
		{"echo $((${{ params.n }} + 1))", "echo $((${SEMEL_EXPR_7} + 1))", ""},
		{"(( x = ${{ params.n }} ))", "(( x = ${SEMEL_EXPR_7} ))", ""},
		{"echo $((${{ params.region }} + 1))", "", "the value of ${{ params.region }} is not a whole number: inside $(( )) a shell could run it"},
		{"echo ${{ params.region }} $(( ${{ params.region }} ))", "", "the value of ${{ params.region }} is not a whole number: inside $(( )) a shell could run it"},
		{"cat <<'EOF'\n${{ params.n }}\nEOF", "", "a quoted here-document expands nothing: write its delimiter without quotes, or read the variable PARAM_NAME in what it is given to"},
		{"cat <<\\EOF\n$(echo ${{ params.n }})\nEOF", "", "a quoted here-document expands nothing: write its delimiter without quotes, or read the variable PARAM_NAME in what it is given to"},
		{"cat <<'EOF'\nEOF\necho ${{ params.n }}", "cat <<'EOF'\nEOF\necho ${SEMEL_EXPR_7}", ""},
		{"cat <<E${{ params.n }}\n", "", "the delimiter of a here-document cannot hold an expression: use a fixed word"},
		{"echo \\${{ params.n }}", "", "a backslash stands before the expression: remove it, or write $${{ if ${{ is meant literally"},
		{"echo \"\\${{ params.n }}\"", "", "a backslash stands before the expression: remove it, or write $${{ if ${{ is meant literally"},
		{"echo \"\\\\${{ params.n }}\"", "echo \"\\\\${SEMEL_EXPR_7}\"", ""},
		{"echo '\\${{ params.n }}'", `echo '\'"${SEMEL_EXPR_7}"''`, ""},
		{"echo ${{ 'a\\u0000' }}", "", "the value of ${{ 'a\\u0000' }} cannot be used: the text contains a NUL byte"},
		{"echo \x00", "", "the script contains a NUL byte: no shell takes it"},
		{"echo " + strings.Repeat("$(", 200), "", "more than 100 quotes and parentheses are open in the script at once"},
		{"echo ${{ params.nothing }}", "", `there is no parameter "nothing": the run has dry, empty, f, list, map, n, region`},
	}
	for _, test := range tests {
		text, err := CompileText(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		script, env, err := text.Script(scope(), 7)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if script != test.script || message != test.err {
			t.Errorf("%q:\n got %q, %q\nwant %q, %q", test.text, script, message, test.script, test.err)
		}
		if err != nil && (script != "" || env != nil) {
			t.Errorf("%q: an error, and yet %q, %q", test.text, script, env)
		}
	}
}

func TestScriptEnv(t *testing.T) {
	text, err := CompileText("${{ params.region }} '${{ params.region }}' ${{ params.n }} # ${{ params.f }}")
	if err != nil {
		t.Fatal(err)
	}
	_, env, err := text.Script(scope(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"SEMEL_EXPR_3=cn", "SEMEL_EXPR_4=3"}, env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

func TestScriptBoundsValues(t *testing.T) {
	text, err := CompileText("echo ${{ params.v + 'x' }}")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = text.Script(&Scope{Params: Values{"v": strings.Repeat("x", valueBytesMax)}}, 1)
	if err == nil || !strings.Contains(err.Error(), "put it in a file and pass its path") {
		t.Errorf("a value of 64 KiB and a byte: %v", err)
	}
}

func TestLiteral(t *testing.T) {
	text, err := CompileText("print('${{ params.v }}')")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"", "cn", "2024-01-02 10:00:00", "/data/a.csv", "a@b.c:1+2=3,4", "größe漢字", "हिन्दी", "-1.5"} {
		got, err := text.Literal(&Scope{Params: Values{"v": value}})
		if err != nil || got != "print('"+value+"')" {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	safeAnyway := []string{"plain", "", " two  words ", "-n"}
	for _, value := range append(slices.Clone(hostile), "{x}", "a\\nb", "%(x)s", "\u2028", "🙂", "a;b") {
		if slices.Contains(safeAnyway, value) {
			continue
		}
		if got, err := text.Literal(&Scope{Params: Values{"v": value}}); err == nil {
			t.Errorf("%q: %q, want an error", value, got)
		}
	}
	_, err = text.Literal(&Scope{Params: Values{"v": "it's"}})
	want := `the value of ${{ params.v }} contains the character ', which could become code here: let the script read it from its environment, as os.environ["PARAM_V"] in Python`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if text, err = CompileText("x = ${{ tasks.extract.outputs.rows + ';' }}"); err != nil {
		t.Fatal(err)
	}
	_, err = text.Literal(scope())
	want = `the value of ${{ tasks.extract.outputs.rows + ';' }} contains the character ;, which could become code here: set it under env of the task, as VALUE: ${{ tasks.extract.outputs.rows + ';' }}, and let the script read it from there, as os.environ["VALUE"] in Python`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

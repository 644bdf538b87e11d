package semel_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/spec"
)

// TestDocs_WorkflowsAreRight reads every whole workflow that a document shows,
// and every one that stands in examples, as Semel would.
func TestDocs_WorkflowsAreRight(t *testing.T) {
	seen := 0
	for _, f := range tree(t) {
		for _, w := range workflowsIn(f) {
			seen++
			if _, err := spec.Parse(f.path, []byte(w)); err != nil {
				t.Errorf("%s shows a workflow that is wrong: %v", f.path, err)
			}
		}
	}
	if seen < 4 {
		t.Errorf("found %d workflows only: these are not the documents", seen)
	}
}

// sampleCommand is a command that is shown with an example, and what it is
// given: "semel run examples/a/b.yaml -p c=d".
var sampleCommand = regexp.MustCompile(`(examples/[\w/-]+\.yaml)((?: -p [^ \n]+)+)`)

// TestDocs_ParametersAreThere: a command that is shown can be typed.
func TestDocs_ParametersAreThere(t *testing.T) {
	seen := 0
	for _, f := range tree(t) {
		if !isMarkdown(f) && !strings.HasPrefix(f.path, "examples/") {
			continue
		}
		for _, m := range sampleCommand.FindAllStringSubmatch(f.text, -1) {
			source, err := os.ReadFile(m[1])
			if err != nil {
				t.Errorf("%s: %v", f.path, err)
				continue
			}
			w, err := spec.Parse(m[1], source)
			if err != nil {
				t.Fatal(err)
			}
			for given := range strings.SplitSeq(strings.TrimPrefix(m[2], " -p "), " -p ") {
				seen++
				name, _, _ := strings.Cut(given, "=")
				if !slices.ContainsFunc(w.Params, func(p param.Def) bool { return p.Name == name }) {
					t.Errorf("%s shows -p %s, and %s has no such parameter", f.path, given, m[1])
				}
			}
		}
	}
	if seen < 4 {
		t.Errorf("found %d parameters only: these are not the documents", seen)
	}
}

func TestWorkflowsIn(t *testing.T) {
	f, err := newSource("docs/x.md", "# x\n\n```yaml\n# a fragment\nretry: 3\n```\n\n```yaml\nname: a\ntasks: {a: {run: b}}\n```\n\n```sh\nname: b\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	const want = "name: a\ntasks: {a: {run: b}}\n"
	if got := workflowsIn(f); len(got) != 1 || got[0] != want {
		t.Errorf("workflows %q, want %q alone", got, want)
	}
}

// workflowsIn returns the workflows of a file: all of an example, and from a
// document the blocks that have both a name and tasks.
func workflowsIn(f *source) (all []string) {
	if strings.HasPrefix(f.path, "examples/") && strings.HasSuffix(f.path, ".yaml") {
		return []string{f.text}
	}
	if !isMarkdown(f) {
		return nil
	}
	for i, block := range strings.Split("\n"+f.text, "\n```yaml\n") {
		text, _, closed := strings.Cut(block, "\n```")
		text = "\n" + text + "\n"
		if i > 0 && closed && strings.Contains(text, "\nname:") && strings.Contains(text, "\ntasks:") {
			all = append(all, text[1:])
		}
	}
	return all
}

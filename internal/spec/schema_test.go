package spec

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// TestSchemaAccepts: what Parse accepts, an editor does not mark as wrong.
func TestSchemaAccepts(t *testing.T) {
	s := compileSchema(t)
	all := append(files(t, "testdata/good/*.yaml"), examples(t)...)
	for _, file := range all {
		if err := s.Validate(generic(t, read(t, file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSchemaRefuses: what the schema can tell of the broken files is recorded.
// The rest (needs that do not exist, expressions, limits of size) only Parse
// can tell.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	var told strings.Builder
	for _, file := range files(t, "testdata/broken/*.yaml") {
		src, f := newSource(read(t, file))
		if f != nil {
			continue
		}
		if _, f := load(src); f != nil {
			continue
		}
		verdict := "refused"
		if s.Validate(generic(t, read(t, file))) == nil {
			verdict = "only Parse can tell"
		}
		fmt.Fprintf(&told, "%-28s %s\n", filepath.Base(file), verdict)
	}
	golden(t, "testdata/schema.txt", []byte(told.String()))
}

// TestReference: docs/yaml.md has every key of the language.
func TestReference(t *testing.T) {
	text := string(read(t, "../../docs/yaml.md"))
	check := func(what string, keys []string) {
		for _, key := range keys {
			if !regexp.MustCompile("`" + key + "`").MatchString(text) {
				t.Errorf("docs/yaml.md does not have the key %s of %s", key, what)
			}
		}
	}
	check("a workflow", workflowTable.keys())
	check("a task", taskTable.keys())
	check("defaults", defaultsTable.keys())
	check("a parameter", paramTable.keys())
	check("retry", retryTable.keys())
	check("timeout", timeoutTable.keys())
	check("http", httpTable.keys())
	check("noop", noopTable.keys())
	for _, words := range [][]string{strategies, joins, onLosts, actions, paramTypes} {
		check("a choice", words)
	}
}

// TestReferenceExamples: every example of docs/yaml.md that is a whole
// workflow parses.
func TestReferenceExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(read(t, "../../docs/yaml.md")), -1)
	whole := 0
	for _, b := range blocks {
		if !strings.HasPrefix(b[1], "name:") {
			continue
		}
		whole++
		if _, err := Parse("docs/yaml.md", []byte(b[1])); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
	if whole < 3 {
		t.Errorf("%d whole workflows in docs/yaml.md, want at least 3", whole)
	}
}

// TestExamples: what the project ships parses, and survives Format.
func TestExamples(t *testing.T) {
	for _, file := range examples(t) {
		checkFormat(t, mustParse(t, file, read(t, file)))
	}
}

func examples(t *testing.T) []string {
	return append(files(t, "../../examples/*.yaml"), files(t, "../../examples/*/*.yaml")...)
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("workflow.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// generic is a file as an editor's YAML server sees it.
func generic(t *testing.T, src []byte) any {
	t.Helper()
	var v any
	err := yaml.Load(src, &v, yaml.WithUniqueKeys(false))
	if err != nil && len(bytes.TrimSpace(src)) > 0 {
		return err.Error() // not a mapping in any case
	}
	return jsonValue(v)
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = jsonValue(item)
		}
	case map[any]any:
		m := map[string]any{}
		for key, item := range v {
			m[fmt.Sprint(key)] = jsonValue(item)
		}
		return m
	case []any:
		for i, item := range v {
			v[i] = jsonValue(item)
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

// Package semel_test keeps the house in order: what may import what, what a
// room that decides may not do, how long a file may be. What can be checked is
// a test, not advice. Every check is shown to fail on a bad sample first.
package semel_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	fileLinesMax     = 1000
	functionLinesMax = 70 // one screen
)

// longFunctions may be longer than a screen, each for a reason. A function
// whose length is one switch, each case a single call, needs no entry.
var longFunctions = map[string]string{}

// source is one file of the tree.
type source struct {
	path string // from the root, with slashes
	dir  string
	text string
	fset *token.FileSet
	ast  *ast.File // of Go files
}

func newSource(name, text string) (*source, error) {
	f := &source{path: name, dir: path.Dir(name), text: text}
	if !f.isGo() {
		return f, nil
	}
	f.fset = token.NewFileSet()
	var err error
	f.ast, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func (f *source) isGo() bool   { return strings.HasSuffix(f.path, ".go") }
func (f *source) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// at is a fault at a position of a Go file.
func (f *source) at(pos token.Pos, format string, args ...any) string {
	return f.line(f.fset.Position(pos).Line, format, args...)
}

func (f *source) line(n int, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, n, fmt.Sprintf(format, args...))
}

func (f *source) lines(from, to token.Pos) int {
	return f.fset.Position(to).Line - f.fset.Position(from).Line + 1
}

// texts are the files without one of these endings that people read, too.
var (
	texts       = []string{".go", ".mod", ".md", ".sql", ".yaml", ".yml", ".json", ".txt", ".txtar", ".sh", ".py", ".csv"}
	textsByHand = []string{"Makefile", ".ci/run", ".gitignore", ".golangci.yml", "NOTICE"}
)

// tree reads every text of the project. What a fuzzer found is not prose, and
// what is built is not ours.
func tree(t *testing.T) []*source {
	t.Helper()
	var files []*source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && name != "." && name != ".ci" && name != ".github"
			if hidden || name == "bin" || d.Name() == "out" || d.Name() == "node_modules" || strings.HasSuffix(name, "testdata/fuzz") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains(texts, path.Ext(name)) && !slices.Contains(textsByHand, name) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := newSource(name, string(text))
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// check is one rule over the whole tree, with trees that break it and one that
// does not.
type check struct {
	name string
	run  func([]*source) []string
	bad  []broken
	good map[string]string // file: text
}

// broken is a tree that breaks a rule, with a fault that contains want.
type broken struct {
	files map[string]string
	want  string
}

func TestTidy(t *testing.T) {
	files := tree(t)
	if len(files) < 20 {
		t.Fatalf("found %d files only: this is not the tree", len(files))
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, fault := range c.run(files) {
				t.Error(fault)
			}
		})
	}
}

func TestTidy_EveryCheckCanFail(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, b := range c.bad {
				if faults := c.run(sample(t, b.files)); !strings.Contains(strings.Join(faults, "\n"), b.want) {
					t.Errorf("faults %q do not say %q", faults, b.want)
				}
			}
			if faults := c.run(sample(t, c.good)); len(faults) != 0 {
				t.Errorf("the good sample was refused: %q", faults)
			}
		})
	}
}

func sample(t *testing.T, texts map[string]string) []*source {
	t.Helper()
	var files []*source
	for name, text := range texts {
		f, err := newSource(name, text)
		if err != nil {
			t.Fatalf("sample %s: %v", name, err)
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	return files
}

// checkPure keeps the world out of the rooms that decide, as far as imports
// cannot.
func checkPure(files []*source) (faults []string) {
	for _, f := range files {
		if r, ok := roomOf(f.dir); !ok || !r.pure || f.isTest() || !f.isGo() {
			continue
		}
		clock := importedAs(f, "time")
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				faults = append(faults, f.at(n.Pos(), "go statement in a pure room: the driver owns the goroutines"))
			case *ast.SelectStmt:
				faults = append(faults, f.at(n.Pos(), "select in a pure room: a machine never waits"))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == clock && slices.Contains(pureClock, n.Sel.Name) {
					faults = append(faults, f.at(n.Pos(), "time.%s in a pure room: time comes in as now", n.Sel.Name))
				}
			}
			return true
		})
	}
	return faults
}

// importedAs returns the name by which f speaks of a package; empty if it does
// not import it.
func importedAs(f *source, imported string) string {
	for _, spec := range f.ast.Imports {
		if strings.Trim(spec.Path.Value, `"`) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

func checkDotImports(files []*source) (faults []string) {
	for _, f := range files {
		if f.isGo() && slices.ContainsFunc(f.ast.Imports, func(s *ast.ImportSpec) bool { return s.Name != nil && s.Name.Name == "." }) {
			faults = append(faults, f.at(f.ast.Package, "dot import: a reader cannot see where a name comes from"))
		}
	}
	return faults
}

func checkFileLength(files []*source) (faults []string) {
	for _, f := range files {
		if n := strings.Count(f.text, "\n"); f.isGo() && n > fileLinesMax {
			faults = append(faults, f.line(n, "%d lines, more than %d: it has more than one subject", n, fileLinesMax))
		}
	}
	return faults
}

// checkFunctionLength counts a function from its name to its last brace.
// Tables are data, not steps: in tests, what stands in a composite literal is
// not counted.
func checkFunctionLength(files []*source) (faults []string) {
	for _, f := range files {
		if !f.isGo() {
			continue
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || longFunctions[f.dir+"."+fn.Name.Name] != "" {
				continue
			}
			n := f.lines(fn.Pos(), fn.End())
			if f.isTest() {
				n -= f.data(fn)
			}
			if n > functionLinesMax && !oneSwitch(fn.Body) {
				faults = append(faults, f.at(fn.Pos(), "function %s has %d lines, more than %d: let it call helpers in the order they are read", fn.Name.Name, n, functionLinesMax))
			}
		}
	}
	return faults
}

// data counts the inner lines of the outermost composite literals of fn.
func (f *source) data(fn *ast.FuncDecl) (n int) {
	ast.Inspect(fn.Body, func(node ast.Node) bool {
		lit, ok := node.(*ast.CompositeLit)
		if ok {
			n += f.lines(lit.Lbrace, lit.Rbrace) - 1
		}
		return !ok
	})
	return n
}

// oneSwitch reports whether body has exactly one switch, and each of its cases
// is at most one statement.
func oneSwitch(body *ast.BlockStmt) bool {
	switches, single := 0, true
	ast.Inspect(body, func(n ast.Node) bool {
		var cases *ast.BlockStmt
		switch n := n.(type) {
		case *ast.SwitchStmt:
			cases = n.Body
		case *ast.TypeSwitchStmt:
			cases = n.Body
		default:
			return true
		}
		switches++
		for _, c := range cases.List {
			single = single && len(c.(*ast.CaseClause).Body) <= 1
		}
		return true
	})
	return switches == 1 && single
}

// vagueNames say nothing about what is inside.
var vagueNames = regexp.MustCompile(`^(utils?|commons?|types|helpers?|misc|base|shared|stuff)$`)

func checkPackageNames(files []*source) (faults []string) {
	for _, f := range files {
		if f.isGo() && vagueNames.MatchString(strings.TrimSuffix(f.ast.Name.Name, "_test")) {
			faults = append(faults, f.at(f.ast.Package, "package %s: name it after what it does", f.ast.Name.Name))
		}
	}
	return faults
}

func checkPackageComments(files []*source) (faults []string) {
	first := map[string]*source{} // by folder and package
	comments := map[string][]string{}
	for _, f := range files {
		if !f.isGo() {
			continue
		}
		name := f.dir + " " + f.ast.Name.Name
		if f.ast.Doc != nil {
			comments[name] = append(comments[name], f.path)
		}
		// An external test package may go without, it has the package's.
		if first[name] == nil && (!f.isTest() || f.dir == ".") && !strings.Contains(f.path, "testdata/") {
			first[name] = f
		}
	}
	for name, f := range first {
		if n := len(comments[name]); n != 1 {
			faults = append(faults, f.at(f.ast.Package, "package %s has %d package comments, want one: %s", f.ast.Name.Name, n, strings.Join(comments[name], " ")))
		}
	}
	slices.Sort(faults)
	return faults
}

// The words are put together here, so that this file does not break its own
// rules.
var (
	leftover    = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(ho` + `me|ro` + `ot|wo` + `rk)/`)
)

func checkLeftovers(files []*source) (faults []string) {
	return eachLine(files, func(line string) string {
		if w := leftover.FindString(line); w != "" {
			return w + ": do it, or open an issue"
		}
		return ""
	})
}

func checkMachinePaths(files []*source) (faults []string) {
	return eachLine(files, func(line string) string {
		if machinePath.MatchString(line) {
			return "a path of somebody's own machine"
		}
		return ""
	})
}

func eachLine(files []*source, fault func(string) string) (faults []string) {
	for _, f := range files {
		n := 0
		for line := range strings.Lines(f.text) {
			n++
			if why := fault(line); why != "" {
				faults = append(faults, f.line(n, "%s", why))
			}
		}
	}
	return faults
}

// checkSkips finds tests that can pass without having run.
func checkSkips(files []*source) (faults []string) {
	for _, f := range files {
		if !f.isGo() || !f.isTest() && importedAs(f, "testing") == "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				faults = append(faults, f.at(call.Pos(), "%s: a test that is skipped shows nothing", sel.Sel.Name))
			}
			return true
		})
	}
	return faults
}

// TestLibc_MatchesSQLite: the driver is generated for one version of libc, and
// its authors say that the two must match exactly; a build with another one
// works until it does not.
func TestLibc_MatchesSQLite(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatalf("ask for the go.mod of modernc.org/sqlite: %v", err)
	}
	theirs, err := os.ReadFile(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := required(string(theirs), "modernc.org/libc")
	if got := required(string(ours), "modernc.org/libc"); want == "" || got != want {
		t.Errorf("go.mod has modernc.org/libc %q, modernc.org/sqlite is generated for %q", got, want)
	}
}

func TestRequired(t *testing.T) {
	const mod = "require (\n\texample.org/a v1.2.3\n\texample.org/ab v2.0.0 // indirect\n)\n\nrequire example.org/c v0.1.0\n"
	for name, want := range map[string]string{
		"example.org/a": "v1.2.3", "example.org/ab": "v2.0.0", "example.org/c": "v0.1.0", "example.org/d": "",
	} {
		if got := required(mod, name); got != want {
			t.Errorf("required %s: %q, want %q", name, got, want)
		}
	}
}

// required returns the version of a module that a go.mod asks for.
func required(mod, name string) string {
	for line := range strings.Lines(mod) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && words[0] == name {
			return words[1]
		}
	}
	return ""
}

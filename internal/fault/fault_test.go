package fault_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/semel-dev/semel/internal/fault"
)

// A place that is not listed could never be chosen, and one that is not in the
// code would be waited for in vain.
func TestNames_AreThoseInTheCode(t *testing.T) {
	var found []string
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || (strings.HasPrefix(d.Name(), ".") && !strings.HasPrefix(d.Name(), ".."))) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		found = append(found, points(t, path, file)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	for _, name := range found {
		if !slices.Contains(fault.Names, name) {
			t.Errorf("point %q is not in fault.Names", name)
		}
	}
	for _, name := range fault.Names {
		if !slices.Contains(found, name) {
			t.Errorf("fault.Names has %q, which is nowhere in the code", name)
		}
	}
}

// points returns the names in calls of fault.Point.
func points(t *testing.T, path string, file *ast.File) (names []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || f.Sel.Name != "Point" {
			return true
		}
		if room, ok := f.X.(*ast.Ident); !ok || room.Name != "fault" {
			return true
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			t.Errorf("%s: the name of a point is not written out", path)
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		names = append(names, name)
		return true
	})
	return names
}

func TestNames_OfTheirRooms(t *testing.T) {
	for _, name := range fault.Names {
		if strings.Count(name, ".") != 2 || strings.ContainsAny(name, ": ") {
			t.Errorf("%q: want room.step.place", name)
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/spec"
)

// sourceMax is a little more than spec reads: it says itself what is too large.
const sourceMax = 64 << 20

// workflowFile is a workflow as read from a file.
type workflowFile struct {
	name     string // as errors name it
	text     []byte
	workflow *flow.Workflow
}

// load reads and checks a file; "-" is stdin. Its error tells every fault with
// the line it is in.
func (a *app) load(path string) (*workflowFile, error) {
	f := &workflowFile{name: path}
	var err error
	if path == "-" {
		f.name = "stdin"
		f.text, err = io.ReadAll(io.LimitReader(a.in, sourceMax))
	} else {
		f.text, err = readFile(path)
	}
	if err != nil {
		return nil, bad(err)
	}
	f.workflow, err = spec.Parse(f.name, f.text)
	var faults spec.Errors
	if errors.As(err, &faults) {
		return nil, bad(&faultyFile{name: f.name, text: f.text, faults: faults, style: a.styleOf(a.err)})
	}
	return f, bad(err)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, fmt.Errorf("read the workflow: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory: name a workflow file in it", path)
	case info.Size() > sourceMax:
		return nil, fmt.Errorf("%s has %d bytes: that is no workflow file", path, info.Size())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the workflow: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, sourceMax)) // a pipe or device tells no size before
	if err != nil {
		return nil, fmt.Errorf("read the workflow: %w", err)
	}
	return text, nil
}

// source is the text to send to a server. Working directories are relative to
// the file, which the server does not know: they are made absolute, and only a
// file that has some is written anew.
func (f *workflowFile) source() (string, error) {
	before := spec.Digest(f.workflow)
	base := "."
	if f.name != "stdin" {
		base = filepath.Dir(f.name)
	}
	if err := spec.ResolveDirs(f.workflow, base); err != nil {
		return "", err
	}
	if spec.Digest(f.workflow) == before {
		return string(f.text), nil
	}
	text, err := spec.Format(f.workflow)
	return string(text), err
}

// faultyFile is the faults of a file, each with the line it is in.
type faultyFile struct {
	name   string
	text   []byte
	faults spec.Errors
	style  style
}

func (f *faultyFile) Unwrap() error { return f.faults }

func (f *faultyFile) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %s", f.name, count(len(f.faults), "fault"))
	lines := bytes.Split(f.text, []byte("\n"))
	for _, fault := range f.faults {
		place := fmt.Sprintf("%s:%d:%d:", oneLine(fault.File), fault.Line, fault.Column)
		fmt.Fprintf(&b, "\n\n%s ", f.style.bold(place))
		if fault.Field != "" {
			fmt.Fprintf(&b, "%s: ", oneLine(fault.Field))
		}
		b.WriteString(f.style.bold(oneLine(fault.Message)))
		b.WriteString(f.excerpt(lines, fault.Line, fault.Column))
		if fault.Hint != "" {
			fmt.Fprintf(&b, "\n  %s", oneLine(fault.Hint))
		}
	}
	return b.String()
}

// excerptMax bounds how much of a line is shown, and where its fault stands in
// it.
const excerptMax = 100

// excerpt is a line of the file with a caret below the column, which counts
// characters from 1.
func (f *faultyFile) excerpt(lines [][]byte, line, column int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	runes := []rune(strings.TrimRight(strings.ToValidUTF8(string(lines[line-1]), "?"), "\r"))
	at := min(max(column-1, 0), len(runes))
	from := 0
	if at > excerptMax*3/4 {
		from = at - excerptMax/2
	}
	to := min(len(runes), from+excerptMax)
	number := fmt.Sprintf("  %d | ", line)
	shown := showable(runes[from:to])
	before := lipgloss.Width(showable(runes[from:at]))
	gutter := strings.Repeat(" ", len(number)-2) + "| "
	return "\n" + f.style.dim(number) + strings.TrimRight(shown, " ") +
		"\n" + f.style.dim(gutter) + strings.Repeat(" ", before) + f.style.paint(lipgloss.Red, "^")
}

// showable replaces what would move the caret out of place, one for one.
func showable(text []rune) string {
	var b strings.Builder
	for _, r := range text {
		switch clean := oneLine(string(r)); {
		case r == ' ' || r == '\t':
			b.WriteByte(' ')
		case clean == "":
			b.WriteByte('?')
		default:
			b.WriteString(clean)
		}
	}
	return b.String()
}

// isFile reports whether what was named is a file rather than a workflow of
// the server: a path, something with a file's ending, or stdin.
func isFile(name string) bool {
	return name == "-" || strings.ContainsRune(name, os.PathSeparator) ||
		strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// parseParams reads name=value pairs. Values stay texts: the workflow says
// what type they are of.
func parseParams(pairs []string) (map[string]any, error) {
	params := make(map[string]any, len(pairs))
	for _, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			return nil, badf("-p %q is not name=value", pair)
		}
		if _, twice := params[name]; twice {
			return nil, badf("-p %s is given twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// checkStart refuses what the server would refuse, before anything is started.
func checkStart(w *flow.Workflow, params map[string]any, tasks []string) error {
	if _, err := param.Resolve(w.Params, params); err != nil {
		return bad(err)
	}
	known := make(map[string]bool, len(w.Tasks))
	names := make([]string, len(w.Tasks))
	for i := range w.Tasks {
		names[i] = w.Tasks[i].Name
		known[names[i]] = true
	}
	for _, name := range tasks {
		if known[name] {
			continue
		}
		message := fmt.Sprintf("workflow %s has no task %q", w.Name, name)
		if near, ok := param.Nearest(name, names); ok {
			message += fmt.Sprintf(": did you mean %q?", near)
		}
		return badf("%s", message)
	}
	return nil
}

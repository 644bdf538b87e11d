package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/semel-dev/semel/internal/flow"
)

// Outputs go into rows of the store and into environments of later tasks, so
// they are bounded.
const (
	outputValueMax = 64 << 10
	outputTotalMax = 256 << 10
	outputCountMax = 1000
	outputNameMax  = 100
	outputFileMax  = 4 << 20 // the same name may be written many times; the last one counts
)

// readOutputs reads the file that SEMEL_OUTPUT names. A task that wrote none
// has none.
func readOutputs(path string) (flow.Outputs, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the outputs: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("SEMEL_OUTPUT is no regular file any more; append to it, do not replace it")
	}
	if info.Size() > outputFileMax {
		return nil, fmt.Errorf("the outputs take %d bytes; at most %d are read", info.Size(), outputFileMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the outputs: %w", err)
	}
	return parseOutputs(string(text))
}

// parseOutputs reads lines "name=value", and
//
//	name<<END
//	any number of lines
//	END
func parseOutputs(text string) (flow.Outputs, error) {
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	outputs := flow.Outputs{}
	for i := 0; i < len(lines); i++ {
		line, at := lines[i], i+1
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, err := splitOutput(line)
		if err != nil {
			return nil, fmt.Errorf("outputs, line %d: %w", at, err)
		}
		if end, ok := strings.CutPrefix(value, "<"); ok {
			from := i + 1
			for i++; i < len(lines) && lines[i] != end; i++ {
			}
			if i == len(lines) {
				return nil, fmt.Errorf("outputs, line %d: no line %q ends the value of %s", at, end, name)
			}
			value = "=" + strings.Join(lines[from:i], "\n")
		}
		value = value[1:]
		if err := checkOutput(name, value); err != nil {
			return nil, fmt.Errorf("outputs, line %d: %w", at, err)
		}
		outputs[name] = value
	}
	return outputs, checkTotal(outputs)
}

// splitOutput returns the value with its first character: "=" stands for a
// value on the line itself, "<" for the end of one that follows.
func splitOutput(line string) (name, value string, err error) {
	i := strings.IndexByte(line, '=')
	j := strings.Index(line, "<<")
	switch {
	case j >= 0 && (i < 0 || j < i):
		end := line[j+2:]
		if strings.TrimSpace(end) == "" {
			return "", "", errors.New("a word is missing after <<; write it as name<<END")
		}
		return line[:j], "<" + end, nil
	case i >= 0:
		return line[:i], line[i:], nil
	}
	return "", "", fmt.Errorf("%q is not an output; write it as name=value", clip(line, 60))
}

func checkOutput(name, value string) error {
	if !validName(name) {
		return fmt.Errorf("%q is not a name; it has to begin with a letter and consist of letters, digits, _ and -", clip(name, 60))
	}
	if len(value) > outputValueMax {
		return fmt.Errorf("the value of %s takes %d bytes; at most %d are allowed: write it to a file and pass its name on", name, len(value), outputValueMax)
	}
	if strings.IndexByte(value, 0) >= 0 || !utf8.ValidString(value) {
		return fmt.Errorf("the value of %s is not text in UTF-8", name)
	}
	return nil
}

func checkTotal(outputs flow.Outputs) error {
	total := 0
	for name, value := range outputs {
		total += len(name) + len(value)
	}
	if len(outputs) > outputCountMax {
		return fmt.Errorf("outputs: %d of them; at most %d are allowed", len(outputs), outputCountMax)
	}
	if total > outputTotalMax {
		return fmt.Errorf("outputs: they take %d bytes; at most %d are allowed: write them to a file and pass its name on", total, outputTotalMax)
	}
	return nil
}

// checkOutputs is for outputs that do not come from a file.
func checkOutputs(outputs flow.Outputs) error {
	for name, value := range outputs {
		if err := checkOutput(name, value); err != nil {
			return fmt.Errorf("outputs: %w", err)
		}
	}
	return checkTotal(outputs)
}

// validName reports whether s is a name of a task or an output.
func validName(s string) bool {
	if s == "" || len(s) > outputNameMax {
		return false
	}
	for i, r := range []byte(s) {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return true
}

// clip shortens s for a message.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

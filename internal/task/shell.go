package task

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inlineMax is how long a script may be to travel as an argument. The kernel
// takes 128 KiB per argument (MAX_ARG_STRLEN).
const inlineMax = 100 << 10

// defaultInterpreter ends a script at the first command that fails, as in a
// Makefile.
var defaultInterpreter = []string{"sh", "-e"}

type shellType struct{}

var _ Process = shellType{}

func (shellType) Name() string    { return TypeShell }
func (shellType) Summary() string { return "runs a script as a process" }
func (shellType) Config() any     { return new(Shell) }

func (shellType) Check(config json.RawMessage) []Problem {
	var c Shell
	problems := decodeProblems(config, &c)
	if len(problems) > 0 {
		return problems
	}
	if strings.TrimSpace(c.Script) == "" {
		problems = append(problems, Problem{"script", "is empty; write the commands to run"})
	}
	if strings.ContainsRune(c.Script, 0) {
		problems = append(problems, Problem{"script", "contains a NUL character, which no interpreter takes"})
	}
	for i, arg := range c.Interpreter {
		field := "interpreter[" + strconv.Itoa(i) + "]"
		if i == 0 && strings.TrimSpace(arg) == "" {
			problems = append(problems, Problem{field, "is empty; write the name of a program, as python3"})
		}
		if strings.ContainsRune(arg, 0) {
			problems = append(problems, Problem{field, "contains a NUL character"})
		}
	}
	if strings.ContainsRune(c.Dir, 0) {
		problems = append(problems, Problem{"dir", "contains a NUL character"})
	}
	return problems
}

// Command hands the script to a shell as an argument (-c), which saves a file,
// and to any other interpreter in a file.
func (shellType) Command(config json.RawMessage) (Command, error) {
	var c Shell
	if err := decode(config, &c); err != nil {
		return Command{}, err
	}
	argv := c.Interpreter
	if len(argv) == 0 {
		argv = defaultInterpreter
	}
	cmd := Command{Argv: slices.Clone(argv), Dir: c.Dir}
	if len(c.Script) <= inlineMax && takesInline(argv) {
		cmd.Argv = append(cmd.Argv, "-c", c.Script)
	} else {
		cmd.Script = c.Script
	}
	return cmd, nil
}

// takesInline reports whether argv is a shell with nothing but options behind
// it, so that "-c SCRIPT" may follow.
func takesInline(argv []string) bool {
	switch filepath.Base(argv[0]) {
	case "sh", "dash", "bash", "ksh", "zsh", "ash":
	default:
		return false
	}
	value := false // the argument belongs to an option before it: -o pipefail
	for _, arg := range argv[1:] {
		switch {
		case value:
			value = false
		case arg == "-s" || !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "+"):
			return false
		case strings.HasPrefix(arg, "--"): // --norc; those that take a value are rare and give a file
			if arg == "--" || arg == "--rcfile" || arg == "--init-file" {
				return false
			}
		default:
			value = strings.HasSuffix(arg, "o") || strings.HasSuffix(arg, "O")
		}
	}
	return !value
}

package param

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// translate returns the first thing that is wrong with an expression. CEL
// reports what its parser and checker saw, over several lines; a person wants
// one sentence and what to write instead.
func translate(source string, issues *cel.Issues) *Error {
	all := issues.Errors()
	if len(all) == 0 {
		return &Error{0, oneLine(issues.Err().Error())}
	}
	first := all[0]
	at := lineOffset(source, first.Location.Line(), first.Location.Column())
	if strings.Contains(first.Message, "recursion") {
		return &Error{max(at, 0), fmt.Sprintf("the expression is nested deeper than %d", recursionMax)}
	}
	if message, ok := strings.CutPrefix(first.Message, "Syntax error: "); ok {
		return syntaxError(source, at, message)
	}
	for _, rule := range checkerRules {
		if m := rule.pattern.FindStringSubmatch(first.Message); m != nil {
			return rule.write(source, at, m)
		}
	}
	return &Error{at, oneLine(first.Message)}
}

// lineOffset returns the byte at a line, from 1, and a column in characters,
// from 0.
func lineOffset(source string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		next := strings.IndexByte(source[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	return at + byteOffset(source[at:], max(column, 0))
}

var (
	syntaxToken  = regexp.MustCompile(`at(?: input)?:? '(.*)'$`)
	syntaxWanted = regexp.MustCompile(`^missing (\S+) at`)
)

func syntaxError(source string, at int, message string) *Error {
	rest := source[min(at, len(source)):]
	switch {
	case strings.HasPrefix(message, "token recognition error") && strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "=="):
		return &Error{at, "syntax error at \"=\": write == to compare"}
	case strings.HasPrefix(message, "token recognition error") && rest != "" && strings.ContainsRune(`"'`, rune(rest[0])):
		return &Error{at, fmt.Sprintf("the string that starts here is never closed: add a %c", rest[0])}
	}
	if m := syntaxWanted.FindStringSubmatch(message); m != nil {
		return &Error{at, "syntax error: missing " + strings.Trim(m[1], "'")}
	}
	token := firstToken(rest)
	if token == "" {
		if m := syntaxToken.FindStringSubmatch(message); m != nil && m[1] != "<EOF>" {
			return &Error{at, "syntax error after " + quoted(m[1])}
		}
		return &Error{at, "syntax error: the expression ends too early"}
	}
	if word, ok := wordsOfOthers[token]; ok {
		return &Error{at, fmt.Sprintf("syntax error at %s: write %s", quoted(token), word)}
	}
	return &Error{at, "syntax error at " + quoted(token)}
}

// wordsOfOthers are what people bring from other languages.
var wordsOfOthers = map[string]string{"and": "&&", "or": "||", "not": "!", "is": "=="}

var token = regexp.MustCompile(`^\s*([\pL_][\pL\pN_]*|[0-9.]+|\S)`)

func firstToken(text string) string {
	if m := token.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// checkerRules turn CEL's messages into ours. CEL has no codes for them.
var checkerRules = []struct {
	pattern *regexp.Regexp
	write   func(source string, at int, m []string) *Error
}{
	{regexp.MustCompile(`^undeclared reference to '\.?([^']*)'`), undeclared},
	{regexp.MustCompile(`^undefined field '([^']*)'`), undefinedField},
	{regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`), noOverload},
	{regexp.MustCompile(`^reserved identifier: (\S+)`), func(_ string, at int, m []string) *Error {
		return &Error{at, fmt.Sprintf("the word %s is reserved: use %s", m[1], "params.NAME or a string in quotes")}
	}},
	{regexp.MustCompile(`^invalid (int|uint|double) literal`), func(_ string, at int, m []string) *Error {
		return &Error{at, "the number does not fit in 64 bits"}
	}},
	{regexp.MustCompile(`^invalid argument to has\(\)`), func(_ string, at int, _ []string) *Error {
		return &Error{at, "has() takes an access by name, like has(params.x)"}
	}},
	{regexp.MustCompile(`^expression node count exceeds|^expression code point size exceeds`), func(_ string, at int, _ []string) *Error {
		return &Error{at, fmt.Sprintf("the expression is too large: at most %d operations", nodesMax)}
	}},
}

func undeclared(source string, at int, m []string) *Error {
	name := m[1]
	if strings.HasPrefix(source[min(at, len(source)):], "(") {
		at -= min(at, len(name)) // CEL points at the parenthesis
		return &Error{at, fmt.Sprintf("unknown function %s()%s", name, didYouMean(name, functionNames, "there are"))}
	}
	if near, ok := Nearest(name, roots); ok {
		return &Error{at, fmt.Sprintf("unknown name %s: did you mean %s?", name, quoted(near))}
	}
	if word, ok := wordsOfOthers[name]; ok {
		return &Error{at, fmt.Sprintf("unknown name %s: write %s", name, word)}
	}
	return &Error{at, fmt.Sprintf("unknown name %s: an expression knows params, tasks, run and task; a string needs quotes", name)}
}

func undefinedField(source string, at int, m []string) *Error {
	what, known := "", []string(nil)
	switch before := strings.TrimRight(source[:at], " \t\r\n"); {
	case strings.HasSuffix(before, "run"):
		what, known = "run", sorted(fields[typeRun])
	case strings.HasSuffix(before, "task"):
		what, known = "task", sorted(fields[typeTask])
	default:
		what, known = "a task before this one", sorted(fields[typeUpstream])
	}
	return &Error{at, fmt.Sprintf("%s has no %s: it has %s", what, quoted(m[1]), strings.Join(known, " and "))}
}

// operatorName finds the operator in CEL's name of it, "_>_".
var operatorName = regexp.MustCompile(`^_(\S+)_$`)

func noOverload(_ string, at int, m []string) *Error {
	function, args := m[1], m[2]
	switch {
	case function == "_?_:_":
		return &Error{at, "both sides of ? : must be of one type: convert with string(), int() or double()"}
	case function == "!_" || function == "-_":
		return &Error{at, fmt.Sprintf("%s cannot be applied to %s", function[:1], strings.Trim(args, "()"))}
	}
	if op := operatorName.FindStringSubmatch(function); op != nil {
		left, right, _ := strings.Cut(strings.Trim(args, "()"), ", ")
		return &Error{at, fmt.Sprintf("%s cannot be applied to %s and %s: convert with string(), int() or double()", op[1], left, right)}
	}
	return &Error{at, fmt.Sprintf("%s() does not take %s", function, args)}
}

// explain says why an evaluation ended without a value.
func (e *expression) explain(s *Scope, err error) *Error {
	tree := e.checked.NativeRep()
	at := e.start()
	var fault *types.Err
	if errors.As(err, &fault) {
		if r, ok := tree.SourceInfo().GetOffsetRange(fault.NodeID()); ok {
			at = byteOffset(e.source, int(r.Start))
		}
	}
	message := err.Error()
	switch {
	case strings.Contains(message, "cost limit exceeded"):
		return &Error{e.start(), fmt.Sprintf("the expression %s takes too many steps", e.quoted())}
	case strings.Contains(message, "memory limit exceeded"):
		return &Error{e.start(), fmt.Sprintf("the expression %s makes too large a value", e.quoted())}
	}
	if key, ok := strings.CutPrefix(message, "no such key: "); ok {
		if missing := e.missing(s, key); missing != nil {
			return missing
		}
		return &Error{at, fmt.Sprintf("there is no %s in %s", quoted(key), e.quoted())}
	}
	if strings.HasPrefix(message, "no such overload") {
		return &Error{at, fmt.Sprintf("the types do not fit in %s: convert with string(), int() or double()", e.quoted())}
	}
	if strings.HasPrefix(message, "type conversion error from 'string' to ") {
		return &Error{at, fmt.Sprintf("the text is not %s in %s", conversions[message[len("type conversion error from 'string' to "):]], e.quoted())}
	}
	return &Error{at, fmt.Sprintf("%s in %s", oneLine(message), e.quoted())}
}

var conversions = map[string]string{
	"'int'": "a whole number", "'uint'": "a whole number above zero", "'double'": "a number", "'bool'": "true or false",
}

// missing finds the access that found nothing under key, and says what is
// there. CEL names the key only.
func (e *expression) missing(s *Scope, key string) *Error {
	for _, r := range e.refs {
		up, known := s.Tasks[r.Task]
		if !known {
			if r.Task == key {
				return &Error{e.offset(key), fmt.Sprintf("nothing is known of task %s%s", key, didYouMean(key, sorted(s.Tasks), "there is"))}
			}
			continue
		}
		if _, has := up.Outputs[key]; r.Output == key && !has {
			return &Error{e.offset(key), noOutput(r.Task, key, sorted(up.Outputs))}
		}
	}
	for _, name := range e.params {
		if _, has := s.Params[name]; name == key && !has {
			return &Error{e.offset(key), fmt.Sprintf("there is no parameter %s%s", quoted(key), didYouMean(key, sorted(s.Params), "the run has"))}
		}
	}
	return nil
}

func noOutput(task, key string, known []string) string {
	message := fmt.Sprintf("task %s has no output %s", task, quoted(key))
	if near, ok := Nearest(key, known); ok && len(known) > outputsShownMax {
		return message + ": did you mean " + quoted(near) + "?"
	}
	if len(known) == 0 {
		return message + "; it has none"
	}
	shown := known[:min(len(known), outputsShownMax)]
	if len(known) > len(shown) {
		return fmt.Sprintf("%s; it has %s and %d more", message, strings.Join(shown, ", "), len(known)-len(shown))
	}
	return message + "; it has " + strings.Join(shown, ", ")
}

const outputsShownMax = 12

// offset returns where key is accessed first.
func (e *expression) offset(key string) int {
	tree := e.checked.NativeRep()
	found := e.start()
	done := false
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if s, ok := stepOf(x); ok && !done && s.index == nil && s.key == key {
			found, done = offsetOf(e.source, tree, x), true
		}
	}))
	return found
}

package param

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// literalSafe are the bytes, besides letters and digits, that end no string
// and start nothing in any language people write tasks in.
const literalSafe = "_.:/@+,=- "

// Literal returns the text with the values written into it, for interpreters
// whose quotes are not known here (python, node, ...). A value that could be
// more than a word or a number there is refused. The error is an *Error.
func (t *Text) Literal(s *Scope) (string, error) {
	return t.build(func(p piece) (string, error) {
		value, err := p.value(s)
		if err != nil {
			return "", err
		}
		for _, r := range value {
			if !safe(r) {
				return "", &Error{p.offset, fmt.Sprintf("the value of %s contains %s, which could become code here: %s", p.expression.shown(), character(r), p.expression.instead())}
			}
		}
		return value, nil
	})
}

func safe(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(literalSafe, r)
	default:
		return unicode.IsLetter(r) || unicode.IsMark(r)
	}
}

func character(r rune) string {
	switch r {
	case '\n':
		return "a line break"
	case '\t':
		return "a tab"
	}
	if !unicode.IsPrint(r) {
		return fmt.Sprintf("the character U+%04X", r)
	}
	return "the character " + string(r)
}

// instead says how a script can read the value as data.
func (e *expression) instead() string {
	if len(e.params) == 1 && len(e.refs) == 0 {
		return fmt.Sprintf("let the script read it from its environment, as os.environ[%q] in Python", EnvName(e.params[0]))
	}
	return `set it under env of the task, as VALUE: ` + e.shown() + `, and let the script read it from there, as os.environ["VALUE"] in Python`
}

package param

import (
	"fmt"
	"regexp"
	"strings"
)

// Script returns the text as a script for sh and its like. A value never
// becomes part of the script, whatever it contains: it travels in env, as
// SEMEL_EXPR_<n>=value with n from first on, and the script refers to it. The
// error is an *Error.
//
// How it refers depends on the quotes around it, which are followed as a shell
// does. An unquoted value is split into words at its spaces, as that of any
// variable is. Two things are up to the script's author: a script that hands
// text on to another shell (sh -c, eval, ssh) hands on the value in it, and
// then that shell reads it.
func (t *Text) Script(s *Scope, first int) (script string, env []string, err error) {
	found, fault := t.places()
	if fault != nil {
		return "", nil, fault
	}
	names := map[string]string{} // by source: the same expression twice has one value
	expression := 0
	script, err = t.build(func(p piece) (string, error) {
		where := found[expression]
		expression++
		if where == inComment {
			return markOpen + oneLine(p.expression.source) + markClose, nil
		}
		if message := where.refusal(); message != "" {
			return "", &Error{p.offset, message}
		}
		name, known := names[p.expression.source]
		if known && where != inArithmetic {
			return where.reference(name), nil
		}
		value, err := p.value(s)
		if err != nil {
			return "", err
		}
		if where == inArithmetic && !wholeNumber.MatchString(value) {
			return "", &Error{p.offset, fmt.Sprintf("the value of %s is not a whole number: inside $(( )) a shell could run it", p.expression.shown())}
		}
		if !known {
			name = fmt.Sprintf("SEMEL_EXPR_%d", first+len(env))
			names[p.expression.source] = name
			env = append(env, name+"="+value)
		}
		return where.reference(name), nil
	})
	if err != nil {
		return "", nil, err
	}
	return script, env, nil
}

// places returns where each expression of the text stands in it as a script.
func (t *Text) places() ([]place, *Error) {
	var script strings.Builder
	expressions := 0
	for _, p := range t.pieces {
		if p.expression != nil {
			script.WriteByte(mark)
			expressions++
			continue
		}
		if at := strings.IndexByte(p.literal, mark); at >= 0 {
			return nil, &Error{p.offset + at, "the script contains a NUL byte: no shell takes it"}
		}
		script.WriteString(p.literal)
	}
	found, ok := places(script.String())
	if !ok {
		return nil, &Error{0, fmt.Sprintf("more than %d quotes and parentheses are open in the script at once", shellDepthMax)}
	}
	if len(found) != expressions {
		panic(fmt.Sprintf("param: %d places for %d expressions in script %q", len(found), expressions, script.String()))
	}
	return found, nil
}

var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]{1,19}$`)

// place is where an expression stands in a script.
type place int

const (
	inWords         place = iota // a variable is expanded here: no quotes, double quotes, an unquoted here-document
	inSingleQuotes               // '...'
	inANSIQuotes                 // $'...'
	inArithmetic                 // $((...)), where bash evaluates what it finds in a variable
	inComment                    // nothing is read here
	inQuotedHeredoc              // <<'EOF': nothing is expanded here, and there are no quotes to leave
	inDelimiter                  // the EOF of <<EOF
	afterBackslash               // it would take the $ away from its variable
)

// reference is how a script refers to a variable there.
func (p place) reference(name string) string {
	switch p {
	case inWords, inArithmetic:
		return "${" + name + "}"
	case inSingleQuotes:
		return `'"${` + name + `}"'`
	case inANSIQuotes:
		return `'"${` + name + `}"$'`
	case inComment, inQuotedHeredoc, inDelimiter, afterBackslash:
	}
	panic(fmt.Sprintf("param: no reference is possible in place %d", p))
}

// refusal says why no expression can stand there, and what to do.
func (p place) refusal() string {
	switch p {
	case inQuotedHeredoc:
		return "a quoted here-document expands nothing: write its delimiter without quotes, or read the variable PARAM_NAME in what it is given to"
	case inDelimiter:
		return "the delimiter of a here-document cannot hold an expression: use a fixed word"
	case afterBackslash:
		return "a backslash stands before the expression: remove it, or write $${{ if ${{ is meant literally"
	case inWords, inSingleQuotes, inANSIQuotes, inArithmetic, inComment:
	}
	return ""
}

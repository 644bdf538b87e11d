package param

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the value of a parameter.
type Problem struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Errors are all problems of the parameters a run was asked for: the declared
// ones in the order of their declaration, then unknown names.
type Errors struct {
	Problems []Problem
}

// Error implements error.
func (e *Errors) Error() string {
	messages := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		messages[i] = p.Message
	}
	return strings.Join(messages, "; ")
}

func (e *Errors) add(name, format string, args ...any) {
	e.Problems = append(e.Problems, Problem{Name: name, Message: fmt.Sprintf(format, args...)})
}

// Resolve returns the parameters of a run: what is given, in its declared
// type, and the defaults of the rest. A parameter that has neither is absent,
// or an error if it is required. Texts are read by the declared type, since a
// command line has nothing else. The error is an *Errors.
func Resolve(defs []Def, given map[string]any) (Values, error) {
	values := make(Values, len(defs))
	problems := &Errors{}
	known := make([]string, len(defs))
	total := 0
	for i, d := range defs {
		known[i] = d.Name
		v, ok := given[d.Name]
		if !ok || v == nil {
			v = d.Default
		}
		if v == nil {
			if d.Required {
				problems.add(d.Name, "parameter %q is required: give it a value", d.Name)
			}
			continue
		}
		value, err := read(d, v)
		if err != nil {
			problems.add(d.Name, "parameter %q: %v", d.Name, err)
			continue
		}
		values[d.Name] = value
		total += len(d.Name) + sizeOf(value)
	}
	isKnown := make(map[string]bool, len(known))
	for _, name := range known {
		isKnown[name] = true
	}
	for _, name := range sorted(given) {
		if !isKnown[name] {
			problems.add(name, "unknown parameter %q%s", name, didYouMean(name, known, "the workflow has"))
		}
	}
	if total > valuesBytesMax {
		problems.add("", "the parameters are %d bytes together, at most %d are allowed: put the large ones in files", total, valuesBytesMax)
	}
	if len(problems.Problems) > 0 {
		return nil, problems
	}
	return values, nil
}

// read returns v as a value of the declared type, and one of its enum.
func read(d Def, v any) (any, error) {
	value, err := normalOrParsed(d.Type, v)
	if err != nil {
		return nil, secretive(d, err)
	}
	if len(d.Enum) == 0 {
		return value, nil
	}
	enum := make([]any, 0, len(d.Enum))
	for _, e := range d.Enum {
		if n, err := Normal(d.Type, e); err == nil {
			enum = append(enum, n)
		}
	}
	if containsValue(enum, value) {
		return value, nil
	}
	return nil, secretive(d, fmt.Errorf("%s is not allowed: use one of %s", quoted(value), choices(enum)))
}

func normalOrParsed(t Type, v any) (any, error) {
	if text, ok := v.(string); ok && t != String {
		return Parse(t, text)
	}
	return Normal(t, v)
}

// secretive keeps the value of a secret parameter out of messages.
func secretive(d Def, err error) error {
	if !d.Secret {
		return err
	}
	return fmt.Errorf("the value given is not %s that is allowed (it is secret, and not shown)", article(d.Type))
}

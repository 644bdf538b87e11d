package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Type is a kind of task. Every type is also one of Process, Function and
// Instant, which say how it is carried out.
type Type interface {
	// Name is what a definition says in "type".
	Name() string
	// Summary is one sentence for people.
	Summary() string
	// Config returns a pointer to a new zero value of its settings. Schemas are
	// made from it.
	Config() any
	// Check says what is wrong with settings, before anything runs. A string
	// that holds an expression (${{ }}) is not looked at: its value is not yet
	// known.
	Check(config json.RawMessage) []Problem
}

// Process is a type that is carried out by a process of its own.
type Process interface {
	Type
	// Command says what to start. Its settings hold no expression any more.
	Command(config json.RawMessage) (Command, error)
}

// Function is a type that is carried out within the runner, by a goroutine. It
// must return soon after ctx is done: nobody can kill a goroutine.
type Function interface {
	Type
	Do(ctx context.Context, r Request) Outcome
}

// Instant is a type that has ended as soon as it is looked at: it may not
// block, and needs neither process nor goroutine.
type Instant interface {
	Type
	At(config json.RawMessage) Outcome
}

// Command is what a process is to be.
type Command struct {
	Argv []string
	// Script, if it is not empty, is to be written to a file, whose path is
	// then the last argument.
	Script string
	Dir    string // empty: a directory of the attempt's own
}

// Request is one call of a Function.
type Request struct {
	Config json.RawMessage
	Log    io.Writer // the attempt's log; secrets are masked behind it
}

// Outcome is how a Function or an Instant ended.
type Outcome struct {
	Failure string // empty: it succeeded; else a sentence that says why not
	Outputs map[string]string
}

// Problem is one fault in the settings of a task.
type Problem struct {
	Field   string // as in the JSON of the settings: "url", "expect[1]", "headers.Accept"
	Message string // what is wrong and what to write instead
}

func (p Problem) String() string { return p.Field + ": " + p.Message }

// types holds all of them, in the order of their documentation.
var types = []Type{shellType{}, httpType{}, sleepType{}, noopType{}}

// Types returns all task types, in the order of their documentation.
func Types() []Type { return slices.Clone(types) }

// Lookup finds a type by its name.
func Lookup(name string) (Type, bool) {
	for _, t := range types {
		if t.Name() == name {
			return t, true
		}
	}
	return nil, false
}

// decode reads settings strictly: a key that nobody reads is a mistake.
func decode(config json.RawMessage, into any) error {
	if len(config) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(config))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	return nil
}

// decodeProblems is decode for Check.
func decodeProblems(config json.RawMessage, into any) []Problem {
	err := decode(config, into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return []Problem{{Field: wrong.Field, Message: fmt.Sprintf("wants %s, not %s", wrong.Type, wrong.Value)}}
	}
	return []Problem{{Message: err.Error()}}
}

// open reports whether s holds an expression, so that its value is not yet
// known.
func open(s string) bool { return strings.Contains(s, "${{") }

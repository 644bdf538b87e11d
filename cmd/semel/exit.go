package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
)

// The exit codes. They are an interface: scripts decide by them.
const (
	exitDone        = 0
	exitFailed      = 1   // the run failed or was stopped, the ledger does not hold, or the request could not be carried out
	exitBad         = 2   // bad usage or bad input: nothing was started
	exitUnfinished  = 3   // wait --timeout: the run goes on
	exitInterrupted = 130 // Ctrl-C on a command that only looks
)

const exitHelp = `Exit codes:
  0    done; the run, where the command waits for one, has succeeded
  1    the run failed or was stopped, or the request could not be carried out
  2    bad usage or bad input: nothing was started
  3    wait --timeout: the run goes on
  130  interrupted while only looking; the run goes on`

var errInterrupted = errors.New("interrupted")

// exitError is an error that says its own exit code. Without an inner error it
// is silent: the output has said everything.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// bad marks an error as one of input: nothing was started.
func bad(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitBad, err: err}
}

// badf is bad with a new error.
func badf(format string, args ...any) error { return bad(fmt.Errorf(format, args...)) }

// silent ends with a code and nothing more to say.
func silent(code int) error { return &exitError{code: code} }

// outcome is the exit code of a run that is final.
func outcome(state flow.RunState) error {
	if state == flow.RunSucceeded {
		return nil
	}
	return silent(exitFailed)
}

// report prints an error and returns the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	if !a.began {
		a.say("semel: %s\nRun '%s --help' for usage.", strings.TrimSpace(err.Error()), cmd.CommandPath())
		return exitBad
	}
	if text := describe(err); text != "" {
		a.say("semel: %s", text)
	}
	return codeOf(err)
}

// codeOf tells bad input from what could not be carried out.
func codeOf(err error) int {
	var known *exitError
	if errors.As(err, &known) {
		return known.code
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	var problem *client.Problem
	if !errors.As(err, &problem) {
		return exitFailed
	}
	switch problem.Status {
	case http.StatusConflict, http.StatusTooManyRequests: // the same words may be right at another time
		return exitFailed
	}
	if problem.Status >= 400 && problem.Status < 500 {
		return exitBad
	}
	return exitFailed
}

// describe is the error for people: a list of faults gets a line for each.
// Empty: the output has said everything.
func describe(err error) string {
	var known *exitError
	if errors.As(err, &known) && known.err == nil || errors.Is(err, errInterrupted) {
		return ""
	}
	var params *param.Errors
	if errors.As(err, &params) {
		lines := make([]string, len(params.Problems))
		for i, p := range params.Problems {
			lines[i] = p.Message
		}
		return strings.Join(lines, "\nsemel: ")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time: " + err.Error()
	}
	return err.Error()
}

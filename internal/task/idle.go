package task

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

type sleepType struct{}

var _ Function = sleepType{}

func (sleepType) Name() string    { return TypeSleep }
func (sleepType) Summary() string { return "does nothing for a while" }
func (sleepType) Config() any     { return new(Sleep) }

func (sleepType) Check(config json.RawMessage) []Problem {
	var c Sleep
	if problems := decodeProblems(config, &c); len(problems) > 0 {
		return problems
	}
	if open(c.For) {
		return nil
	}
	if _, err := parseWait(c.For); err != nil {
		return []Problem{{"for", err.Error()}}
	}
	return nil
}

func (sleepType) Do(ctx context.Context, r Request) Outcome {
	var c Sleep
	if err := decode(r.Config, &c); err != nil {
		return Outcome{Failure: err.Error()}
	}
	d, err := parseWait(c.For)
	if err != nil {
		return Outcome{Failure: "for: " + err.Error()}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return Outcome{}
	case <-ctx.Done():
		return Outcome{Failure: "ended before its time"}
	}
}

// parseWait reads a duration that is not negative.
func parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("is empty; write a duration, as 30s or 1m30s")
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write it as 500ms, 30s or 1m30s", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

type noopType struct{}

var _ Instant = noopType{}

func (noopType) Name() string    { return TypeNoop }
func (noopType) Summary() string { return "succeeds at once; joins branches, and serves tests" }
func (noopType) Config() any     { return new(Noop) }

func (noopType) Check(config json.RawMessage) []Problem {
	return decodeProblems(config, new(Noop))
}

func (noopType) At(config json.RawMessage) Outcome {
	if len(config) <= len("{}") {
		return Outcome{}
	}
	var c Noop
	if err := decode(config, &c); err != nil {
		return Outcome{Failure: err.Error()}
	}
	return Outcome{Outputs: c.Outputs}
}

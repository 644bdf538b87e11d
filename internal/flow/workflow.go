package flow

import (
	"encoding/json"
	"time"

	"github.com/semel-dev/semel/internal/param"
)

// Workflow is a definition: a DAG of tasks, parameters, settings. One that
// passed Validate can be run; it is never changed afterwards, a new definition
// of the same name is a new version.
type Workflow struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Params      []param.Def       `json:"params,omitempty"`
	Env         map[string]string `json:"env,omitempty"` // for every task; values may hold ${{ }}
	OnFailure   Strategy          `json:"on_failure"`
	Parallel    int               `json:"parallel,omitempty"` // most task runs active at once; 0: no limit
	Tasks       []Task            `json:"tasks"`
}

// Task is a node of the DAG.
type Task struct {
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	Needs        []string          `json:"needs,omitempty"`
	Join         Join              `json:"join"`
	When         string            `json:"when,omitempty"` // a bare expression; false skips the task; empty: always
	Type         string            `json:"type"`           // shell, http, sleep, noop
	Config       json.RawMessage   `json:"config"`         // the settings of that type, an object; its strings may hold ${{ }}
	Env          map[string]string `json:"env,omitempty"`
	Retry        Retry             `json:"retry,omitzero"`
	Timeout      Timeout           `json:"timeout,omitzero"`
	OnLost       OnLost            `json:"on_lost"`
	Delay        time.Duration     `json:"delay,omitempty"` // waits this long once its needs are met
	Grace        time.Duration     `json:"grace,omitempty"` // from the polite signal to the kill, when stopped or timed out
	Slots        int               `json:"slots"`           // how many slots of a worker an attempt takes; 0 for sleep and noop
	Priority     int               `json:"priority,omitempty"`
	Disabled     bool              `json:"disabled,omitempty"`
	AllowFailure bool              `json:"allow_failure,omitempty"` // its failure is not the run's, and its successors run
}

// Strategy is what a failed task does to the rest of its run.
type Strategy string

// Continue: what does not depend on the failed task goes on. End: whatever has
// not started is stopped, what runs is killed, the run fails.
const (
	Continue Strategy = "continue"
	End      Strategy = "end"
)

// Join says when a task whose needs are all final runs; if it does not run it
// is skipped. A need that is disabled, unselected, or failed under
// allow_failure counts as succeeded.
type Join string

// The joins. The default, JoinNoneFailed, is what people expect of a join
// behind a branch that was skipped: it runs if no need failed and at least one
// succeeded; where all needs were skipped, skipping spreads.
const (
	JoinNoneFailed   Join = "none_failed"
	JoinAllSucceeded Join = "all_succeeded" // every need succeeded; one skipped need skips it
	JoinAllDone      Join = "all_done"      // whatever became of its needs
	JoinAnyFailed    Join = "any_failed"    // at least one need failed: for clean-up and alarms
)

// Retry is what happens after an attempt failed or timed out. The n-th retry
// waits min(Delay * Backoff^(n-1), DelayMax), spread by Jitter.
type Retry struct {
	Limit    int           `json:"limit"`               // retries, not attempts; 0: none
	Delay    time.Duration `json:"delay,omitempty"`     //
	Backoff  float64       `json:"backoff,omitempty"`   // factor from one delay to the next; 0 means 1
	DelayMax time.Duration `json:"delay_max,omitempty"` // 0: no bound but delayMax
	Jitter   float64       `json:"jitter,omitempty"`    // 0 to 1: the delay is multiplied by 1 ± jitter, by the attempt's identity
}

// Timeout bounds one attempt, from its start.
type Timeout struct {
	After  time.Duration `json:"after"`            // 0: none
	Action TimeoutAction `json:"action,omitempty"` // default fail
}

// TimeoutAction is what a timeout does.
type TimeoutAction string

// Fail ends the attempt as failed (retries apply). Warn leaves it running and
// says so in the task run's reason and in an event.
const (
	TimeoutFail TimeoutAction = "fail"
	TimeoutWarn TimeoutAction = "warn"
)

// OnLost is what happens when an attempt's outcome is unknown: its node ended
// before it was reported.
type OnLost string

// Rerun: another attempt, at no cost to the retry budget. Fail: the task run
// fails. Hold: it waits for somebody to resume or stop it.
const (
	LostRerun OnLost = "rerun"
	LostFail  OnLost = "fail"
	LostHold  OnLost = "hold"
)

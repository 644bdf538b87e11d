package api

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
)

// The shapes of requests and answers. OpenAPI is made from them, the client
// decodes into them, and `show --json` prints them: a change here is a change
// for everybody outside.

// Source is a workflow as somebody wrote it. File is how errors name it; it is
// not opened.
type Source struct {
	File   string `json:"file,omitempty" maxLength:"4096" doc:"How errors name the source; default: workflow.yaml"`
	Source string `json:"source" doc:"The YAML"`
}

// Applied answers an apply.
type Applied struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Created bool   `json:"created" doc:"False: the latest version says the same already"`
}

// Validated answers a validate that found nothing wrong.
type Validated struct {
	Name  string `json:"name"`
	Tasks int    `json:"tasks"`
}

// WorkflowSummary is a workflow version in a list.
type WorkflowSummary struct {
	Name        string    `json:"name"`
	Version     int       `json:"version"`
	Description string    `json:"description,omitempty"`
	Tasks       int       `json:"tasks" doc:"How many"`
	CreatedAt   time.Time `json:"created_at"`
}

// WorkflowList is every workflow, or every version of one.
type WorkflowList struct {
	Workflows []WorkflowSummary `json:"workflows" nullable:"false"`
}

// Workflow is one workflow version.
type Workflow struct {
	Name        string         `json:"name"`
	Version     int            `json:"version"`
	Description string         `json:"description,omitempty"`
	Source      string         `json:"source"`
	Params      []Param        `json:"params" nullable:"false"`
	Tasks       []WorkflowTask `json:"tasks" nullable:"false"`
	CreatedAt   time.Time      `json:"created_at"`
}

// Param is a declared parameter. The default of a secret is masked.
type Param struct {
	Name        string     `json:"name"`
	Type        param.Type `json:"type"`
	Default     any        `json:"default,omitempty"`
	Required    bool       `json:"required,omitempty"`
	Description string     `json:"description,omitempty"`
	Enum        []any      `json:"enum,omitempty" nullable:"false"`
	Secret      bool       `json:"secret,omitempty"`
}

// WorkflowTask is a node of the DAG, as far as a picture of it needs.
type WorkflowTask struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Needs       []string `json:"needs" nullable:"false"`
	Description string   `json:"description,omitempty"`
	Disabled    bool     `json:"disabled,omitempty"`
}

// StartRequest asks for a run of a stored workflow.
type StartRequest struct {
	Workflow string         `json:"workflow" minLength:"1" maxLength:"256"`
	Version  int            `json:"version,omitempty" minimum:"0" doc:"0: the latest"`
	Params   map[string]any `json:"params,omitempty"`
	Select   *Select        `json:"select,omitempty"`
	Priority int            `json:"priority,omitempty" doc:"Higher goes first"`
	Key      string         `json:"key,omitempty" maxLength:"256" doc:"Idempotency key, unless it comes as the header"`
}

// StartInlineRequest asks for a run of a source that came along: it is applied
// first.
type StartInlineRequest struct {
	File     string         `json:"file,omitempty" maxLength:"4096"`
	Source   string         `json:"source"`
	Params   map[string]any `json:"params,omitempty"`
	Select   *Select        `json:"select,omitempty"`
	Priority int            `json:"priority,omitempty"`
	Key      string         `json:"key,omitempty" maxLength:"256"`
}

// Select names the part of a workflow that is executed.
type Select struct {
	Tasks       []string `json:"tasks" nullable:"false" minItems:"1"`
	Ancestors   bool     `json:"ancestors,omitempty" doc:"And all they need"`
	Descendants bool     `json:"descendants,omitempty" doc:"And all that needs them"`
}

// Started answers a start: the run as it is now.
type Started struct {
	Run Run `json:"run"`
}

// Run is one execution of a workflow version. Times that have not come are
// null; the values of secret parameters are masked.
type Run struct {
	ID         flow.RunID    `json:"id"`
	Workflow   string        `json:"workflow"`
	Version    int           `json:"version"`
	State      flow.RunState `json:"state"`
	Reason     string        `json:"reason"`
	CreatedAt  time.Time     `json:"created_at"`
	StartedAt  *time.Time    `json:"started_at"`
	FinishedAt *time.Time    `json:"finished_at"`
	Params     param.Values  `json:"params"`
}

// RunList is a page of runs, newest first.
type RunList struct {
	Runs []Run  `json:"runs" nullable:"false"`
	Next string `json:"next,omitempty" doc:"The after of the next page; missing on the last"`
}

// RunDetail is a run with all its task runs and their attempts.
type RunDetail struct {
	Run   Run       `json:"run"`
	Tasks []TaskRun `json:"tasks" nullable:"false"`
}

// TaskRun is one task of one run.
type TaskRun struct {
	Name     string         `json:"name"`
	State    flow.TaskState `json:"state"`
	Reason   string         `json:"reason"`
	Outputs  flow.Outputs   `json:"outputs"`
	Attempts []Attempt      `json:"attempts" nullable:"false"`
}

// Attempt is one try of a task run.
type Attempt struct {
	Number     int               `json:"number"`
	Generation flow.Generation   `json:"generation"`
	Epoch      flow.Epoch        `json:"epoch"`
	Node       fence.NodeID      `json:"node"`
	State      flow.AttemptState `json:"state"`
	Reason     string            `json:"reason"`
	ExitCode   *int              `json:"exit_code"`
	StartedAt  *time.Time        `json:"started_at"`
	FinishedAt *time.Time        `json:"finished_at"`
}

// AttemptList is every attempt of a task run, oldest first.
type AttemptList struct {
	Attempts []Attempt `json:"attempts" nullable:"false"`
}

// StopRequest says why.
type StopRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"1000"`
	Key    string `json:"key,omitempty" maxLength:"256"`
}

// PauseRequest has nothing to say.
type PauseRequest struct {
	Key string `json:"key,omitempty" maxLength:"256"`
}

// ResumeRequest names what is released: these held or paused task runs, or,
// with none, the whole run.
type ResumeRequest struct {
	Tasks []string `json:"tasks,omitempty" nullable:"false"`
	Key   string   `json:"key,omitempty" maxLength:"256"`
}

// RerunRequest names what is run again; with none of its fields, everything.
type RerunRequest struct {
	Failed      bool     `json:"failed,omitempty" doc:"Only what failed, and what depends on it"`
	Tasks       []string `json:"tasks,omitempty" nullable:"false"`
	Ancestors   bool     `json:"ancestors,omitempty"`
	Descendants bool     `json:"descendants,omitempty"`
	Key         string   `json:"key,omitempty" maxLength:"256"`
}

// Command is a request that was stored. It is carried out by whoever owns the
// run's partition; until then DoneAt is null.
type Command struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind" enum:"start,stop,pause,resume,rerun"`
	Run       flow.RunID `json:"run"`
	CreatedAt time.Time  `json:"created_at"`
	DoneAt    *time.Time `json:"done_at"`
	Refused   string     `json:"refused" doc:"Why it was not carried out; empty: it was"`
}

// Commanded answers a command.
type Commanded struct {
	Command Command `json:"command"`
}

// Explanation says why a run has not ended: a sentence for the run, and one
// for each of its task runs that is not final.
type Explanation struct {
	Run   RunReason    `json:"run"`
	Tasks []TaskReason `json:"tasks" nullable:"false"`
}

// RunReason explains a run.
type RunReason struct {
	ID       flow.RunID    `json:"id"`
	State    flow.RunState `json:"state"`
	Sentence string        `json:"sentence"`
}

// TaskReason explains a task run.
type TaskReason struct {
	Task     string         `json:"task"`
	State    flow.TaskState `json:"state"`
	Sentence string         `json:"sentence"`
}

// LogChunk is a piece of a log that is followed. The bytes are in Text if they
// are UTF-8, else in Base64.
type LogChunk struct {
	Attempt int    `json:"attempt" doc:"Whose log it is"`
	Offset  int64  `json:"offset" doc:"Of its first byte"`
	Text    string `json:"text,omitempty"`
	Base64  []byte `json:"base64,omitempty" doc:"Bytes that are not UTF-8"`
}

// LogEnd is the last thing a followed log says.
type LogEnd struct {
	Offset  int64             `json:"offset" doc:"The size of the log"`
	Attempt int               `json:"attempt" doc:"0: the task run never had one"`
	State   flow.AttemptState `json:"state,omitempty"`
}

// Snapshot is a run in short, for live views: all of it, as of one moment. A
// client that watches gets one now and some of those that follow, of a large
// run fewer; the last one always, and at once.
type Snapshot struct {
	Run   Run            `json:"run"`
	Tasks []TaskSnapshot `json:"tasks" nullable:"false"`
}

// TaskSnapshot is a task run in short.
type TaskSnapshot struct {
	Name       string         `json:"name"`
	State      flow.TaskState `json:"state"`
	Reason     string         `json:"reason,omitempty"`
	Attempt    int            `json:"attempt" doc:"Number of the last one; 0: none yet"`
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
}

// Event is a line of the system's own history.
type Event struct {
	At      time.Time    `json:"at"`
	Cause   string       `json:"cause"`
	Run     flow.RunID   `json:"run,omitempty"`
	Task    string       `json:"task,omitempty"`
	Node    fence.NodeID `json:"node,omitempty"`
	Epoch   flow.Epoch   `json:"epoch,omitempty"`
	Message string       `json:"message"`
}

// EventList is events, newest first.
type EventList struct {
	Events []Event `json:"events" nullable:"false"`
}

// Verification is what the ledger's checks found.
type Verification struct {
	Holds      bool        `json:"holds" doc:"No violation was found"`
	Verdict    string      `json:"verdict" enum:"holds,violated,empty" doc:"empty: there was no run, so that nothing was shown"`
	Runs       int         `json:"runs" doc:"How many were checked"`
	TaskRuns   int         `json:"task_runs" doc:"Of these, those that have a row or an attempt"`
	Attempts   int         `json:"attempts"`
	Violations []Violation `json:"violations" nullable:"false"`
	Unproven   []string    `json:"unproven" nullable:"false" doc:"What the history neither shows nor contradicts"`
	More       int         `json:"more,omitempty" doc:"Found beyond those listed"`
}

// Violation is a promise that the history contradicts.
type Violation struct {
	Promise    string          `json:"promise" doc:"P2 to P5"`
	Run        flow.RunID      `json:"run,omitempty"`
	Task       string          `json:"task,omitempty"`
	Generation flow.Generation `json:"generation,omitempty"`
	Message    string          `json:"message"`
}

// Status tells who answers.
type Status struct {
	Version   string       `json:"version"`
	Node      fence.NodeID `json:"node,omitempty"`
	StartedAt time.Time    `json:"started_at"`
}

// Health answers healthz and readyz.
type Health struct {
	Status string `json:"status" doc:"ok, or the health problem as an error answer"`
}

// Problem is every error answer: RFC 9457.
type Problem struct {
	Type   string   `json:"type,omitempty" doc:"about:blank"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail" doc:"What happened, to which object, and what to do next"`
	ID     string   `json:"id,omitempty" doc:"Of an unexpected error; the server's log has the rest under it"`
	Errors []Detail `json:"errors,omitempty" nullable:"false"`
}

// Detail is one of several faults of a request. Those of a workflow's source
// have a position in it.
type Detail struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"Such as body.params.region, query.limit"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Field    string `json:"field,omitempty" doc:"Such as tasks.load.needs[0]"`
}

package flow

// RunState is the state of a run.
//
//	queued ──> running ──> succeeded | failed
//	             │  ▲
//	             │  └── paused <── pausing <─┐
//	             ├───────────────────────────┘
//	             └──> stopping ──> stopped | succeeded | failed
//
// A final run goes back to running by a rerun.
type RunState string

// The states of a run.
const (
	RunQueued    RunState = "queued"
	RunRunning   RunState = "running"
	RunPausing   RunState = "pausing"
	RunPaused    RunState = "paused"
	RunStopping  RunState = "stopping"
	RunStopped   RunState = "stopped"
	RunFailed    RunState = "failed"
	RunSucceeded RunState = "succeeded"
)

// Final reports whether nothing happens in the run any more, unless it is
// rerun.
func (s RunState) Final() bool {
	return s == RunStopped || s == RunFailed || s == RunSucceeded
}

// TaskState is the state of a task run.
//
//	waiting ──> ready ──> dispatched ──> running ──> succeeded
//	   │          │  ▲         │            ├──────> failed
//	   │          │  └─────────┴─ retrying <┤
//	   │          └──> paused               ├──────> stopped
//	   └──> skipped                         └──────> held
type TaskState string

// The states of a task run.
const (
	TaskWaiting    TaskState = "waiting"
	TaskReady      TaskState = "ready"
	TaskDispatched TaskState = "dispatched"
	TaskRunning    TaskState = "running"
	TaskRetrying   TaskState = "retrying"
	TaskPaused     TaskState = "paused"
	TaskStopped    TaskState = "stopped"
	TaskFailed     TaskState = "failed"
	TaskSkipped    TaskState = "skipped"
	TaskSucceeded  TaskState = "succeeded"
	TaskHeld       TaskState = "held"
)

// Final reports whether the task run has its outcome.
func (s TaskState) Final() bool {
	return s == TaskStopped || s == TaskFailed || s == TaskSkipped || s == TaskSucceeded
}

// Active reports whether an attempt of the task run is on a worker, or on its
// way there.
func (s TaskState) Active() bool { return s == TaskDispatched || s == TaskRunning }

// AttemptState is the state of an attempt.
//
//	dispatched ──> running ──> succeeded | failed | stopped
//	    └────────────┴───────> lost
//	    └──> buried
type AttemptState string

// The states of an attempt. Lost: its node ended before its outcome was known.
// Buried: its worker never got it and has promised to refuse it.
const (
	AttemptDispatched AttemptState = "dispatched"
	AttemptRunning    AttemptState = "running"
	AttemptSucceeded  AttemptState = "succeeded"
	AttemptFailed     AttemptState = "failed"
	AttemptStopped    AttemptState = "stopped"
	AttemptLost       AttemptState = "lost"
	AttemptBuried     AttemptState = "buried"
)

// Final reports whether the attempt has ended.
func (s AttemptState) Final() bool { return s != AttemptDispatched && s != AttemptRunning }

// Cause says why a task run that never ran, or will not run again, is where it
// is; the machine decides by it, people read the reason.
type Cause string

// The causes. Skips by disabled and unselected count as success for what comes
// after; skips by condition and spread do not, see Join.
const (
	CauseNone       Cause = ""
	CauseDisabled   Cause = "disabled"   // switched off in the definition
	CauseUnselected Cause = "unselected" // the run was started without it
	CauseCondition  Cause = "condition"  // its when was false
	CauseSpread     Cause = "spread"     // what it needs was skipped
	CauseUpstream   Cause = "upstream"   // what it needs failed, was stopped, or was skipped for that
	CauseTemplate   Cause = "template"   // an expression of its definition could not be evaluated
	CauseEnding     Cause = "ending"     // stopped because another task failed under on_failure: end
	CauseAsked      Cause = "asked"      // stopped because somebody asked for it
)

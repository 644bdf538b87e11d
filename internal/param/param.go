// Package param holds parameters: their types and defaults, the values a run
// is started with, and the expressions ${{ }} over them and over the outputs
// of upstream tasks.
package param

// Values are parameters by name. A value is a string, int64, float64, bool,
// []any or map[string]any of those: what CEL knows natively.
type Values map[string]any

// Type is the declared type of a parameter.
type Type string

// The types. List and Map are written as JSON where they are given as text.
const (
	String Type = "string"
	Int    Type = "int"
	Float  Type = "float"
	Bool   Type = "bool"
	List   Type = "list"
	Map    Type = "map"
)

// Def declares a parameter of a workflow.
type Def struct {
	Name        string `json:"name"`
	Type        Type   `json:"type"`
	Default     any    `json:"default,omitempty"` // of that type; nil: none
	Required    bool   `json:"required,omitempty"`
	Description string `json:"description,omitempty"`
	Enum        []any  `json:"enum,omitempty"`   // if not empty: the only values allowed
	Secret      bool   `json:"secret,omitempty"` // masked in logs, API and CLI
}

// Scope is what an expression sees.
//
//	params.NAME                    the run's parameters
//	tasks.NAME.state               state of an upstream task, once final
//	tasks.NAME.outputs.KEY         its outputs, strings
//	run.id, run.workflow           the run
//	task.name, task.attempt        the task run itself
type Scope struct {
	Params Values
	Tasks  map[string]Upstream // at least those that Refs names
	Run    RunFacts
	Task   TaskFacts
}

// Upstream is a task that an expression refers to.
type Upstream struct {
	State   string
	Outputs map[string]string
}

// RunFacts are what an expression may know of its run.
type RunFacts struct{ ID, Workflow string }

// TaskFacts are what an expression may know of its own task run.
type TaskFacts struct {
	Name    string
	Attempt int
}

// Ref is a reference to an upstream task in an expression.
type Ref struct {
	Task   string
	Output string // empty: its state, or all of its outputs
}

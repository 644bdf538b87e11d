// Package task holds the task types: what can be set for each, and how an
// attempt of it is carried out on a worker.
package task

// The names of the task types.
const (
	TypeShell = "shell"
	TypeHTTP  = "http"
	TypeSleep = "sleep"
	TypeNoop  = "noop"
)

// Shell runs a script as a process. Script is handed to Interpreter in a file
// of its own; python and the like are the same type with another interpreter.
type Shell struct {
	Script      string   `json:"script"`
	Interpreter []string `json:"interpreter,omitempty"` // argv in front of the script file; default: sh -e
	Dir         string   `json:"dir,omitempty"`         // default: a directory of the attempt's own, removed after success
}

// HTTP sends one request. A status outside Expect fails the attempt.
type HTTP struct {
	Method  string            `json:"method,omitempty"` // default GET, POST with a body
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Expect  []string          `json:"expect,omitempty"`  // "200", "2xx", "200-204"; default 2xx
	Outputs map[string]string `json:"outputs,omitempty"` // name: "status", "body", "header:NAME", or "json:a.b[0].c"
	Timeout string            `json:"timeout,omitempty"` // of the request, as "30s"; default 60s
}

// Sleep does nothing for a while.
type Sleep struct {
	For string `json:"for"` // as "1m30s"
}

// Noop succeeds at once. It has no settings, and may set outputs for tests.
type Noop struct {
	Outputs map[string]string `json:"outputs,omitempty"`
}

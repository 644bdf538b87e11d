package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// inherited are the variables that a task gets from its runner; nothing else
// of the runner's environment is its business.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// baseEnv is what every attempt starts from.
func baseEnv() []string {
	var env []string
	for _, name := range inherited {
		value, ok := os.LookupEnv(name)
		if name == "PATH" && value == "" {
			value, ok = defaultPath, true
		}
		if ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// attemptTag marks all processes of an attempt, and nodeTag those of a node,
// unless they change their environment.
func attemptTag(node fence.NodeID, w *flow.Work) tag {
	return tag{
		"SEMEL_NODE=" + string(node), "SEMEL_RUN_ID=" + string(w.Run), "SEMEL_TASK=" + w.Task,
		"SEMEL_FENCING_TOKEN=" + strconv.FormatUint(uint64(w.Generation), 10),
	}
}

func nodeTag(node fence.NodeID) tag { return tag{"SEMEL_NODE=" + string(node)} }

// environ is the environment of an attempt. A name occurs once: programs
// differ in which one of two they take. Semel's own cannot be set by a task.
func environ(base []string, t tag, w *flow.Work, output string) []string {
	own := append(slices.Clip([]string(t)),
		"SEMEL_ATTEMPT="+strconv.Itoa(w.Number), "SEMEL_IDEMPOTENCY_KEY="+w.Key,
		"SEMEL_WORKFLOW="+w.Workflow, "SEMEL_OUTPUT="+output)
	env := make([]string, 0, len(own)+len(base)+len(w.Env))
	env = append(env, own...)
	for i := len(w.Env) - 1; i >= 0; i-- { // the last of two counts
		if !hasVariable(env, w.Env[i]) {
			env = append(env, w.Env[i])
		}
	}
	for _, v := range base {
		if !hasVariable(env, v) {
			env = append(env, v)
		}
	}
	return env
}

// hasVariable reports whether env has a variable of the same name as v.
func hasVariable(env []string, v string) bool {
	end := strings.IndexByte(v, '=')
	if end < 0 {
		return true // without a value it is no variable: left out
	}
	name := v[:end+1]
	for _, e := range env {
		if strings.HasPrefix(e, name) {
			return true
		}
	}
	return false
}

// programs finds programs on the search path, and remembers where.
type programs struct{ found sync.Map } // PATH + NUL + name: path

// find returns the path of a program as it is called in an attempt with this
// environment.
func (ps *programs) find(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	search := defaultPath
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			search = path
		}
	}
	key := search + "\x00" + name
	if path, ok := ps.found.Load(key); ok {
		return path.(string), nil
	}
	for _, dir := range filepath.SplitList(search) {
		if !filepath.IsAbs(dir) {
			continue // the working directory of the runner means nothing to a task
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			ps.found.Store(key, path)
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// lose forgets where a program was: it was not there any more.
func (ps *programs) lose() { ps.found.Clear() }

//go:build faults

package fault

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// plan is where this process is to die.
type plan struct {
	name string
	left atomic.Int64 // how often it still has to get there
}

// chosen is nil if nothing is to happen.
var chosen = mustRead(os.Getenv(Variable))

// Point is a place where this process dies if SEMEL_FAULT says so.
func Point(name string) {
	if chosen == nil || chosen.name != name || chosen.left.Add(-1) != 0 {
		return
	}
	die()
}

// die does what the kernel does to a process that is out of luck.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(fmt.Sprintf("fault: this process could not kill itself: %v", err))
	}
	select {} // the signal is on its way
}

// mustRead panics if the variable names no place: a test that waits for a
// crash would wait for ever.
func mustRead(value string) *plan {
	p, err := parse(value)
	if err != nil {
		panic(fmt.Sprintf("fault: %s=%s: %v", Variable, value, err))
	}
	return p
}

func parse(value string) (*plan, error) {
	if value == "" {
		return nil, nil
	}
	name, action, _ := strings.Cut(value, ":")
	action, count, counted := strings.Cut(action, ":")
	if !slices.Contains(Names, name) {
		return nil, fmt.Errorf("no place has the name %q; the places are %s", name, strings.Join(Names, ", "))
	}
	if action != "exit" {
		return nil, fmt.Errorf("unknown action %q: use exit", action)
	}
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(count, 10, 64); err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a count: use 1 or more", count)
		}
	}
	p := &plan{name: name}
	p.left.Store(n)
	return p, nil
}

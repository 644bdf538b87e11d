package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"syscall"

	"github.com/semel-dev/semel/internal/fence"
)

// containment holds together whatever the attempts of a node start, and
// whatever that forks away.
type containment interface {
	kind() Containment
	// cgroup is the directory of the node's cgroup, empty without one.
	cgroup() string
	// open makes the container of one attempt.
	open(t tag) (group, error)
	// killAll ends every process of the node at once, without waiting for
	// their death. It reports false if that has to be done group by group.
	killAll() bool
	// close removes what is left. All groups were released before.
	close()
}

// group is the container of one attempt.
type group interface {
	// prepare changes what is started so that it starts inside.
	prepare(c *command)
	// kill ends every process inside at once, without waiting. It is called
	// after the start and before the first process was reaped.
	kill(pid int) error
	// empty kills what is left inside and returns when nothing is. It is
	// called when the first process is dead and not yet reaped, so that its
	// number cannot belong to somebody else.
	empty(pid int) error
	// release gives back what the group took; it may be slow.
	release()
}

// command is a process about to be started.
type command struct {
	path string
	argv []string
	attr syscall.SysProcAttr
}

// newContainment climbs down the ladder to the first rung that works here, or
// takes the one that was asked for.
func newContainment(want Containment, node fence.NodeID, log *slog.Logger) (containment, error) {
	rungs := []struct {
		kind Containment
		open func() (containment, error)
	}{
		{Cgroup, func() (containment, error) { return newCgroups(node, log) }},
		{Pidns, func() (containment, error) { return newNamespaces() }},
		{Weak, func() (containment, error) { return processGroups{}, nil }},
	}
	for _, rung := range rungs {
		if want != Auto && want != rung.kind {
			continue
		}
		c, err := rung.open()
		if err == nil {
			return c, nil
		}
		if want != Auto {
			return nil, fmt.Errorf("containment %s does not work here: %w", want, err)
		}
		log.Info("containment does not work here", "containment", string(rung.kind), "cause", err)
	}
	return nil, fmt.Errorf("containment %q is not known; write auto, cgroup, pidns or weak", want)
}

// namespaces put each attempt into a PID namespace of its own. When its first
// process dies, the kernel kills the others before anybody hears of it.
type namespaces struct {
	shell string
	attr  syscall.SysProcAttr
}

// initScript is the first process of a namespace. A task must not be that
// itself: such a process ignores the signals it has no handler for, so that no
// polite signal would end it.
const initScript = `trap 'hit=1' TERM INT HUP
"$@" <&0 & task=$!
last=
while :; do
	hit=
	wait "$task"; status=$?
	if [ "$status" -eq 127 ] && [ -n "$last" ]; then exit "$last"; fi # the wait before had it already
	[ -z "$hit" ] && exit "$status"
	last=$status
done`

func newNamespaces() (*namespaces, error) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return nil, errors.New("there is no sh to be the first process of a namespace")
	}
	n := &namespaces{shell: shell}
	n.attr.Cloneflags = syscall.CLONE_NEWPID
	if uid := syscall.Geteuid(); uid != 0 {
		gid := syscall.Getegid()
		n.attr.Cloneflags |= syscall.CLONE_NEWUSER
		n.attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		n.attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	return n, probe(n.attr)
}

// probe tries whether a process can be started with attr, by starting one that
// cannot be executed: what fails before that, fails because of attr.
func probe(attr syscall.SysProcAttr) error {
	const nothing = "/proc/self/no-such-program"
	pid, _, err := syscall.StartProcess(nothing, []string{nothing}, &syscall.ProcAttr{Sys: &attr})
	if err == nil {
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		return nil
	}
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return fmt.Errorf("start a process: %w", err)
}

func (n *namespaces) kind() Containment       { return Pidns }
func (n *namespaces) cgroup() string          { return "" }
func (n *namespaces) open(tag) (group, error) { return namespace{n}, nil }
func (n *namespaces) killAll() bool           { return false }
func (n *namespaces) close()                  {}

type namespace struct{ all *namespaces }

func (n namespace) prepare(c *command) {
	c.argv = append([]string{"sh", "-c", initScript, "sh", c.path}, c.argv[1:]...)
	c.path = n.all.shell
	c.attr.Cloneflags |= n.all.attr.Cloneflags
	c.attr.UidMappings, c.attr.GidMappings = n.all.attr.UidMappings, n.all.attr.GidMappings
}

func (n namespace) kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
func (n namespace) empty(int) error    { return nil } // the kernel has seen to it
func (n namespace) release()           {}

// processGroups are the last resort: a process group, and a search for the
// attempt's tag in the environments of all processes. What leaves the group
// and drops its environment is not found.
type processGroups struct{}

func (processGroups) kind() Containment         { return Weak }
func (processGroups) cgroup() string            { return "" }
func (processGroups) open(t tag) (group, error) { return processGroup{t}, nil }
func (processGroups) killAll() bool             { return false }
func (processGroups) close()                    {}

type processGroup struct{ tag tag }

func (processGroup) prepare(*command) {}

func (g processGroup) kill(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	_, err := sweep(g.tag)
	return err
}

func (g processGroup) empty(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EPERM) {
		return err
	}
	return sweepAll(g.tag)
}

func (processGroup) release() {}

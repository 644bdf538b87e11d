// Package e2e drives the built program as its users do, through what goes wrong
// on a machine: bad input, tasks that misbehave, disks that fill up, files that
// are damaged, servers that are ended.
package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/test/process"
)

// binary is the program under test.
var binary string

// insideVariable marks the second life of the test process, see TestMain.
const insideVariable = "SEMEL_E2E_INSIDE"

// TestMain runs the tests in a mount namespace of their own, so that they can
// mount small disks and leave nothing behind, however they end. Who is not root
// becomes root in a user namespace for that.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(insideVariable) == "" {
		os.Exit(enter())
	}
	os.Exit(build(m))
}

// enter runs this test once more, in its namespaces, and returns its exit code.
func enter() int {
	runtime.LockOSThread() // the death of the parent is that of the thread
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "these tests mount small disks: run them as root, or where user namespaces are allowed:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

func build(m *testing.M) int {
	// What is mounted here is not to be seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "semel-e2e")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "semel")
	if err := process.Build(binary, ""); err != nil {
		panic(err)
	}
	return m.Run()
}

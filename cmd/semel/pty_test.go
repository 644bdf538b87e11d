package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// inTerminal runs a program in a terminal of its own: what it wrote is in the
// file raw then, and what one would see at its end in the file screen.
func inTerminal(ts *testscript.TestScript, neg bool, args []string) {
	var width, height uint16
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal WIDTHxHEIGHT PROGRAM ARGS...")
	}
	if _, err := fmt.Sscanf(args[0], "%dx%d", &width, &height); err != nil {
		ts.Fatalf("%q is not WIDTHxHEIGHT: %v", args[0], err)
	}
	ours, theirs, err := openTerminal(&unix.Winsize{Col: width, Row: height})
	ts.Check(err)
	defer ours.Close()
	program := scriptProgram(ts, args[1])
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "LANG", "TZ", "TERM", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ts.Check(theirs.Close())
	var raw bytes.Buffer
	_, _ = io.Copy(&raw, ours) // ends with an error where the other end is closed
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("%v\n%s", err, raw.String())
	}
	screen := &terminal{width: int(width)}
	if _, err := screen.Write(raw.Bytes()); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("raw"), raw.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(strings.Join(screen.lines(), "\n")+"\n"), 0o600))
}

// openTerminal returns both ends of a new pseudo-terminal.
func openTerminal(size *unix.Winsize) (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(ours.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size)
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		_ = ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

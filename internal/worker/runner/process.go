package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// stuckAfter is how long a dead attempt may take to be proven so before the
// log says that it is stuck.
const stuckAfter = 10 * time.Second

// outputWithin is how long the output of a dead attempt may take to end. Who
// still holds it then has escaped the containment.
const outputWithin = 5 * time.Second

// spawn is one of the goroutines that start processes. It keeps its thread to
// itself for ever, since the parent-death signal of a child is sent when the
// thread that made it ends, and Go ends threads as it likes.
func (r *Runner) spawn() {
	runtime.LockOSThread() // never unlocked: the thread ends with this function, when no process is left
	for {
		a, ok := r.queue.take()
		if !ok {
			return
		}
		a.start()
	}
}

// process is the running process of an attempt.
type process struct {
	attempt *attempt
	pid     int
	pidfd   int // -1 if the kernel has none
	group   group
	desk    *desk
	log     *logFile
	output  *os.File      // the end of the pipe that is read
	copied  chan struct{} // closed when the output has ended
	escaped bool          // one of its processes lives on, outside
}

// start carries the attempt out as a process.
func (a *attempt) start() {
	if e, ok := a.mayStart(Now()); !ok {
		a.skip(e)
		return
	}
	spec, err := a.kind.(task.Process).Command(a.work.Config)
	if err != nil {
		a.refuse(err.Error())
		return
	}
	if spec.Dir != "" && !filepath.IsAbs(spec.Dir) {
		a.refuse(fmt.Sprintf("the working directory %q is not absolute", spec.Dir))
		return
	}
	desk, err := a.runner.dirs.open(a.work, spec.Script)
	if err != nil {
		a.refuse(err.Error())
		return
	}
	if err := a.launch(&spec, desk); err != nil {
		a.refuse(err.Error())
		a.runner.clean(func() { a.runner.dirs.leave(desk, a.work, false) })
	}
}

// launch starts the process and returns; what follows is up to await.
func (a *attempt) launch(spec *task.Command, at *desk) error {
	r := a.runner
	t := attemptTag(r.hello.Node, a.work)
	env := environ(r.env, t, a.work, at.output)
	if spec.Script != "" {
		spec.Argv = append(spec.Argv, at.script)
	}
	if spec.Dir == "" {
		spec.Dir = at.own
	}
	path, err := r.programs.find(spec.Argv[0], env)
	if err != nil {
		return fmt.Errorf("there is no program %q on the PATH of this worker", spec.Argv[0])
	}
	group, err := r.contain.open(t)
	if err != nil {
		return err
	}
	p := &process{attempt: a, group: group, desk: at, pidfd: -1, copied: make(chan struct{})}
	cmd := &command{path: path, argv: spec.Argv}
	cmd.attr.Setsid, cmd.attr.Pdeathsig, cmd.attr.PidFD = true, syscall.SIGKILL, &p.pidfd
	group.prepare(cmd)
	output, err := p.exec(cmd, spec.Dir, env)
	if err != nil {
		group.release()
		r.programs.lose()
		return startError(err, path, spec.Dir)
	}
	p.log, p.output = a.newLog(), output
	r.waiting.Go(func() {
		defer close(p.copied)
		p.log.copyFrom(output)
		output.Close()
	})
	r.waiting.Go(p.await)
	return nil
}

// exec clones and enters the process. The deadline is looked at on both sides
// of the clone: before it in start, after it here. A kill of the whole node in
// between finds either the process or the mark that was left before it.
func (p *process) exec(cmd *command, dir string, env []string) (*os.File, error) {
	r := p.attempt.runner
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make a pipe for the output: %w", err)
	}
	null, out := r.null.Fd(), uintptr(pipe[1])
	started := Now()
	pid, _, err := syscall.StartProcess(cmd.path, cmd.argv, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{null, out, out}, Sys: &cmd.attr,
	})
	unix.Close(pipe[1])
	if err != nil {
		unix.Close(pipe[0])
		return nil, err
	}
	p.pid = pid
	p.attempt.begins(started, p.polite, p.kill)
	if !r.holds(bootNow()) {
		p.attempt.end(expiry, 0)
	}
	_, _ = unix.FcntlInt(uintptr(pipe[0]), unix.F_SETFL, unix.O_NONBLOCK)
	return os.NewFile(uintptr(pipe[0]), "output"), nil
}

// polite asks the processes of the group to end, also those that are stopped.
func (p *process) polite() {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	_ = syscall.Kill(-p.pid, syscall.SIGCONT)
}

func (p *process) kill() {
	if err := p.group.kill(p.pid); err != nil {
		p.attempt.runner.cfg.Log.Error("cannot kill an attempt", "run", p.attempt.ref.Run, "task", p.attempt.ref.Task, "cause", err)
	}
}

// await sees the process to its end: the first process dies, then whatever it
// has left behind, and only then the outcome is told.
func (p *process) await() {
	a, r := p.attempt, p.attempt.runner
	p.waitFirst()
	stuck := time.AfterFunc(stuckAfter, func() {
		r.cfg.Log.Error("processes of an attempt survive a kill; it stays running until they are gone", "run", a.ref.Run, "task", a.ref.Task, "pid", p.pid)
	})
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := p.group.empty(p.pid)
		if err == nil {
			break
		}
		// Nothing is told that is not proven.
		r.cfg.Log.Error("cannot prove that an attempt has ended", "run", a.ref.Run, "task", a.ref.Task, "cause", err)
		time.Sleep(wait)
	}
	stuck.Stop()
	ended := a.over()
	status, err := p.reap()
	p.drain()
	p.log.close()
	outcome := p.outcome(status, err, ended)
	r.clean(func() { // before it is told, so that it comes before what a Forget has cleaned
		p.group.release()
		if p.escaped {
			return // its desk is not for anybody else
		}
		r.dirs.leave(p.desk, a.work, outcome.Result != flow.Succeeded)
	})
	a.finish(&outcome)
}

// drain waits for the end of the output. Nothing of the attempt lives, so it has
// ended, unless a process has escaped: that one must not make the attempt
// endless, since nobody can stop it.
func (p *process) drain() {
	a, r := p.attempt, p.attempt.runner
	patience := time.NewTimer(r.outputWithin)
	defer patience.Stop()
	select {
	case <-p.copied:
		return
	case <-patience.C:
	}
	p.escaped = true
	holders := pipeHolders(p.output)
	p.output.Close() // ends the copier
	<-p.copied
	r.cfg.Log.Warn("the output of an attempt that has ended is still held open; it is cut off", "run", a.ref.Run, "task", a.ref.Task, "by", holders)
	fmt.Fprintf(p.log, "\n[semel: the output was still held open by %s, which has escaped from this attempt; it is cut off here]\n", holders)
}

// waitFirst blocks until the first process of the attempt is dead. It is not
// reaped yet, so that its number stays its own.
func (p *process) waitFirst() {
	dead := func(idType, id, options int) bool {
		var info unix.Siginfo
		err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if errors.Is(err, unix.EINTR) {
			return false
		}
		return err != nil || info.Signo != 0
	}
	if p.pidfd >= 0 {
		_, _ = unix.FcntlInt(uintptr(p.pidfd), unix.F_SETFL, unix.O_NONBLOCK)
		f := os.NewFile(uintptr(p.pidfd), "process") // waits without a thread of its own
		defer f.Close()
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Read(func(fd uintptr) bool { return dead(unix.P_PIDFD, int(fd), unix.WNOHANG) })
		}
		if err == nil {
			return
		}
	}
	for !dead(unix.P_PID, p.pid, 0) {
	}
}

func (p *process) reap() (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(p.pid, &status, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status, err
		}
	}
}

// outcome judges the end of the process. Without a status (unread says why) it
// is unknown: zero would pass for success.
func (p *process) outcome(status syscall.WaitStatus, unread error, ended ending) flow.Outcome {
	var o flow.Outcome
	if unread == nil && status.Exited() {
		code := status.ExitStatus()
		o.ExitCode = &code
	}
	if ended.result == flow.Expired && unread == nil && status.Exited() && !p.attempt.wasAsked() {
		// Nobody exits who is killed: it had ended by itself before, and that
		// counts.
		ended = ending{}
	}
	switch {
	case ended.result != "":
		o.Result, o.Reason = ended.result, ended.reason
	case unread != nil:
		o.Result, o.Reason = flow.Expired, fmt.Sprintf("it has ended, but its exit status cannot be read (%v); how far it had come is unknown", unread)
	case status.Signaled() && status.Signal() == syscall.SIGKILL && !p.attempt.runner.holds(bootNow()):
		// The second killer was faster than this process, which had been frozen.
		o.Result, o.Reason = expiry.result, expiry.reason
	case status.Signaled():
		o.Result = flow.Failed
		o.Reason = fmt.Sprintf("killed by signal %d (%s)", status.Signal(), unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		o.Result, o.Reason = flow.Failed, fmt.Sprintf("exit status %d", status.ExitStatus())
	default:
		outputs, err := readOutputs(p.desk.output)
		if err != nil {
			o.Result, o.Reason = flow.Failed, err.Error()
			break
		}
		o.Result, o.Outputs = flow.Succeeded, outputs
	}
	return o
}

// startError says in words of the task's author why a process did not start.
// The kernel gives one number for the directory, the program and its own
// interpreter.
func startError(err error, path, dir string) error {
	if info, statErr := os.Stat(dir); statErr != nil {
		return fmt.Errorf("the working directory %s: %w", dir, plainPathError(statErr))
	} else if !info.IsDir() {
		return fmt.Errorf("the working directory %s is not a directory", dir)
	}
	if unix.Access(dir, unix.X_OK) != nil {
		return fmt.Errorf("the working directory %s may not be entered by this worker", dir)
	}
	_, statErr := os.Stat(path)
	switch {
	case statErr != nil:
		return fmt.Errorf("the program %s: %w", path, plainPathError(statErr))
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("the program %s names an interpreter (in its first line) that does not exist", path)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("the program %s may not be executed by this worker", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("the file %s is not a program that this machine can execute", path)
	case errors.Is(err, syscall.E2BIG):
		return errors.New("its arguments and environment together are larger than the kernel takes; pass large values in files")
	case errors.Is(err, syscall.EAGAIN):
		return errors.New("this worker may not start more processes (ulimit -u, or the pids limit of its cgroup)")
	}
	return fmt.Errorf("start %s: %w", path, err)
}

func plainPathError(err error) error {
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

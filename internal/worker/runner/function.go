package runner

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/task"
)

// call carries an attempt out within the runner. Its end can only be asked
// for; the types that do this return at once.
func (a *attempt) call(ctx context.Context, f task.Function) {
	if e, ok := a.mayStart(Now()); !ok {
		a.skip(e)
		return
	}
	if !validRun(string(a.work.Run)) || !validName(a.work.Task) {
		a.refuse("its run or its name cannot be the name of a file")
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.begins(Now(), cancel, cancel)
	log := a.newLog()
	done := callSafely(ctx, f, task.Request{Config: a.work.Config, Log: log})
	log.close()
	o := judge(done)
	if ended := a.over(); ended.result != "" {
		o = flow.Outcome{Result: ended.result, Reason: ended.reason}
	}
	a.finish(&o)
}

// callSafely turns a panic into a failure: one broken task type must not end
// the runner, and with it every task of the node.
func callSafely(ctx context.Context, f task.Function, r task.Request) (done task.Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			fmt.Fprintf(r.Log, "panic: %v\n%s\n", cause, debug.Stack())
			done = task.Outcome{Failure: fmt.Sprintf("task type %s broke down: %v; this is a fault of Semel, its log has the details", f.Name(), cause)}
		}
	}()
	return f.Do(ctx, r)
}

// judge turns what a task type says into an outcome.
func judge(done task.Outcome) flow.Outcome {
	if done.Failure != "" {
		return flow.Outcome{Result: flow.Failed, Reason: done.Failure}
	}
	if err := checkOutputs(done.Outputs); err != nil {
		return flow.Outcome{Result: flow.Failed, Reason: err.Error()}
	}
	return flow.Outcome{Result: flow.Succeeded, Outputs: done.Outputs}
}

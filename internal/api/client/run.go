package client

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// waitEach is how long one request of a wait stays with the server.
const waitEach = 30 * time.Second

// Start starts a run of a stored workflow. Without a Key it makes one, so that
// a lost answer cannot start a second run; the same holds for every command.
func (c *Client) Start(ctx context.Context, request api.StartRequest) (api.Run, error) {
	var answer api.Started
	err := c.do(ctx, keyed("/runs", request, request.Key), &answer)
	return answer.Run, err
}

// StartInline applies a source and starts a run of it.
func (c *Client) StartInline(ctx context.Context, request api.StartInlineRequest) (api.Run, error) {
	var answer api.Started
	err := c.do(ctx, keyed("/runs/inline", request, request.Key), &answer)
	return answer.Run, err
}

// RunQuery chooses runs; its zero value chooses the 50 newest.
type RunQuery struct {
	Workflow      string
	States        []flow.RunState
	CreatedFrom   time.Time // inclusive
	CreatedBefore time.Time // exclusive
	After         string    // the Next of the page before
	Limit         int       // 0: 50; at most 1000
}

// Runs returns a page of runs, newest first.
func (c *Client) Runs(ctx context.Context, q RunQuery) (api.RunList, error) {
	query := url.Values{}
	for _, state := range q.States {
		query.Add("state", string(state))
	}
	for name, value := range map[string]string{"workflow": q.Workflow, "after": q.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"created_from": q.CreatedFrom, "created_before": q.CreatedBefore} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	var answer api.RunList
	err := c.do(ctx, call{method: http.MethodGet, path: "/runs", query: query}, &answer)
	return answer, err
}

// Run returns a run with its task runs and attempts.
func (c *Client) Run(ctx context.Context, run flow.RunID) (api.RunDetail, error) {
	var answer api.RunDetail
	err := c.do(ctx, call{method: http.MethodGet, path: runPath(run)}, &answer)
	return answer, err
}

// Wait returns once the run is final.
func (c *Client) Wait(ctx context.Context, run flow.RunID) (api.RunDetail, error) {
	query := url.Values{"for": {"final"}, "wait": {waitEach.String()}}
	for {
		var answer api.RunDetail
		if err := c.do(ctx, call{method: http.MethodGet, path: runPath(run), query: query}, &answer); err != nil {
			return api.RunDetail{}, err
		}
		if answer.Run.State.Final() {
			return answer, nil
		}
	}
}

// Stop asks for the end of a run. The command is stored when it returns, and
// carried out soon after: see Command.
func (c *Client) Stop(ctx context.Context, run flow.RunID, request api.StopRequest) (api.Command, error) {
	return c.command(ctx, run, "stop", request, request.Key)
}

// Pause asks that nothing new starts in a run.
func (c *Client) Pause(ctx context.Context, run flow.RunID, request api.PauseRequest) (api.Command, error) {
	return c.command(ctx, run, "pause", request, request.Key)
}

// Resume asks for the end of a pause, or for the release of held task runs.
func (c *Client) Resume(ctx context.Context, run flow.RunID, request api.ResumeRequest) (api.Command, error) {
	return c.command(ctx, run, "resume", request, request.Key)
}

// Rerun asks that a final run, or part of it, is run again.
func (c *Client) Rerun(ctx context.Context, run flow.RunID, request api.RerunRequest) (api.Command, error) {
	return c.command(ctx, run, "rerun", request, request.Key)
}

// Command returns a command, after waiting up to wait for it to be carried
// out; see its DoneAt and Refused.
func (c *Client) Command(ctx context.Context, id string, wait time.Duration) (api.Command, error) {
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	var answer api.Commanded
	err := c.do(ctx, call{method: http.MethodGet, path: "/commands/" + url.PathEscape(id), query: query}, &answer)
	return answer.Command, err
}

// Task returns one task run with its attempts.
func (c *Client) Task(ctx context.Context, run flow.RunID, task string) (api.TaskRun, error) {
	var answer api.TaskRun
	err := c.do(ctx, call{method: http.MethodGet, path: taskPath(run, task)}, &answer)
	return answer, err
}

// Attempts returns every attempt of a task run, oldest first.
func (c *Client) Attempts(ctx context.Context, run flow.RunID, task string) ([]api.Attempt, error) {
	var answer api.AttemptList
	err := c.do(ctx, call{method: http.MethodGet, path: taskPath(run, task) + "/attempts"}, &answer)
	return answer.Attempts, err
}

// Explain says why a run, and each of its task runs that is not final, has not
// ended. With a task, only that one is explained, also if it is final.
func (c *Client) Explain(ctx context.Context, run flow.RunID, task string) (api.Explanation, error) {
	query := url.Values{}
	if task != "" {
		query.Set("task", task)
	}
	var answer api.Explanation
	err := c.do(ctx, call{method: http.MethodGet, path: runPath(run) + "/explain", query: query}, &answer)
	return answer, err
}

// Watch yields a snapshot of the run now, and again when something has changed,
// until it is final: ten a second at most, of 100,000 task runs one in three
// seconds, but the last one without delay. A connection that breaks is an
// error, the last thing that is yielded; watching again loses nothing.
func (c *Client) Watch(ctx context.Context, run flow.RunID) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for message, err := range c.stream(ctx, call{method: http.MethodGet, path: runPath(run) + "/watch"}) {
			if err != nil {
				yield(api.Snapshot{}, err)
				return
			}
			if message.event == "end" {
				return
			}
			var snapshot api.Snapshot
			if err := message.decode(&snapshot); err != nil {
				yield(api.Snapshot{}, err)
				return
			}
			if !yield(snapshot, nil) {
				return
			}
		}
	}
}

func (c *Client) command(ctx context.Context, run flow.RunID, kind string, body any, key string) (api.Command, error) {
	var answer api.Commanded
	err := c.do(ctx, keyed(runPath(run)+"/"+kind, body, key), &answer)
	return answer.Command, err
}

// keyed is a POST that may be repeated, since its key makes it one request.
func keyed(path string, body any, key string) call {
	return call{method: http.MethodPost, path: path, body: body, key: cmp.Or(key, uuid.NewString()), repeatable: true}
}

func runPath(run flow.RunID) string { return "/runs/" + url.PathEscape(string(run)) }

func taskPath(run flow.RunID, task string) string {
	return runPath(run) + "/tasks/" + url.PathEscape(task)
}

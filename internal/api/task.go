package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/semel-dev/semel/internal/flow"
)

func (s *Server) taskRoutes(a huma.API) {
	register(s, a, operation{
		id: "show-task", method: http.MethodGet, path: apiPath + "/runs/{run}/tasks/{task}", tag: "tasks",
		summary: "A task run with its attempts",
	}, s.showTask)
	register(s, a, operation{
		id: "list-attempts", method: http.MethodGet, path: apiPath + "/runs/{run}/tasks/{task}/attempts", tag: "tasks",
		summary: "The attempts of a task run, oldest first",
	}, s.listAttempts)
	register(s, a, operation{
		id: "explain", method: http.MethodGet, path: apiPath + "/runs/{run}/explain", tag: "tasks",
		summary: "One sentence for everything that has not ended",
	}, s.explainRun)
	s.logRoutes(a)
}

type taskInput struct {
	Run  flow.RunID `path:"run"`
	Task string     `path:"task"`
}

type taskOutput struct{ Body TaskRun }

func (s *Server) showTask(ctx context.Context, in *taskInput) (*taskOutput, error) {
	task, err := s.taskRun(ctx, in)
	if err != nil {
		return nil, err
	}
	return &taskOutput{Body: *task}, nil
}

type attemptsOutput struct{ Body AttemptList }

func (s *Server) listAttempts(ctx context.Context, in *taskInput) (*attemptsOutput, error) {
	task, err := s.taskRun(ctx, in)
	if err != nil {
		return nil, err
	}
	return &attemptsOutput{Body: AttemptList{Attempts: task.Attempts}}, nil
}

func (s *Server) taskRun(ctx context.Context, in *taskInput) (*TaskRun, error) {
	loaded, err := s.reader.load(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	view, err := loaded.task(in.Task)
	if err != nil {
		return nil, err
	}
	attempts, err := loaded.attempts(ctx, s.Store, in.Task)
	if err != nil {
		return nil, err
	}
	task := loaded.taskRun(view, attempts[in.Task])
	return &task, nil
}

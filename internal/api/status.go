package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// readyTimeout bounds the answer to somebody who asks every few seconds.
const readyTimeout = 5 * time.Second

func (s *Server) serverRoutes(a huma.API) {
	register(s, a, operation{
		id: "list-run-events", method: http.MethodGet, path: apiPath + "/runs/{run}/events", tag: "events",
		summary: "What happened to a run, newest first",
	}, s.listRunEvents)
	register(s, a, operation{
		id: "list-events", method: http.MethodGet, path: apiPath + "/events", tag: "events",
		summary: "What happened, newest first",
	}, s.listEvents)
	register(s, a, operation{
		id: "verify", method: http.MethodGet, path: apiPath + "/verify", tag: "server",
		summary: "Check the promises over the whole ledger", slow: true,
	}, s.verify)
	register(s, a, operation{
		id: "verify-now", method: http.MethodPost, path: apiPath + "/verify", tag: "server",
		summary: "The same, for those who take a check for an action", slow: true,
	}, s.verify)
	register(s, a, operation{
		id: "status", method: http.MethodGet, path: apiPath + "/status", tag: "server",
		summary: "Who answers",
	}, s.status)
	register(s, a, operation{
		id: "healthz", method: http.MethodGet, path: "/healthz", tag: "server",
		summary: "200 while the process answers",
	}, s.healthz)
	register(s, a, operation{
		id: "readyz", method: http.MethodGet, path: "/readyz", tag: "server",
		summary: "200 while the store can be written and every partition has an owner, else 503",
	}, s.readyz)
}

type runEventsInput struct {
	Run   flow.RunID `path:"run"`
	Limit int        `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type eventsOutput struct{ Body EventList }

func (s *Server) listRunEvents(ctx context.Context, in *runEventsInput) (*eventsOutput, error) {
	loaded, err := s.reader.load(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	return s.events(ctx, in.Run, in.Limit, loaded.mask)
}

type eventsInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (s *Server) listEvents(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	return s.events(ctx, "", in.Limit, func(text string) string { return text })
}

func (s *Server) events(ctx context.Context, run flow.RunID, limit int, mask func(string) string) (*eventsOutput, error) {
	stored, err := s.Store.Events(ctx, run, limit)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	out := &eventsOutput{Body: EventList{Events: make([]Event, 0, len(stored))}}
	for i := range stored {
		out.Body.Events = append(out.Body.Events, shownEvent(&stored[i], mask))
	}
	return out, nil
}

func shownEvent(e *partition.Event, mask func(string) string) Event {
	return Event{At: e.At, Cause: e.Cause, Run: e.Run, Task: e.Task, Node: e.Node, Epoch: e.Epoch, Message: mask(e.Message)}
}

type statusOutput struct{ Body Status }

func (s *Server) status(context.Context, *struct{}) (*statusOutput, error) {
	return &statusOutput{Body: s.Status}, nil
}

type healthOutput struct{ Body Health }

func (s *Server) healthz(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{Body: Health{Status: "ok"}}, nil
}

func (s *Server) readyz(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Store.Health(ctx); err != nil {
		return nil, problem(http.StatusServiceUnavailable, "the store cannot be written: %v", err)
	}
	for p := range s.Partitions {
		position, err := s.Store.Position(ctx, p)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("read partition %d: %w", p, err)
		}
		if position.Owner == "" {
			return nil, problem(http.StatusServiceUnavailable, "partition %d has no owner yet", p)
		}
	}
	return &healthOutput{Body: Health{Status: "ok"}}, nil
}

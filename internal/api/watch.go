package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/semel-dev/semel/internal/flow"
)

// watchPause is the least time between two snapshots of one client. A run that
// takes long to read is read less often: at most a fifth of a core per client.
const (
	watchPause = 100 * time.Millisecond
	watchShare = 4
)

func (s *Server) watchRoutes(a huma.API) {
	register(s, a, operation{
		id: "watch", method: http.MethodGet, path: apiPath + "/runs/{run}/watch", tag: "runs",
		summary: "Server-sent events: a snapshot now and after each change, and \"end\" once the run is final",
	}, s.watchRun)
	describeEvents(a, apiPath+"/runs/{run}/watch", reflect.TypeFor[Snapshot]())
}

// describeEvents says what the data of a stream's messages is.
func describeEvents(a huma.API, path string, data ...reflect.Type) {
	var oneOf []*huma.Schema
	for _, t := range data {
		oneOf = append(oneOf, a.OpenAPI().Components.Schemas.Schema(t, true, ""))
	}
	answer := a.OpenAPI().Paths[path].Get.Responses["200"]
	if answer.Content == nil {
		answer.Content = map[string]*huma.MediaType{}
	}
	answer.Content["text/event-stream"] = &huma.MediaType{
		Schema: &huma.Schema{Description: "JSON of the data of each message", OneOf: oneOf},
	}
}

type watchInput struct {
	Run flow.RunID `path:"run"`
}

func (s *Server) watchRun(ctx context.Context, in *watchInput) (*huma.StreamResponse, error) {
	if _, err := s.reader.load(ctx, in.Run); err != nil {
		return nil, err
	}
	release, err := s.stream()
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer release()
		to, ctx := openEvents(c)
		if err := s.watch(ctx, to, in.Run); err != nil && ctx.Err() == nil {
			s.Log.Debug("a watched run ended early", "run", in.Run, "error", err)
		}
	}}, nil
}

// watch sends the newest snapshot whenever it differs from the last one. While
// a client does not read, write blocks and nothing is read for it.
func (s *Server) watch(ctx context.Context, to *events, run flow.RunID) error {
	changed, cancel := s.Store.Changed()
	defer cancel()
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	var last []byte
	for {
		begun := time.Now()
		loaded, err := s.reader.load(ctx, run)
		if err != nil {
			return err
		}
		snapshot, err := json.Marshal(loaded.snapshot())
		if err != nil {
			return err
		}
		if !bytes.Equal(snapshot, last) {
			if err := to.sendEncoded("snapshot", "", snapshot); err != nil {
				return err
			}
			last = snapshot
		}
		if loaded.rows.Run.State.Final() {
			return to.send("end", "", struct{}{})
		}
		if !s.pause(ctx, max(watchPause, watchShare*time.Since(begun))) {
			return nil
		}
		if err := s.nextChange(ctx, to, changed, beat.C); err != nil {
			return err
		}
	}
}

// nextChange returns after a change of the store, keeping the line open.
func (s *Server) nextChange(ctx context.Context, to *events, changed <-chan struct{}, beat <-chan time.Time) error {
	for {
		select {
		case <-changed:
			return nil
		case <-beat:
			if err := to.alive(); err != nil {
				return err
			}
		case <-s.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

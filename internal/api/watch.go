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

// A snapshot is a whole run, and what it takes grows with the run. So the next
// one is made after a pause that grows with the run, too, and with the load of
// the machine: whoever watches a run takes at most a tenth of a core.
const (
	watchPause   = 100 * time.Millisecond
	watchPerTask = 30 * time.Microsecond // 3 s for 100,000, which take some 300 ms
	watchShare   = 9                     // pause for each unit of time that the last snapshot took
)

func (s *Server) watchRoutes(a huma.API) {
	register(s, a, operation{
		id: "watch", method: http.MethodGet, path: apiPath + "/runs/{run}/watch", tag: "runs",
		summary: "Server-sent events: a snapshot now and after changes, and \"end\" once the run is final",
		description: "The first message is a snapshot of the run as it is. " +
			"Further ones follow when it has changed, each of the whole run as it is then: states in between may be left out. " +
			"Between two of them are at least 100 ms, or 30 µs for each task run of a larger run, or nine times what the last one took to make, " +
			"whichever is longest. The last snapshot does not wait: it is sent as soon as the run is final, and then `end`. " +
			"A stream that ends without `end` was cut: ask again. Comments keep a quiet stream open.",
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
	if err := s.reader.known(ctx, in.Run); err != nil {
		return nil, err
	}
	release, err := s.stream()
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer release()
		to, ctx := openEvents(c)
		w := watched{server: s, run: in.Run, to: to}
		if err := w.stream(ctx); err != nil && ctx.Err() == nil {
			s.Log.Debug("a watched run ended early", "run", in.Run, "error", err)
		}
	}}, nil
}

// watched is a run that one client watches.
type watched struct {
	server  *Server
	run     flow.RunID
	to      *events
	changed <-chan struct{}
	beat    <-chan time.Time
	last    []byte // the snapshot that was sent
}

// stream sends the newest snapshot whenever it differs from the last one, and
// the last as soon as the run is final. While a client does not read, write
// blocks and nothing is read for it.
func (w *watched) stream(ctx context.Context) error {
	changed, cancel := w.server.Store.Changed()
	defer cancel()
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	w.changed, w.beat = changed, beat.C
	for {
		final, pause, err := w.send(ctx)
		if err != nil {
			return err
		}
		if final {
			return w.to.send("end", "", struct{}{})
		}
		if err := w.next(ctx, pause); err != nil {
			return err
		}
	}
}

// send sends a snapshot, unless it is the last one once more. The pause after
// it does not depend on how long the client took to read it: that costs nobody
// else.
func (w *watched) send(ctx context.Context) (final bool, pause time.Duration, err error) {
	begun := time.Now()
	loaded, err := w.server.reader.load(ctx, w.run)
	if err != nil {
		return false, 0, err
	}
	snapshot := loaded.snapshot()
	encoded, err := json.Marshal(snapshot)
	if err != nil {
		return false, 0, err
	}
	pause = max(watchPause, time.Duration(len(snapshot.Tasks))*watchPerTask, watchShare*time.Since(begun))
	if !bytes.Equal(encoded, w.last) {
		err = w.to.sendEncoded("snapshot", "", encoded)
		w.last = encoded
	}
	return snapshot.Run.State.Final(), pause, err
}

// next returns once something has changed and the pause is over, or the run is
// final, whichever comes first. Meanwhile it keeps the line open.
func (w *watched) next(ctx context.Context, pause time.Duration) error {
	over := time.NewTimer(pause)
	defer over.Stop()
	rested, news := false, false
	for !rested || !news {
		select {
		case <-over.C:
			rested = true
		case <-w.changed:
			news = true
			if final, err := w.server.final(ctx, w.run); final || err != nil {
				return err
			}
			if !w.server.pause(ctx, changePause) {
				return errStopping
			}
		case <-w.beat:
			if err := w.to.alive(); err != nil {
				return err
			}
		case <-w.server.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// final reads only the row of the run, whatever its size.
func (s *Server) final(ctx context.Context, run flow.RunID) (bool, error) {
	row, err := s.Store.Run(ctx, run)
	return row.State.Final(), runMissing(run, err)
}

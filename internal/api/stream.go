package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// keepAlive is how often a quiet stream says that it is there: that is also
// how a client that is gone is noticed.
const keepAlive = 15 * time.Second

// events is a stream of server-sent events. It keeps nothing: a message is
// written or the stream is over.
type events struct {
	to      io.Writer
	control *http.ResponseController
}

// openEvents begins a stream on a request that huma took in.
func openEvents(c huma.Context) (*events, context.Context) {
	r, w := humago.Unwrap(c)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no")
	e := &events{to: w, control: http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	_ = e.control.Flush() // the first message will tell
	return e, r.Context()
}

// send writes one message; an error ends the stream.
func (e *events) send(event, id string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode a %s message: %w", event, err)
	}
	return e.sendEncoded(event, id, encoded)
}

func (e *events) sendEncoded(event, id string, data []byte) error {
	if id != "" {
		id = "id: " + id + "\n"
	}
	return e.write(fmt.Sprintf("event: %s\n%sdata: %s\n\n", event, id, data))
}

// alive writes a comment.
func (e *events) alive() error { return e.write(": \n\n") }

func (e *events) write(text string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(e.to, text); err != nil {
		return err
	}
	return e.control.Flush()
}

package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// LogQuery names a log, or a part of one.
type LogQuery struct {
	Run     flow.RunID
	Task    string
	Attempt int   // number; 0: the last
	Offset  int64 // first byte; negative: that many from the end
	Limit   int64 // 0: all
}

// Log returns a log as it is now, byte for byte; the caller closes it.
func (c *Client) Log(ctx context.Context, q LogQuery) (io.ReadCloser, error) {
	response, err := c.send(ctx, call{method: http.MethodGet, path: taskPath(q.Run, q.Task) + "/logs", query: q.values()}, "text/plain")
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// FollowLog yields a log from q.Offset on, as it grows, until its attempt has
// ended and all of it was yielded. With Attempt 0 it waits for the first
// attempt if there is none, and then stays with that one. It reconnects where it
// was if the connection breaks; Limit is not used.
func (c *Client) FollowLog(ctx context.Context, q LogQuery) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := follow{client: c, query: q, tries: triesMax}
		for !f.done {
			for piece, err := range f.once(ctx) {
				if !yield(piece, err) || err != nil {
					return
				}
			}
		}
	}
}

// follow is where a followed log stands.
type follow struct {
	client *Client
	query  LogQuery
	tries  int // connections left that may break before they yielded anything
	done   bool
}

// once follows on one connection; it returns without an error if another one
// is to be tried.
func (f *follow) once(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		values := f.query.values()
		values.Del("limit")
		values.Set("follow", "true")
		request := call{method: http.MethodGet, path: taskPath(f.query.Run, f.query.Task) + "/logs", query: values}
		for message, err := range f.client.stream(ctx, request) {
			if err != nil {
				if f.tries--; f.tries > 0 && passing(err) && ctx.Err() == nil {
					return
				}
				yield(nil, err)
				return
			}
			if message.event == "end" {
				f.done = true
				return
			}
			var chunk api.LogChunk
			if err := message.decode(&chunk); err != nil {
				yield(nil, err)
				return
			}
			piece := []byte(chunk.Text)
			if len(chunk.Base64) > 0 {
				piece = chunk.Base64
			}
			f.query.Attempt = chunk.Attempt
			f.query.Offset = chunk.Offset + int64(len(piece))
			f.tries = triesMax
			if len(piece) > 0 && !yield(piece, nil) {
				f.done = true
				return
			}
		}
	}
}

func (q LogQuery) values() url.Values {
	values := url.Values{}
	if q.Attempt != 0 {
		values.Set("attempt", strconv.Itoa(q.Attempt))
	}
	if q.Offset != 0 {
		values.Set("offset", strconv.FormatInt(q.Offset, 10))
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.FormatInt(q.Limit, 10))
	}
	return values
}

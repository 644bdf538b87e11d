package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// lineMax bounds one line of a stream: a snapshot of 100,000 task runs is some
// 20 MB.
const lineMax = 64 << 20

// message is one server-sent event.
type message struct {
	event string
	data  []byte
}

func (m message) decode(into any) error {
	if err := json.Unmarshal(m.data, into); err != nil {
		return fmt.Errorf("decode a %q message of the stream: %w", m.event, err)
	}
	return nil
}

var errStreamEnded = errors.New("the stream ended early")

// stream yields the messages of a stream of server-sent events. It ends with
// an error unless the last message was an "end".
func (c *Client) stream(ctx context.Context, request call) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		response, err := c.send(ctx, request, "text/event-stream")
		if err != nil {
			yield(message{}, err)
			return
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(make([]byte, 0, 64<<10), lineMax)
		var m message
		for lines.Scan() {
			field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch string(field) {
			case "event":
				m.event = string(value)
			case "data":
				m.data = append(m.data, value...)
			}
			if len(lines.Bytes()) > 0 || len(m.data) == 0 {
				continue // within a message, a comment that keeps the line open, or an empty message
			}
			ended := m.event == "end"
			if !yield(m, nil) || ended {
				return
			}
			m = message{data: m.data[:0]} // whoever got the last one has decoded it
		}
		if ctx.Err() != nil {
			yield(message{}, context.Cause(ctx))
			return
		}
		cause := lines.Err()
		if cause == nil {
			cause = errStreamEnded
		}
		yield(message{}, &Unreachable{URL: c.base, Err: cause})
	}
}

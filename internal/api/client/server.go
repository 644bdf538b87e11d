package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
)

// Events returns the newest events first, of one run or, with an empty run, of
// all; limit 0 means 100.
func (c *Client) Events(ctx context.Context, run flow.RunID, limit int) ([]api.Event, error) {
	query := url.Values{}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	path := "/events"
	if run != "" {
		path = runPath(run) + "/events"
	}
	var answer api.EventList
	err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &answer)
	return answer.Events, err
}

// Verify has the server check its ledger.
func (c *Client) Verify(ctx context.Context) (api.Verification, error) {
	var answer api.Verification
	err := c.do(ctx, call{method: http.MethodGet, path: "/verify", slow: true}, &answer)
	return answer, err
}

// Status tells who answers.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var answer api.Status
	err := c.do(ctx, call{method: http.MethodGet, path: "/status"}, &answer)
	return answer, err
}

// Ready returns nil if the server can take work, else why not.
func (c *Client) Ready(ctx context.Context) error {
	response, err := c.sendOnce(ctx, call{method: http.MethodGet, path: "/readyz", root: true}, nil, "application/json")
	if err != nil {
		return err
	}
	return response.Body.Close()
}

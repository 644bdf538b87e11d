package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/semel-dev/semel/internal/api"
)

// Apply stores a workflow as the next version of its name, unless its latest
// version says the same. Applying twice changes nothing, so it is retried.
func (c *Client) Apply(ctx context.Context, source api.Source) (api.Applied, error) {
	var answer api.Applied
	err := c.do(ctx, call{method: http.MethodPut, path: "/workflows", body: source, repeatable: true}, &answer)
	return answer, err
}

// Validate checks a workflow and stores nothing.
func (c *Client) Validate(ctx context.Context, source api.Source) (api.Validated, error) {
	var answer api.Validated
	err := c.do(ctx, call{method: http.MethodPost, path: "/validate", body: source, repeatable: true}, &answer)
	return answer, err
}

// Workflows returns the latest version of each workflow, by name.
func (c *Client) Workflows(ctx context.Context) ([]api.WorkflowSummary, error) {
	var answer api.WorkflowList
	err := c.do(ctx, call{method: http.MethodGet, path: "/workflows"}, &answer)
	return answer.Workflows, err
}

// Workflow returns a version with its source; 0 is the latest.
func (c *Client) Workflow(ctx context.Context, name string, version int) (api.Workflow, error) {
	query := url.Values{}
	if version != 0 {
		query.Set("version", strconv.Itoa(version))
	}
	var answer api.Workflow
	err := c.do(ctx, call{method: http.MethodGet, path: "/workflows/" + url.PathEscape(name), query: query}, &answer)
	return answer, err
}

// Versions returns all versions of a workflow, newest first.
func (c *Client) Versions(ctx context.Context, name string) ([]api.WorkflowSummary, error) {
	var answer api.WorkflowList
	err := c.do(ctx, call{method: http.MethodGet, path: "/workflows/" + url.PathEscape(name) + "/versions"}, &answer)
	return answer.Workflows, err
}

// Package client speaks to a Semel server for the command line: one method
// per operation of the API, errors that people can act on, and repetition only
// where it is harmless.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/api"
)

// DefaultURL is where `semel standalone` listens unless told otherwise.
const DefaultURL = "http://127.0.0.1:7130"

// A request that may be repeated is sent this often before its error is the
// caller's, with pauses that double.
const (
	triesMax   = 4
	pauseFirst = 100 * time.Millisecond
)

// answerMax bounds what is read of one JSON answer: a run of 100,000 tasks
// with outputs is some 50 MB.
const answerMax = 1 << 30

// How long a server may take until it begins to answer: longer than the
// longest wait it grants, and longer than it works on reading all there is.
const (
	answerTimeout = 90 * time.Second
	slowTimeout   = 20 * time.Minute
)

// Client speaks to one server. Its methods may be called from many goroutines.
type Client struct {
	base string
	http *http.Client
	slow *http.Client
}

// New returns a client of the server at baseURL, such as
// http://127.0.0.1:7130; empty means DefaultURL, a missing scheme http.
func New(baseURL string) *Client {
	if baseURL == "" {
		baseURL = DefaultURL
	}
	if !strings.Contains(baseURL, "://") {
		baseURL = "http://" + baseURL
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), http: patient(answerTimeout), slow: patient(slowTimeout)}
}

func patient(timeout time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 nil, // a proxy in the environment must not see loopback traffic
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: timeout,
	}}
}

// BaseURL is the server's address as it is used.
func (c *Client) BaseURL() string { return c.base }

// Close ends idle connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.slow.CloseIdleConnections()
}

// Problem is an error answer of the server.
type Problem struct{ api.Problem }

// Error is the detail, and each of the faults on a line of its own.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		fmt.Fprintf(&b, "the server answered %d %s", p.Status, p.Title)
	}
	for _, d := range p.Errors {
		b.WriteString("\n  ")
		if d.Location != "" && d.Line == 0 {
			fmt.Fprintf(&b, "%s: ", d.Location)
		}
		b.WriteString(d.Message)
	}
	if p.ID != "" {
		fmt.Fprintf(&b, " (error id %s; the server's log has the rest)", p.ID)
	}
	return b.String()
}

// Unreachable says that no server answered.
type Unreachable struct {
	URL string
	Err error
}

// Error tells how to start one.
func (u *Unreachable) Error() string {
	return fmt.Sprintf("no Semel server at %s: start one with `semel standalone` (%v)", u.URL, rootCause(u.Err))
}

// Unwrap returns what the connection said.
func (u *Unreachable) Unwrap() error { return u.Err }

// rootCause drops the address that url.Error and net.OpError repeat.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// call is one request.
type call struct {
	method     string
	path       string // below /api/v1, escaped
	root       bool   // not below /api/v1
	query      url.Values
	body       any
	key        string // goes out as Idempotency-Key
	repeatable bool   // sending it twice is harmless; a GET always is
	slow       bool   // the answer may take minutes
}

// do carries a call out and decodes its answer into answer.
func (c *Client) do(ctx context.Context, request call, answer any) error {
	response, err := c.send(ctx, request, "application/json")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, answerMax)).Decode(answer); err != nil {
		return fmt.Errorf("decode the answer of %s %s: %w", request.method, request.path, err)
	}
	return nil
}

// send returns an answer below 400; the caller closes its body.
func (c *Client) send(ctx context.Context, request call, accept string) (*http.Response, error) {
	var body []byte
	if request.body != nil {
		encoded, err := json.Marshal(request.body)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", request.method, request.path, err)
		}
		body = encoded
	}
	tries := 1
	if request.method == http.MethodGet || request.repeatable {
		tries = triesMax
	}
	pause := pauseFirst
	for try := 1; ; try++ {
		response, err := c.sendOnce(ctx, request, body, accept)
		if err == nil || try == tries || !passing(err) || ctx.Err() != nil {
			return response, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
		pause *= 2
	}
}

func (c *Client) sendOnce(ctx context.Context, request call, body []byte, accept string) (*http.Response, error) {
	target := c.base + "/api/v1" + request.path
	if request.root {
		target = c.base + request.path
	}
	if len(request.query) > 0 {
		target += "?" + request.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, request.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("bad server URL %q: %w", c.base, err)
	}
	r.Header.Set("Accept", accept)
	if request.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if request.key != "" {
		r.Header.Set("Idempotency-Key", request.key)
	}
	sender := c.http
	if request.slow {
		sender = c.slow
	}
	response, err := sender.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &Unreachable{URL: c.base, Err: err}
	}
	if response.StatusCode < 400 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, readProblem(response)
}

// readProblem makes an error of an error answer, also of one that some proxy
// wrote.
func readProblem(response *http.Response) error {
	const problemMax = 1 << 20
	problem := &Problem{}
	raw, err := io.ReadAll(io.LimitReader(response.Body, problemMax))
	if err != nil || json.Unmarshal(raw, &problem.Problem) != nil || problem.Title == "" {
		problem.Problem = api.Problem{Title: http.StatusText(response.StatusCode), Detail: strings.TrimSpace(string(raw))}
	}
	problem.Status = response.StatusCode
	return problem
}

// passing reports whether the same request may succeed in a moment: nobody
// listened, or whoever did could not serve it now.
func passing(err error) bool {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusBadGateway || problem.Status == http.StatusGatewayTimeout
	}
	var unreachable *Unreachable
	return errors.As(err, &unreachable)
}

package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	httpTimeout  = 60 * time.Second
	redirectsMax = 5
	bodyMax      = 4 << 20 // of a response that is read whole, for outputs
	logBodyMax   = 2 << 10 // of a response, shown in the log
	reasonMax    = 200     // of a response, shown in the reason of a failure
)

type httpType struct{}

var _ Function = httpType{}

func (httpType) Name() string    { return TypeHTTP }
func (httpType) Summary() string { return "sends one HTTP request; 4xx and 5xx are failures" }
func (httpType) Config() any     { return new(HTTP) }

func (httpType) Check(config json.RawMessage) []Problem {
	var c HTTP
	problems := decodeProblems(config, &c)
	if len(problems) > 0 {
		return problems
	}
	add := func(field string, err error) {
		if err != nil {
			problems = append(problems, Problem{field, err.Error()})
		}
	}
	if !open(c.URL) {
		_, err := parseURL(c.URL)
		add("url", err)
	}
	if !open(c.Method) {
		add("method", checkMethod(c.Method))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if !open(name) && !open(c.Headers[name]) {
			add("headers."+name, checkHeader(name, c.Headers[name]))
		}
	}
	for i, s := range c.Expect {
		if !open(s) {
			_, err := parseStatus(s)
			add("expect["+strconv.Itoa(i)+"]", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Outputs)) {
		if !open(c.Outputs[name]) {
			_, err := parseSource(c.Outputs[name])
			add("outputs."+name, err)
		}
	}
	if c.Timeout != "" && !open(c.Timeout) {
		_, err := parseWait(c.Timeout)
		add("timeout", err)
	}
	return problems
}

func parseURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("is empty; write an address, as https://example.com/hook")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an address; it has to begin with http:// or https:// and name a host", s)
	}
	return u, nil
}

func checkMethod(s string) error {
	for _, r := range s {
		if (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return fmt.Errorf("%q is not a method; write it in capitals, as GET or POST", s)
		}
	}
	return nil
}

func checkHeader(name, value string) error {
	if name == "" || strings.ContainsAny(name, " \t\r\n:()<>@,;\\\"/[]?={}") {
		return fmt.Errorf("%q is not a header name", name)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return errors.New("the value holds a line break or a NUL character")
	}
	return nil
}

// statuses is a range of status codes, both ends included.
type statuses struct{ from, to int }

func parseStatus(s string) (statuses, error) {
	if len(s) == 3 && strings.HasSuffix(s, "xx") && s[0] >= '1' && s[0] <= '5' {
		from := int(s[0]-'0') * 100
		return statuses{from, from + 99}, nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from < 100 || to > 599 || to < from {
		return statuses{}, fmt.Errorf("%q is not a status; write 200, 2xx or 200-204", s)
	}
	return statuses{from, to}, nil
}

func (c *HTTP) expects(status int) (bool, error) {
	expect := c.Expect
	if len(expect) == 0 {
		expect = []string{"2xx"}
	}
	for _, s := range expect {
		r, err := parseStatus(s)
		if err != nil {
			return false, fmt.Errorf("expect: %w", err)
		}
		if status >= r.from && status <= r.to {
			return true, nil
		}
	}
	return false, nil
}

// transport uses no proxy: a variable that was set for somebody's shell must
// not decide where a workflow's requests go.
var transport = &http.Transport{
	Proxy:                  nil,
	MaxIdleConnsPerHost:    16,
	IdleConnTimeout:        30 * time.Second,
	TLSHandshakeTimeout:    10 * time.Second,
	MaxResponseHeaderBytes: 256 << 10,
	ForceAttemptHTTP2:      true,
}

func (httpType) Do(ctx context.Context, r Request) Outcome {
	var c HTTP
	if err := decode(r.Config, &c); err != nil {
		return Outcome{Failure: err.Error()}
	}
	outputs, err := c.send(ctx, r.Log)
	if err != nil {
		return Outcome{Failure: err.Error()}
	}
	return Outcome{Outputs: outputs}
}

// send sends the request and reads what is wanted of the answer.
func (c *HTTP) send(ctx context.Context, log io.Writer) (map[string]string, error) {
	timeout := httpTimeout
	if c.Timeout != "" {
		d, err := parseWait(c.Timeout)
		if err != nil {
			return nil, fmt.Errorf("timeout: %w", err)
		}
		timeout = d
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	request, err := c.request(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	client := &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	response, err := client.Do(request)
	if err != nil {
		return nil, plainError(ctx, err)
	}
	defer response.Body.Close()
	fmt.Fprintf(log, "%s %s: %s after %s\n", request.Method, request.URL.Redacted(), response.Status, time.Since(begun).Round(time.Millisecond))
	body, cut, err := readBody(response.Body, c.bodyLimit())
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", plainError(ctx, err))
	}
	if len(body) > 0 {
		fmt.Fprintf(log, "%s\n", excerpt(body, logBodyMax))
	}
	ok, err := c.expects(response.StatusCode)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unexpected(response.Status, body)
	}
	return c.outputs(response, body, cut)
}

func unexpected(status string, body []byte) error {
	if text := strings.Join(strings.Fields(excerpt(body, reasonMax)), " "); text != "" {
		return fmt.Errorf("HTTP %s: %s", status, text)
	}
	return fmt.Errorf("HTTP %s", status)
}

func (c *HTTP) request(ctx context.Context) (*http.Request, error) {
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if err := checkMethod(c.Method); err != nil {
		return nil, fmt.Errorf("method: %w", err)
	}
	method := c.Method
	if method == "" {
		method = http.MethodGet
		if c.Body != "" {
			method = http.MethodPost
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(c.Body))
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	request.Header.Set("User-Agent", "semel")
	for name, value := range c.Headers {
		if err := checkHeader(name, value); err != nil {
			return nil, fmt.Errorf("headers.%s: %w", name, err)
		}
		if strings.EqualFold(name, "Host") {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	return request, nil
}

// checkRedirect follows a few redirects, never to another scheme than http and
// https, never from https down to http, and never with the task's own headers
// to another host: they may hold credentials.
func (c *HTTP) checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > redirectsMax {
		return fmt.Errorf("more than %d redirects", redirectsMax)
	}
	first := via[0].URL
	if next.URL.Scheme != "https" && next.URL.Scheme != first.Scheme {
		return fmt.Errorf("redirected from %s to %s", first.Scheme, next.URL.Scheme)
	}
	if next.URL.Host != first.Host {
		for name := range c.Headers {
			next.Header.Del(name)
		}
	}
	return nil
}

// plainError strips the method and the address, which may hold a password,
// from an error of the client, and says why the context ended.
func plainError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// bodyLimit is how much of the answer is read.
func (c *HTTP) bodyLimit() int64 {
	for _, s := range c.Outputs {
		if s == "body" || strings.HasPrefix(s, "json:") {
			return bodyMax
		}
	}
	return logBodyMax
}

// readBody reads up to limit bytes; cut reports whether there is more.
func readBody(r io.Reader, limit int64) (body []byte, cut bool, err error) {
	body, err = io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], true, err
	}
	return body, false, err
}

// excerpt returns the beginning of b as text.
func excerpt(b []byte, limit int) string {
	cut := len(b) > limit
	if cut {
		b = b[:limit]
	}
	s := strings.ToValidUTF8(strings.TrimRight(string(b), "\r\n"), string(utf8.RuneError))
	if cut {
		s += " ..."
	}
	return s
}

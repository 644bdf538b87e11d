package spec

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/semel-dev/semel/internal/flow"
)

const (
	retriesMax = 1_000_000
	backoffMax = 1_000
)

var retryTable = &table[flow.Retry]{
	what:    "retry",
	example: `retry: 3`,
	fields: []field[flow.Retry]{
		{
			key: "limit", doc: "How many retries, not counting the first attempt.", schema: integerSchema(0, retriesMax),
			read: func(r *reader, v value, t *flow.Retry) { t.Limit = r.integer(v, 0, retriesMax) },
		},
		{
			key: "delay", doc: "Before the first retry. Default 0s.", schema: durationSchema(),
			read: func(r *reader, v value, t *flow.Retry) { t.Delay = r.duration(v) },
		},
		{
			key: "backoff", doc: "Factor from one delay to the next. Default 1.", schema: numberSchema(1, backoffMax),
			read: func(r *reader, v value, t *flow.Retry) { t.Backoff = r.number(v, 1, backoffMax) },
		},
		{
			key: "delay_max", doc: "The longest delay, whatever the backoff.", schema: durationSchema(),
			read: func(r *reader, v value, t *flow.Retry) { t.DelayMax = r.duration(v) },
		},
		{
			key: "jitter", doc: "0 to 1: how far a delay is spread, as a share of itself. Default 0.", schema: numberSchema(0, 1),
			read: func(r *reader, v value, t *flow.Retry) { t.Jitter = r.number(v, 0, 1) },
		},
	},
	elsewhere: map[string]string{
		"count": `did you mean "limit"?`, "times": `did you mean "limit"?`, "max": `did you mean "limit"?`, "attempts": `did you mean "limit"? It counts retries, not attempts`, "max_attempts": `did you mean "limit"? It counts retries, not attempts`,
		"interval": `did you mean "delay"?`, "wait": `did you mean "delay"?`, "factor": `did you mean "backoff"?`, "max_delay": `did you mean "delay_max"?`,
	},
}

// retry reads retries: how many, or a mapping.
func (r *reader) retry(v value) flow.Retry {
	var t flow.Retry
	if !v.mapping() {
		t.Limit = r.integer(v, 0, retriesMax)
		return t
	}
	known := fill(r, v, retryTable, &t)
	if !said(known, "limit") {
		r.faultAtKey(v, "retry has no limit", "write limit: and how many retries there may be")
	}
	return t
}

var actions = []string{string(flow.TimeoutFail), string(flow.TimeoutWarn)}

var timeoutTable = &table[flow.Timeout]{
	what:    "timeout",
	example: `timeout: 10m`,
	fields: []field[flow.Timeout]{
		{
			key: "after", doc: "How long an attempt may take.", schema: durationSchema(),
			read: func(r *reader, v value, t *flow.Timeout) { t.After = r.duration(v) },
		},
		{
			key: "action", doc: "What happens then: fail (default) or warn.", schema: choiceSchema(actions...),
			read: func(r *reader, v value, t *flow.Timeout) { t.Action = flow.TimeoutAction(r.choice(v, actions)) },
		},
	},
	elsewhere: map[string]string{
		"limit": `did you mean "after"?`, "duration": `did you mean "after"?`, "strategy": `did you mean "action"?`, "then": `did you mean "action"?`,
	},
}

// timeout reads a time limit: how long, or a mapping. None is written 0s.
func (r *reader) timeout(v value) flow.Timeout {
	var t flow.Timeout
	if !v.mapping() {
		t.After = r.duration(v)
	} else if known := fill(r, v, timeoutTable, &t); !said(known, "after") {
		r.faultAtKey(v, "timeout does not say after how long", "write after: 10m")
	}
	if t.After == 0 {
		return flow.Timeout{}
	}
	if t.Action == "" {
		t.Action = flow.TimeoutFail
	}
	return t
}

// formatDuration writes a length of time without the zeros that Go adds.
func formatDuration(d time.Duration) string {
	if d%time.Second != 0 || d == 0 || d < 0 || d > math.MaxInt64/2 {
		return d.String()
	}
	var b strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + unit.name)
			d %= unit.size
		}
	}
	return b.String()
}

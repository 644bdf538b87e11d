package store

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// Precision is that of stored times. What is read back is in UTC and cut to
// it, in every store.
const Precision = time.Microsecond

// Limits of what a reading method returns at once.
const (
	pageDefault = 50
	pageMax     = 1000 // a page is answered from memory
)

// Page returns how many rows a reader gets who asked for n.
func Page(n int) int {
	if n <= 0 {
		return pageDefault
	}
	return min(n, pageMax)
}

// Time returns t as a store gives it back.
func Time(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(Precision)
}

// CopyRun returns the row as a store gives it back; it shares nothing with r.
func CopyRun(r *flow.Run) flow.Run {
	c := *r
	c.Params = maps.Clone(r.Params)
	for name, v := range c.Params {
		c.Params[name] = copyValue(v)
	}
	c.Select.Tasks = slices.Clone(r.Select.Tasks)
	c.CreatedAt, c.StartedAt, c.FinishedAt = Time(r.CreatedAt), Time(r.StartedAt), Time(r.FinishedAt)
	return c
}

func copyValue(v any) any {
	switch v := v.(type) {
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = copyValue(v[i])
		}
		return c
	case map[string]any:
		c := make(map[string]any, len(v))
		for key := range v {
			c[key] = copyValue(v[key])
		}
		return c
	}
	return v
}

// CopyTaskRun returns the row as a store gives it back.
func CopyTaskRun(t *flow.TaskRun) flow.TaskRun {
	c := *t
	c.WakeAt, c.FinishedAt = Time(t.WakeAt), Time(t.FinishedAt)
	return c
}

// CopyAttempt returns the row as a store gives it back; it shares nothing with
// a.
func CopyAttempt(a *flow.Attempt) flow.Attempt {
	c := *a
	if a.ExitCode != nil {
		code := *a.ExitCode
		c.ExitCode = &code
	}
	c.Outputs = maps.Clone(a.Outputs)
	if len(c.Outputs) == 0 {
		c.Outputs = nil
	}
	c.DispatchedAt = Time(a.DispatchedAt)
	c.Started.Wall, c.Finished.Wall = Time(a.Started.Wall), Time(a.Finished.Wall)
	return c
}

// SameAttempt reports whether two rows that came from CopyAttempt, or from a
// store, say the same.
func SameAttempt(a, b *flow.Attempt) bool {
	return a.Run == b.Run && a.Task == b.Task && a.Number == b.Number &&
		a.Generation == b.Generation && a.Epoch == b.Epoch && a.Node == b.Node &&
		a.State == b.State && a.Reason == b.Reason && sameCode(a.ExitCode, b.ExitCode) && maps.Equal(a.Outputs, b.Outputs) &&
		a.Round == b.Round && a.Retries == b.Retries && a.Lost == b.Lost &&
		a.DispatchedAt.Equal(b.DispatchedAt) && sameInstant(a.Started, b.Started) && sameInstant(a.Finished, b.Finished)
}

func sameCode(a, b *int) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameInstant(a, b fence.Instant) bool { return a.Boot == b.Boot && a.Wall.Equal(b.Wall) }

// CopyCommand returns the row as a store gives it back; it shares nothing with
// c.
func CopyCommand(c *partition.Command) partition.Command {
	copied := *c
	copied.Args = bytes.Clone(c.Args)
	if len(copied.Args) == 0 {
		copied.Args = nil
	}
	copied.CreatedAt, copied.DoneAt = Time(c.CreatedAt), Time(c.DoneAt)
	return copied
}

// CopyNode returns the row as a store gives it back.
func CopyNode(n *fence.Node) fence.Node {
	c := *n
	c.StartedAt, c.EndedAt = Time(n.StartedAt), Time(n.EndedAt)
	return c
}

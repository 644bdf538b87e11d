package flow

import (
	"hash/fnv"
	"math"
	"time"
)

// delayMax bounds the delay before any retry: more than a day is a schedule.
const delayMax = 24 * time.Hour

// The delays after losses. A few in a row are bad luck with nodes; more are
// likely a task that ends its runner, and must not end one after the other as
// fast as they come up.
const (
	lostAtOnce  = 3
	lostWaitMin = time.Second
	lostWaitMax = time.Minute
)

// wait returns the delay before the n-th retry, n from 1.
func (r *Retry) wait(n int, run RunID, task string, g Generation) time.Duration {
	factor := r.Backoff
	if factor == 0 {
		factor = 1
	}
	bound := r.DelayMax
	if bound == 0 {
		bound = delayMax
	}
	delay := min(float64(r.Delay)*math.Pow(factor, float64(n-1)), float64(bound))
	if r.Jitter > 0 {
		delay *= 1 + r.Jitter*(2*chance(run, task, g)-1)
	}
	return time.Duration(min(delay, float64(delayMax)))
}

// chance returns a number from 0 to 1 that looks random and is the same
// whenever it is asked for.
func chance(run RunID, task string, g Generation) float64 {
	h := fnv.New64a()
	h.Write([]byte(run))
	h.Write([]byte{0})
	h.Write([]byte(task))
	h.Write([]byte{0})
	for shift := 0; shift < 64; shift += 8 {
		h.Write([]byte{byte(g >> shift)})
	}
	// The low bits of such a hash are mixed better than the high ones: fold.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// lostWait returns the delay after n losses in a row.
func lostWait(n int) time.Duration {
	if n <= lostAtOnce {
		return 0
	}
	doublings := n - lostAtOnce - 1
	if doublings > 6 {
		return lostWaitMax
	}
	return min(lostWaitMin<<doublings, lostWaitMax)
}

package flow

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestRetryWait(t *testing.T) {
	tests := []struct {
		name  string
		retry Retry
		want  []time.Duration // of the 1st, 2nd, ... retry
	}{
		{"no delay", Retry{}, []time.Duration{0, 0}},
		{"the same each time", Retry{Delay: 10 * time.Second}, []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second}},
		{"growing", Retry{Delay: time.Second, Backoff: 3}, []time.Duration{time.Second, 3 * time.Second, 9 * time.Second}},
		{"bounded by itself", Retry{Delay: time.Second, Backoff: 3, DelayMax: 5 * time.Second}, []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}},
		{"bounded by a day", Retry{Delay: 20 * time.Hour, Backoff: 2}, []time.Duration{20 * time.Hour, delayMax, delayMax}},
		{"its own bound is above a day", Retry{Delay: 20 * time.Hour, Backoff: 2, DelayMax: 72 * time.Hour}, []time.Duration{20 * time.Hour, delayMax}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for n, want := range test.want {
				if got := test.retry.wait(n+1, "r", "t", Generation(n+1)); got != want {
					t.Errorf("retry %d waits %v, want %v", n+1, got, want)
				}
			}
		})
	}
}

func TestRetryWaitOverflowsNowhere(t *testing.T) {
	r := Retry{Delay: time.Hour, Backoff: 1000, Jitter: 1}
	for _, n := range []int{10, 1000, retriesMax} {
		for g := range Generation(20) { // about half of which jitter upwards
			if got := r.wait(n, "r", "t", g); got < 0 || got > delayMax {
				t.Errorf("retry %d waits %v", n, got)
			}
		}
	}
}

// TestJitter: it depends on nothing but who asks, stays in its bounds, and
// spreads: the retries of a thousand tasks do not come at once.
func TestJitter(t *testing.T) {
	r := Retry{Delay: 100 * time.Second, Jitter: 0.5}
	var buckets [10]int
	sum := 0.0
	const tasks = 1000
	for i := range tasks {
		task := fmt.Sprintf("t%d", i)
		got := r.wait(1, "r", task, 1)
		if again := r.wait(1, "r", task, 1); again != got {
			t.Fatalf("%s waits %v, then %v", task, got, again)
		}
		if got < 50*time.Second || got >= 150*time.Second {
			t.Fatalf("%s waits %v, want 100s ± 50%%", task, got)
		}
		buckets[int((got-50*time.Second)/(10*time.Second))]++
		sum += got.Seconds()
	}
	if mean := sum / tasks; math.Abs(mean-100) > 5 {
		t.Errorf("the mean delay is %.1f s, want about 100", mean)
	}
	for i, n := range buckets {
		if n < 60 || n > 140 {
			t.Errorf("%d of %d delays lie in tenth %d: %v", n, tasks, i, buckets)
		}
	}
	if r.wait(1, "r", "t", 1) == r.wait(1, "r", "t", 2) || r.wait(1, "r", "t", 1) == r.wait(1, "s", "t", 1) {
		t.Error("another generation, or another run, waits as long")
	}
}

func TestLostWait(t *testing.T) {
	want := []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60}
	for i, seconds := range want {
		if got := lostWait(i + 1); got != seconds*time.Second {
			t.Errorf("after %d losses in a row: %v, want %v", i+1, got, seconds*time.Second)
		}
	}
	if got := lostWait(1 << 30); got != lostWaitMax {
		t.Errorf("after very many losses: %v", got)
	}
}

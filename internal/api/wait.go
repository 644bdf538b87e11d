package api

import (
	"context"
	"net/http"
	"time"
)

const (
	waitMax = time.Minute // so that proxies and clients keep the connection
	// changePause lets changes gather before they are looked at: a waiter costs
	// a hundred reads a second at most, however much is committed.
	changePause = 10 * time.Millisecond
)

// await returns once the condition holds, the time is over, or the server
// stops. It asks at once, then after each change of the store. Without a time
// it asks nothing.
func (s *Server) await(ctx context.Context, most span, holds func() (bool, error)) error {
	if most.Duration == 0 {
		_, err := holds()
		return err
	}
	release, err := s.stream()
	if err != nil {
		return err
	}
	defer release()
	changed, cancel := s.Store.Changed()
	defer cancel()
	over := time.NewTimer(min(most.Duration, waitMax))
	defer over.Stop()
	for {
		if done, err := holds(); done || err != nil {
			return err
		}
		select {
		case <-changed:
			if !s.pause(ctx, changePause) {
				return nil
			}
		case <-over.C:
			return nil
		case <-s.stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stream takes one of the places for streams and waits.
func (s *Server) stream() (release func(), err error) {
	select {
	case s.streams <- struct{}{}:
		return func() { <-s.streams }, nil
	default:
		return nil, problem(http.StatusServiceUnavailable, "%d logs, runs and waits are followed already: try again later", cap(s.streams))
	}
}

// pause waits, and reports whether to go on.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopping:
		return false
	case <-ctx.Done():
		return false
	}
}

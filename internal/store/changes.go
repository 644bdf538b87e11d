package store

import "sync"

// Changes tells whoever wants to know that something was committed. The zero
// Changes is ready.
type Changes struct {
	mu       sync.Mutex
	watchers map[chan struct{}]bool
}

// Watch is Store.Changed.
func (c *Changes) Watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchers == nil {
		c.watchers = map[chan struct{}]bool{}
	}
	c.watchers[w] = true
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
	}
}

// Tell wakes all watchers. It never waits for one.
func (c *Changes) Tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		select {
		case w <- struct{}{}:
		default: // it has a value that it has not seen yet
		}
	}
}

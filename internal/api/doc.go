// Package api answers HTTP requests: it turns a request into rows of the
// store, and rows of the store into answers. It never talks to a master: a
// command becomes a row, and whoever owns the run's partition finds it.
package api

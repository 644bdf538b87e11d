package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/semel-dev/semel/internal/store"
)

// What a connection may take. There is no limit on the whole of a request or
// an answer, since streams last: bodies and writes have deadlines of their own.
const (
	headerTimeout = 10 * time.Second // a client that dribbles its headers loses the connection
	idleTimeout   = 2 * time.Minute  // between two requests of one connection
	bodyTimeout   = time.Minute      // for a whole request body
	writeTimeout  = 30 * time.Second // for one answer, or one message of a stream
	slowTimeout   = 15 * time.Minute // for an answer that reads all there is
	stopTimeout   = 5 * time.Second  // for answers that are under way when the server stops
	headersMax    = 256 << 10
	bodyMax       = 1 << 20
	sourceMax     = 32 << 20 // of a request that carries a workflow
	streamsMax    = 1000     // followed logs, watched runs and waits at once
)

// Config is what a server is built from.
type Config struct {
	// Store is where everything is. Required.
	Store store.Store
	// Logs gives out the logs of attempts. Required; see LogDir.
	Logs Logs
	// Wake is told after a command was stored. It must not block. Nil: nobody
	// is told, and the partition's owner finds the command by itself.
	Wake func()
	// Engine counts for metrics and explanations. It is called from many
	// goroutines, and must not block. Nil: there is no master in this process.
	Engine func() EngineCounts
	// Status tells who answers.
	Status Status
	// Partitions is how many partitions runs are spread over. Zero: 1.
	Partitions int
	// Hosts are names by which the server may be called, beside localhost and
	// IP addresses.
	Hosts []string
	// Streams bounds followed logs, watched runs and waits. Zero: 1000.
	Streams int
	// Now is the clock of what is stored. Nil: time.Now.
	Now func() time.Time
	// Log gets what answers do not say. Nil: slog.Default.
	Log *slog.Logger
}

func (c *Config) check() error {
	if c.Store == nil || c.Logs == nil {
		return errors.New("api: Config needs a Store and Logs")
	}
	if c.Partitions < 0 || c.Streams < 0 {
		return fmt.Errorf("api: Config has %d partitions and %d streams", c.Partitions, c.Streams)
	}
	if c.Partitions == 0 {
		c.Partitions = 1
	}
	if c.Streams == 0 {
		c.Streams = streamsMax
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// Server is the HTTP API. It may be used as a handler, or served by Run.
type Server struct {
	Config
	reader  reader
	metrics *metrics
	handler http.Handler
	streams chan struct{} // a token for each stream that is open

	stopOnce sync.Once
	stopping chan struct{} // closed when streams are to end
}

// New returns a server. A Config that cannot be used is a mistake in the
// program, and panics.
func New(config Config) *Server {
	if err := config.check(); err != nil {
		panic(err)
	}
	s := &Server{
		Config:   config,
		reader:   newReader(config.Store),
		streams:  make(chan struct{}, config.Streams),
		stopping: make(chan struct{}),
	}
	s.metrics = newMetrics(s)
	s.handler = s.guard(s.routes())
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run serves the listener until the context ends: then it takes no new
// requests, ends the streams, and gives what is under way a moment to finish.
// It returns nil after such an end. It can be called once.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headersMax,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan struct{})
	var cause error // why it ended; once served is closed
	go func() {
		defer close(served)
		cause = server.Serve(listener)
	}()
	select {
	case <-served:
		s.EndStreams()
		return fmt.Errorf("serve %s: %w", listener.Addr(), cause)
	case <-ctx.Done():
	}
	s.EndStreams()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		s.Log.Warn("connections were cut when the server stopped", "error", err)
		err = server.Close()
		<-served
		return err
	}
	<-served
	return nil
}

// EndStreams ends followed logs, watched runs and waits, now and for ever.
// Run calls it; whoever serves the handler by other means calls it before
// closing.
func (s *Server) EndStreams() { s.stopOnce.Do(func() { close(s.stopping) }) }

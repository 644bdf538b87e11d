package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// guard stands before every handler: who may ask, what a request may cost, and
// what becomes of a panic.
func (s *Server) guard(mux *http.ServeMux) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(http.StatusForbidden, "requests that change something are refused from web pages of another origin").write(w)
	}))
	checked := origin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.route(mux, w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		recorded := &recorder{ResponseWriter: w}
		defer func() {
			s.recovered(recorded, r, recover())
			s.metrics.answered(r, recorded.status, time.Since(begun))
		}()
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(begun.Add(waitMax + writeTimeout)) // a recorder in a test has none; streams move it
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(begun.Add(bodyTimeout))
		}
		switch {
		case !s.named(r.Host):
			problem(http.StatusForbidden, "this server is not called %q: use localhost or an IP address, or configure the name", r.Host).write(recorded)
		case r.Header.Get("Content-Encoding") != "":
			problem(http.StatusUnsupportedMediaType, "bodies must not be compressed: leave out Content-Encoding").write(recorded)
		default:
			checked.ServeHTTP(recorded, r)
		}
	})
}

// named reports whether the server may be called by this host. A name that
// somebody else owns can be made to point here at any time (DNS rebinding), and
// would give its owner's web pages the answers; an IP address cannot.
func (s *Server) named(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	return name == "localhost" || slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// route gives the request to its handler. Where there is none the mux would
// answer in plain text.
func (s *Server) route(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	handler, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r) // not handler: the mux fills in the path values
		return
	}
	probe := &probe{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		problem(http.StatusMethodNotAllowed, "%s is not possible here: use %s", r.Method, allow).write(w)
		return
	}
	problem(http.StatusNotFound, "there is nothing at %q: the API is described at %s", r.URL.Path, openAPIPath+".json").write(w)
}

// recovered ends a request whose handler panicked. A panic is a bug, except for
// a client that went away while it was written to: huma tells of that no other
// way.
func (s *Server) recovered(w *recorder, r *http.Request, panicked any) {
	if panicked == nil {
		return
	}
	err, _ := panicked.(error)
	var connection net.Error
	if errors.Is(err, http.ErrAbortHandler) || errors.As(err, &connection) || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	id := uuid.NewString()
	s.Log.Error("panic", "id", id, "operation", r.Method+" "+r.Pattern, "panic", panicked, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half of an answer is out: only a cut connection shows that it is not whole
	}
	p := problem(http.StatusInternalServerError, "something unexpected happened; the server's log has the rest under this id")
	p.ID = id
	p.write(w)
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// probe takes the mux's own answer, for its headers.
type probe struct{ header http.Header }

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(int)             {}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/spec"
	"github.com/semel-dev/semel/internal/store"
)

// faultsMax bounds the faults of one answer: ten thousand unknown query
// parameters are not worth ten thousand sentences.
const faultsMax = 50

// Error is the detail: a Problem is what a handler returns when it knows what
// to tell the client.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457, for huma.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// problem makes a problem of the given status.
func problem(status int, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// at makes a problem of one fault at one place of the request.
func at(status int, location, format string, args ...any) *Problem {
	p := problem(status, format, args...)
	p.Errors = []Detail{{Message: p.Detail, Location: location}}
	return p
}

// asProblem turns any error of a handler into what the client is told. What it
// does not know is logged under an id.
func (s *Server) asProblem(ctx context.Context, operation string, err error) *Problem {
	var known *Problem
	var source spec.Errors
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &source):
		return sourceProblem(source)
	case errors.Is(err, store.ErrNotFound):
		return problem(http.StatusNotFound, "%v", err)
	case errors.Is(err, store.ErrKeyReused):
		return problem(http.StatusConflict, "this idempotency key was used for another request: use a new one")
	case errors.Is(err, store.ErrFull):
		return problem(http.StatusInsufficientStorage, "no space is left for the store: nothing was changed, try again once there is space")
	case errors.Is(err, store.ErrReadOnly):
		return problem(http.StatusServiceUnavailable, "the store cannot be written: check the permissions of the data directory")
	case errors.Is(err, store.ErrCorrupt):
		return problem(http.StatusServiceUnavailable, "the store is damaged: stop the server and restore the data directory from a backup")
	case errors.Is(err, store.ErrUnknown):
		return problem(http.StatusServiceUnavailable, "it is not known whether the request was stored: repeat it with the same idempotency key")
	case ctx.Err() != nil:
		return problem(http.StatusServiceUnavailable, "the request ended before its answer was ready")
	}
	id := uuid.NewString()
	s.Log.Error("unexpected error", "id", id, "operation", operation, "error", err)
	p := problem(http.StatusInternalServerError, "something unexpected happened; the server's log has the rest under this id")
	p.ID = id
	return p
}

// sourceProblem tells every fault of a workflow's source with its position.
func sourceProblem(faults spec.Errors) *Problem {
	p := problem(http.StatusUnprocessableEntity, "the workflow has %s", count(len(faults), "fault"))
	for _, fault := range faults {
		p.Errors = append(p.Errors, Detail{
			Message:  fault.Error(),
			Location: "body.source",
			File:     fault.File,
			Line:     fault.Line,
			Column:   fault.Column,
			Field:    fault.Field,
		})
	}
	p.shorten()
	return p
}

func (p *Problem) shorten() {
	if more := len(p.Errors) - faultsMax; more > 0 {
		p.Errors = append(p.Errors[:faultsMax:faultsMax], Detail{Message: fmt.Sprintf("and %d more", more)})
	}
}

// huma's way to replace its error shape is one variable for the process. Its
// own shape repeats the faulty value, which may be a secret or 32 MiB long.
func init() {
	huma.NewError = func(status int, message string, faults ...error) huma.StatusError {
		return requestProblem(status, message, faults)
	}
}

// requestProblem makes a problem of what huma found wrong with a request.
func requestProblem(status int, message string, faults []error) *Problem {
	p := problem(status, "%s", message)
	for _, fault := range faults {
		var detail *huma.ErrorDetail
		if errors.As(fault, &detail) {
			p.Errors = append(p.Errors, Detail{Message: detail.Message, Location: detail.Location})
		} else if fault != nil {
			p.Errors = append(p.Errors, Detail{Message: fault.Error()})
		}
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		p.Detail = "the body is too large: at most 1 MiB, or 32 MiB where it carries a workflow"
	case http.StatusUnsupportedMediaType:
		p.Detail = "the body must be sent as Content-Type: application/json"
		p.Errors = nil
	case http.StatusBadRequest:
		if len(p.Errors) > 0 {
			p.Detail = "the body cannot be read as JSON"
		}
	case http.StatusUnprocessableEntity:
		p.Detail = fmt.Sprintf("the request has %s", count(len(p.Errors), "fault"))
	}
	p.shorten()
	return p
}

// write answers with the problem where no handler of huma does.
func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone, and nobody else wants to know
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

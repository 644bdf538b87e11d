package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
)

// The description is served at these paths with .json and .yaml behind them;
// docs/openapi.yaml is the same text.
const (
	apiPath     = "/api/v1"
	openAPIPath = apiPath + "/openapi"
)

// routes registers every operation. The description is made of what is
// registered, so that it cannot say anything else.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	a := humago.New(mux, description())
	s.workflowRoutes(a)
	s.runRoutes(a)
	s.commandRoutes(a)
	s.taskRoutes(a)
	s.watchRoutes(a)
	s.serverRoutes(a)
	mux.Handle("GET /metrics", s.metrics)
	serve(mux, openAPIPath+".json", "application/openapi+json", must(json.Marshal(a.OpenAPI())))
	serve(mux, openAPIPath+".yaml", "application/openapi+yaml", must(a.OpenAPI().YAML()))
	return mux
}

func description() huma.Config {
	config := huma.DefaultConfig("Semel", "v1")
	config.Info.Description = "Runs workflows to their end, once. " +
		"Every error answer is a problem of RFC 9457. " +
		"Requests that change something take an `Idempotency-Key`: repeated under the same key they are carried out once."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", "" // served here; huma's own pages load scripts from a public CDN
	config.CreateHooks = nil                                             // no $schema in answers
	config.RejectUnknownQueryParameters = true                           // a misspelt filter must not mean all
	config.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	registry := config.Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[flow.RunState](), reflect.TypeFor[runStateSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[flow.TaskState](), reflect.TypeFor[taskStateSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[flow.AttemptState](), reflect.TypeFor[attemptStateSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[param.Type](), reflect.TypeFor[paramTypeSchema]())
	return config
}

// operation describes one operation; register adds what all have in common.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	status           int   // of success; 0: 200
	bodyMax          int64 // 0: 1 MiB
	raw              bool  // the handler decodes the body
	slow             bool  // may take minutes
}

// register adds an operation whose errors go through asProblem.
func register[I, O any](s *Server, a huma.API, op operation, handle func(context.Context, *I) (*O, error)) {
	described := huma.Operation{
		OperationID:      op.id,
		Method:           op.method,
		Path:             op.path,
		Summary:          op.summary,
		Description:      op.description,
		Tags:             []string{op.tag},
		DefaultStatus:    op.status,
		MaxBodyBytes:     bodyMax,
		BodyReadTimeout:  bodyTimeout,
		SkipValidateBody: op.raw,
	}
	if op.bodyMax != 0 {
		described.MaxBodyBytes = op.bodyMax
	}
	if op.slow {
		described.Middlewares = huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
			_, w := humago.Unwrap(c)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slowTimeout)) // the write tells
			next(c)
		}}
	}
	huma.Register(a, described, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.asProblem(ctx, op.id, err)
		}
		return out, nil
	})
}

// jsonFormat reads numbers without loss and tells where a body stops being
// JSON.
var jsonFormat = huma.Format{
	Marshal:   huma.DefaultJSONFormat.Marshal,
	Unmarshal: unmarshal,
}

func unmarshal(data []byte, into any) error {
	if _, generic := into.(*any); generic {
		return positioned(data, json.Unmarshal(data, into)) // huma validates this one, and knows no json.Number
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return positioned(data, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return positioned(data, &json.SyntaxError{Offset: decoder.InputOffset()})
	}
	return nil
}

// positioned puts line and column before a JSON error.
func positioned(data []byte, err error) error {
	var offset int64
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &mismatch):
		offset = mismatch.Offset
	default:
		return err
	}
	before := data[:max(0, min(int(offset)-1, len(data)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	message := err.Error()
	if message == "" {
		message = "unexpected text after the end"
	}
	return fmt.Errorf("line %d, column %d: %s", line, column, message)
}

// The states as the description lists them.
type (
	runStateSchema     struct{}
	taskStateSchema    struct{}
	attemptStateSchema struct{}
	paramTypeSchema    struct{}
)

func (runStateSchema) Schema(r huma.Registry) *huma.Schema {
	return enum(r, "RunState", flow.RunQueued, flow.RunRunning, flow.RunPausing, flow.RunPaused,
		flow.RunStopping, flow.RunStopped, flow.RunFailed, flow.RunSucceeded)
}

func (taskStateSchema) Schema(r huma.Registry) *huma.Schema {
	return enum(r, "TaskState", flow.TaskWaiting, flow.TaskReady, flow.TaskDispatched, flow.TaskRunning,
		flow.TaskRetrying, flow.TaskPaused, flow.TaskStopped, flow.TaskFailed, flow.TaskSkipped,
		flow.TaskSucceeded, flow.TaskHeld)
}

func (attemptStateSchema) Schema(r huma.Registry) *huma.Schema {
	return enum(r, "AttemptState", flow.AttemptDispatched, flow.AttemptRunning, flow.AttemptSucceeded,
		flow.AttemptFailed, flow.AttemptStopped, flow.AttemptLost, flow.AttemptBuried)
}

func (paramTypeSchema) Schema(r huma.Registry) *huma.Schema {
	return enum(r, "ParamType", param.String, param.Int, param.Float, param.Bool, param.List, param.Map)
}

func enum[S ~string](r huma.Registry, name string, values ...S) *huma.Schema {
	if _, known := r.Map()[name]; !known {
		schema := &huma.Schema{Type: huma.TypeString}
		for _, value := range values {
			schema.Enum = append(schema.Enum, string(value))
		}
		schema.PrecomputeMessages()
		r.Map()[name] = schema
	}
	return &huma.Schema{Ref: "#/components/schemas/" + name}
}

// span is a duration in a query, such as 30s.
type span struct{ time.Duration }

// UnmarshalText reads a duration that is not negative.
func (d *span) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is not a duration: write it like 30s or 1m30s", text)
	}
	d.Duration = parsed
	return nil
}

// Schema describes it.
func (*span) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"30s"}}
}

func serve(mux *http.ServeMux, path, contentType string, body []byte) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body) // the client has gone
	})
}

// must is for what can only fail by a mistake in the program.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func (s *Server) runRoutes(a huma.API) {
	register(s, a, operation{
		id: "start", method: http.MethodPost, path: apiPath + "/runs", tag: "runs", status: http.StatusCreated,
		summary: "Start a run. Under a known key: 200 and the run that was started then",
	}, s.startRun)
	register(s, a, operation{
		id: "start-inline", method: http.MethodPost, path: apiPath + "/runs/inline", tag: "runs", status: http.StatusCreated,
		summary: "Apply a source and start a run of it", bodyMax: sourceMax,
	}, s.startInline)
	for _, path := range []string{apiPath + "/runs", apiPath + "/runs/inline"} {
		answers := a.OpenAPI().Paths[path].Post.Responses
		again := *answers["201"]
		again.Description = "Started before, under the same key"
		answers["200"] = &again
	}
	register(s, a, operation{
		id: "list-runs", method: http.MethodGet, path: apiPath + "/runs", tag: "runs",
		summary: "Runs, newest first",
	}, s.listRuns)
	register(s, a, operation{
		id: "show-run", method: http.MethodGet, path: apiPath + "/runs/{run}", tag: "runs",
		summary: "A run with its task runs and attempts",
	}, s.showRun)
}

// startCommand is what is asked for by a start, as far as it decides whether
// two requests are the same.
type startCommand struct {
	Workflow string         `json:"workflow,omitempty"`
	Version  int            `json:"version,omitempty"`
	Source   string         `json:"source,omitempty"`
	Params   map[string]any `json:"params,omitempty"`
	Select   *Select        `json:"select,omitempty"`
	Priority int            `json:"priority,omitempty"`
}

type startInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"256" doc:"Repeated under the same key, the request is carried out once"`
	Body StartRequest
}

type startOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     Started
}

func (s *Server) startRun(ctx context.Context, in *startInput) (*startOutput, error) {
	b := &in.Body
	key, err := oneKey(in.Key, b.Key)
	if err != nil {
		return nil, err
	}
	return s.start(ctx, key, startCommand{
		Workflow: b.Workflow, Version: b.Version, Params: b.Params, Select: b.Select, Priority: b.Priority,
	}, func() (*compiled, error) { return s.reader.plan(ctx, b.Workflow, b.Version) })
}

type startInlineInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"256"`
	Body StartInlineRequest
}

func (s *Server) startInline(ctx context.Context, in *startInlineInput) (*startOutput, error) {
	b := &in.Body
	key, err := oneKey(in.Key, b.Key)
	if err != nil {
		return nil, err
	}
	return s.start(ctx, key, startCommand{
		Source: b.Source, Params: b.Params, Select: b.Select, Priority: b.Priority,
	}, func() (*compiled, error) {
		stored, _, err := s.apply(ctx, Source{File: b.File, Source: b.Source})
		if err != nil {
			return nil, err
		}
		return s.reader.compile(&stored)
	})
}

// start stores the run, queued, together with the command that begins it. It
// looks for the key first: what was accepted under it stays accepted, also if
// the same request would be refused by now.
func (s *Server) start(ctx context.Context, key string, asked startCommand, resolve func() (*compiled, error)) (*startOutput, error) {
	digest, err := digestOf(partition.KindStart, "", asked)
	if err != nil {
		return nil, err
	}
	if first, err := s.repeated(ctx, key, digest); err != nil || first != nil {
		return s.started(ctx, first, http.StatusOK, err)
	}
	definition, err := resolve()
	if err != nil {
		return nil, err
	}
	run, err := s.newRun(definition, asked)
	if err != nil {
		return nil, err
	}
	command := s.newCommand(partition.KindStart, key, digest)
	command.Run, command.Partition = run.ID, run.Partition
	stored, again, err := s.Store.Submit(ctx, command, run)
	if err != nil {
		return nil, fmt.Errorf("store the start of workflow %s: %w", run.Workflow, err)
	}
	s.Wake()
	status := http.StatusCreated
	if again {
		status = http.StatusOK
	}
	return s.started(ctx, &stored, status, nil)
}

// started answers with the run as it is now.
func (s *Server) started(ctx context.Context, command *partition.Command, status int, err error) (*startOutput, error) {
	if err != nil {
		return nil, err
	}
	run, err := s.Store.Run(ctx, command.Run)
	if err != nil {
		return nil, runMissing(command.Run, err)
	}
	shown, err := s.showRuns(ctx, []flow.Run{run})
	if err != nil {
		return nil, err
	}
	return &startOutput{
		Status:   status,
		Location: apiPath + "/runs/" + string(run.ID),
		Body:     Started{Run: shown[0]},
	}, nil
}

// newRun checks what a start asks for and makes the row of its run.
func (s *Server) newRun(definition *compiled, asked startCommand) (*flow.Run, error) {
	w := &definition.definition.Workflow
	given, err := numbers(asked.Params)
	if err != nil {
		return nil, err
	}
	values, err := param.Resolve(w.Params, given)
	if err != nil {
		return nil, paramProblem(err)
	}
	selected, err := selection(definition.plan, asked.Select)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a run id: %w", err)
	}
	run := flow.RunID(id.String())
	return &flow.Run{
		ID:        run,
		Workflow:  w.Name,
		Version:   definition.definition.Version,
		Partition: partitionOf(run, s.Partitions),
		State:     flow.RunQueued,
		Params:    values,
		Select:    selected,
		Priority:  asked.Priority,
		CreatedAt: s.Now(),
	}, nil
}

// partitionOf spreads runs over the partitions by the hash of their id. The
// row keeps the answer, so that nobody has to repeat it.
func partitionOf(run flow.RunID, partitions int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(run)) // a hash never fails
	return int(h.Sum64() % uint64(partitions))
}

// selection checks that the tasks exist: a misspelt one would select nothing.
func selection(plan *flow.Plan, asked *Select) (flow.Select, error) {
	if asked == nil {
		return flow.Select{}, nil
	}
	if err := known(plan, "body.select.tasks", asked.Tasks); err != nil {
		return flow.Select{}, err
	}
	return flow.Select{Tasks: asked.Tasks, Ancestors: asked.Ancestors, Descendants: asked.Descendants}, nil
}

// known checks names of tasks; location says where they stood.
func known(plan *flow.Plan, location string, names []string) error {
	p := problem(http.StatusUnprocessableEntity, "the workflow does not have all of these tasks")
	for i, name := range names {
		if fault := plan.CheckSelect(flow.Select{Tasks: []string{name}}); fault != "" {
			p.Errors = append(p.Errors, Detail{Message: fault, Location: fmt.Sprintf("%s[%d]", location, i)})
		}
		if len(p.Errors) == faultsMax {
			break
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

type runsInput struct {
	Workflow      string          `query:"workflow"`
	State         []flow.RunState `query:"state,explode" maxItems:"20" nullable:"false" doc:"May be repeated"`
	CreatedFrom   time.Time       `query:"created_from" doc:"Inclusive"`
	CreatedBefore time.Time       `query:"created_before" doc:"Exclusive"`
	After         string          `query:"after" doc:"The next of the page before"`
	Limit         int             `query:"limit" minimum:"1" maximum:"1000" default:"50"`
}

type runsOutput struct{ Body RunList }

func (s *Server) listRuns(ctx context.Context, in *runsInput) (*runsOutput, error) {
	if in.After != "" && checkRunID(flow.RunID(in.After)) != nil {
		return nil, at(http.StatusUnprocessableEntity, "query.after", "%q is not a page: use the next of the page before", shortened(in.After))
	}
	runs, err := s.Store.Runs(ctx, store.RunFilter{
		Workflow: in.Workflow, States: in.State, CreatedFrom: in.CreatedFrom, CreatedBefore: in.CreatedBefore,
		After: flow.RunID(in.After), Limit: in.Limit,
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	shown, err := s.showRuns(ctx, runs)
	if err != nil {
		return nil, err
	}
	out := &runsOutput{Body: RunList{Runs: shown}}
	if len(runs) == in.Limit {
		out.Body.Next = string(runs[len(runs)-1].ID)
	}
	return out, nil
}

// showRuns masks the secrets of runs, reading each definition once.
func (s *Server) showRuns(ctx context.Context, runs []flow.Run) ([]Run, error) {
	shown := make([]Run, 0, len(runs))
	defs := map[planID][]param.Def{}
	for i := range runs {
		r := &runs[i]
		id := planID{r.Workflow, r.Version}
		if _, read := defs[id]; !read {
			d, err := s.reader.definition(ctx, r.Workflow, r.Version)
			if err != nil {
				return nil, err
			}
			defs[id] = d.Workflow.Params
		}
		l := loaded{secrets: secrets(defs[id], r.Params)}
		shown = append(shown, maskedRun(r, defs[id], l.mask))
	}
	return shown, nil
}

type showInput struct {
	Run  flow.RunID `path:"run"`
	Wait span       `query:"wait" doc:"Answer when what is waited for has come, or after this time (at most 1m)"`
	For  string     `query:"for" enum:"final" default:"final"`
}

type showOutput struct{ Body RunDetail }

func (s *Server) showRun(ctx context.Context, in *showInput) (*showOutput, error) {
	if err := checkRunID(in.Run); err != nil {
		return nil, err
	}
	err := s.await(ctx, in.Wait, func() (bool, error) { return s.final(ctx, in.Run) })
	if err != nil {
		return nil, err
	}
	loaded, err := s.reader.load(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	detail, err := loaded.detail(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	return &showOutput{Body: detail}, nil
}

// checkRunID keeps everything but a run's id away from the store and the
// files.
func checkRunID(id flow.RunID) error {
	parsed, err := uuid.Parse(string(id))
	if err != nil || parsed.String() != string(id) {
		return problem(http.StatusNotFound, "there is no run %q: `semel list` shows what there is", shortened(string(id)))
	}
	return nil
}

// runMissing says what to do where a run is not there; nil stays nil.
func runMissing(id flow.RunID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return problem(http.StatusNotFound, "there is no run %s: `semel list` shows what there is", id)
	}
	return fmt.Errorf("read run %s: %w", id, err)
}

// numbers makes integers of the whole numbers in parameters, and floats of the
// others: JSON has one kind of number, parameters have two.
func numbers(given map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(given))
	for name, value := range given {
		converted, err := number(value)
		if err != nil {
			return nil, at(http.StatusUnprocessableEntity, "body.params."+shortened(name), "%v", err)
		}
		out[name] = converted
	}
	return out, nil
}

func number(value any) (any, error) {
	switch v := value.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole, nil
		}
		fraction, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s is too large for a number", shortened(v.String()))
		}
		return fraction, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			converted, err := number(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = converted
		}
		return out, nil
	case map[string]any:
		return numbers(v)
	}
	return value, nil
}

// paramProblem tells which parameters are wrong.
func paramProblem(err error) error {
	var faults *param.Errors
	if !errors.As(err, &faults) {
		return at(http.StatusUnprocessableEntity, "body.params", "%v", err)
	}
	p := problem(http.StatusUnprocessableEntity, "%s in the parameters", count(len(faults.Problems), "fault"))
	for _, fault := range faults.Problems {
		location := "body.params"
		if fault.Name != "" {
			location += "." + shortened(fault.Name)
		}
		p.Errors = append(p.Errors, Detail{Message: fault.Message, Location: location})
	}
	p.shorten()
	return p
}

// oneKey is the idempotency key of a request, which may come in two places.
func oneKey(header, body string) (string, error) {
	if header != "" && body != "" && header != body {
		return "", at(http.StatusUnprocessableEntity, "body.key", "the header Idempotency-Key says %q, the body %q: send one of them", shortened(header), shortened(body))
	}
	return cmp.Or(header, body), nil
}

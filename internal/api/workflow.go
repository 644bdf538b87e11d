package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/spec"
	"github.com/semel-dev/semel/internal/store"
)

// fileDefault is how errors name a source that came without a name.
const fileDefault = "workflow.yaml"

func (s *Server) workflowRoutes(a huma.API) {
	register(s, a, operation{
		id: "apply", method: http.MethodPut, path: apiPath + "/workflows", tag: "workflows",
		summary: "Store a workflow as the next version of its name, unless its latest version says the same",
		bodyMax: sourceMax, raw: true,
	}, s.applyWorkflow)
	register(s, a, operation{
		id: "validate", method: http.MethodPost, path: apiPath + "/validate", tag: "workflows",
		summary: "Check a workflow and store nothing", bodyMax: sourceMax, raw: true,
	}, s.validateWorkflow)
	register(s, a, operation{
		id: "list-workflows", method: http.MethodGet, path: apiPath + "/workflows", tag: "workflows",
		summary: "The latest version of each workflow, by name",
	}, s.listWorkflows)
	register(s, a, operation{
		id: "show-workflow", method: http.MethodGet, path: apiPath + "/workflows/{workflow}", tag: "workflows",
		summary: "One version of a workflow, with its source",
	}, s.showWorkflow)
	register(s, a, operation{
		id: "list-versions", method: http.MethodGet, path: apiPath + "/workflows/{workflow}/versions", tag: "workflows",
		summary: "All versions of a workflow, newest first",
	}, s.listVersions)
	describeSource(a, "apply", "validate")
}

// describeSource adds the second form of a body that huma cannot know: the
// YAML itself.
func describeSource(a huma.API, operations ...string) {
	for _, path := range a.OpenAPI().Paths {
		for _, op := range []*huma.Operation{path.Put, path.Post} {
			for _, id := range operations {
				if op != nil && op.OperationID == id {
					op.RequestBody.Content = map[string]*huma.MediaType{
						"application/json": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Source](), true, "")},
						"application/yaml": {Schema: &huma.Schema{Type: huma.TypeString}},
						"text/yaml":        {Schema: &huma.Schema{Type: huma.TypeString}},
					}
				}
			}
		}
	}
}

type sourceInput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	File        string `query:"file" maxLength:"4096" doc:"How errors name the source, where the body is the YAML itself"`
	RawBody     []byte
}

// source takes the body in either of its forms.
func (in *sourceInput) source() (Source, error) {
	kind, _, err := mime.ParseMediaType(in.ContentType)
	if err != nil && in.ContentType != "" {
		return Source{}, at(http.StatusUnsupportedMediaType, "header.Content-Type", "%q is not a content type: %v", in.ContentType, err)
	}
	switch kind {
	case "text/yaml", "application/yaml", "application/x-yaml", "text/x-yaml":
		return Source{File: in.File, Source: string(in.RawBody)}, nil
	case "application/json":
		var source Source
		if err := unmarshal(in.RawBody, &source); err != nil {
			return Source{}, at(http.StatusBadRequest, "body", "the body cannot be read as JSON: %v", err)
		}
		if source.File == "" {
			source.File = in.File
		}
		return source, nil
	}
	return Source{}, problem(http.StatusUnsupportedMediaType, "send a workflow as application/yaml, or as application/json with its text in \"source\"")
}

type applyOutput struct{ Body Applied }

func (s *Server) applyWorkflow(ctx context.Context, in *sourceInput) (*applyOutput, error) {
	source, err := in.source()
	if err != nil {
		return nil, err
	}
	stored, created, err := s.apply(ctx, source)
	if err != nil {
		return nil, err
	}
	return &applyOutput{Body: Applied{Name: stored.Workflow.Name, Version: stored.Version, Created: created}}, nil
}

// apply stores a source as a version.
func (s *Server) apply(ctx context.Context, source Source) (store.Definition, bool, error) {
	workflow, err := parse(source)
	if err != nil {
		return store.Definition{}, false, err
	}
	definition := store.Definition{Workflow: *workflow, Source: source.Source, Digest: spec.Digest(workflow)}
	stored, created, err := s.Store.Apply(ctx, definition, s.Now())
	if err != nil {
		return store.Definition{}, false, fmt.Errorf("store workflow %s: %w", workflow.Name, err)
	}
	return stored, created, nil
}

// parse reads a source, and compiles it: what cannot be run is not stored.
func parse(source Source) (*flow.Workflow, error) {
	if source.File == "" {
		source.File = fileDefault
	}
	if strings.TrimSpace(source.Source) == "" {
		return nil, at(http.StatusUnprocessableEntity, "body.source", "the workflow is empty: it needs at least a name and one task")
	}
	workflow, err := spec.Parse(source.File, []byte(source.Source))
	if err != nil {
		return nil, err
	}
	if _, err := flow.Compile(workflow); err != nil {
		return nil, at(http.StatusUnprocessableEntity, "body.source", "%s: %v", source.File, err)
	}
	return workflow, nil
}

type validateOutput struct{ Body Validated }

func (s *Server) validateWorkflow(_ context.Context, in *sourceInput) (*validateOutput, error) {
	source, err := in.source()
	if err != nil {
		return nil, err
	}
	workflow, err := parse(source)
	if err != nil {
		return nil, err
	}
	return &validateOutput{Body: Validated{Name: workflow.Name, Tasks: len(workflow.Tasks)}}, nil
}

type workflowsOutput struct{ Body WorkflowList }

func (s *Server) listWorkflows(ctx context.Context, _ *struct{}) (*workflowsOutput, error) {
	definitions, err := s.Store.WorkflowList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workflows: %w", err)
	}
	return &workflowsOutput{Body: summaries(definitions)}, nil
}

type versionsInput struct {
	Workflow string `path:"workflow"`
}

func (s *Server) listVersions(ctx context.Context, in *versionsInput) (*workflowsOutput, error) {
	definitions, err := s.Store.WorkflowVersions(ctx, in.Workflow)
	if err == nil && len(definitions) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, workflowMissing(in.Workflow, 0, err)
	}
	return &workflowsOutput{Body: summaries(definitions)}, nil
}

func summaries(definitions []store.Definition) WorkflowList {
	list := WorkflowList{Workflows: make([]WorkflowSummary, 0, len(definitions))}
	for i := range definitions {
		d := &definitions[i]
		list.Workflows = append(list.Workflows, WorkflowSummary{
			Name:        d.Workflow.Name,
			Version:     d.Version,
			Description: d.Workflow.Description,
			Tasks:       len(d.Workflow.Tasks),
			CreatedAt:   d.CreatedAt,
		})
	}
	return list
}

type workflowInput struct {
	Workflow string `path:"workflow"`
	Version  int    `query:"version" minimum:"0" doc:"0: the latest"`
}

type workflowOutput struct{ Body Workflow }

func (s *Server) showWorkflow(ctx context.Context, in *workflowInput) (*workflowOutput, error) {
	d, err := s.reader.definition(ctx, in.Workflow, in.Version)
	if err != nil {
		return nil, err
	}
	w := &d.Workflow
	shown := Workflow{
		Name:        w.Name,
		Version:     d.Version,
		Description: w.Description,
		Source:      d.Source,
		Params:      make([]Param, 0, len(w.Params)),
		Tasks:       make([]WorkflowTask, 0, len(w.Tasks)),
		CreatedAt:   d.CreatedAt,
	}
	for _, def := range w.Params {
		p := Param(def)
		if p.Secret && p.Default != nil {
			p.Default = masked
		}
		shown.Params = append(shown.Params, p)
	}
	for i := range w.Tasks {
		t := &w.Tasks[i]
		shown.Tasks = append(shown.Tasks, WorkflowTask{
			Name: t.Name, Type: t.Type, Needs: append([]string{}, t.Needs...), Description: t.Description, Disabled: t.Disabled,
		})
	}
	return &workflowOutput{Body: shown}, nil
}

// workflowMissing says what to do where a workflow is not there.
func workflowMissing(name string, version int, err error) error {
	switch {
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("read workflow %s: %w", shortened(name), err)
	case version != 0:
		return problem(http.StatusNotFound, "workflow %s has no version %d", shortened(name), version)
	}
	return problem(http.StatusNotFound, "there is no workflow %q: `semel apply FILE` stores one", shortened(name))
}

// shortened bounds what an error repeats of a request.
func shortened(text string) string {
	const most = 100
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

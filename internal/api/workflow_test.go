package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/semel-dev/semel/internal/api"
)

func TestApply(t *testing.T) {
	f := open(t)
	for _, form := range []struct{ contentType, body, answer string }{
		{"application/yaml", sales, `{"name":"daily-sales","version":1,"created":true}`},
		{"text/yaml; charset=utf-8", sales, `{"name":"daily-sales","version":1,"created":false}`},
		{"application/json", body(api.Source{Source: sales}), `{"name":"daily-sales","version":1,"created":false}`},
		{"application/yaml", strings.Replace(sales, "region: cn", "region: eu", 1), `{"name":"daily-sales","version":2,"created":true}`},
	} {
		response, answer := f.call(http.MethodPut, "/api/v1/workflows", form.contentType, form.body)
		if response.StatusCode != http.StatusOK || strings.TrimSpace(answer) != form.answer {
			t.Errorf("apply as %s: %d %s, want %s", form.contentType, response.StatusCode, answer, form.answer)
		}
	}
}

func TestWorkflows(t *testing.T) {
	f := open(t)
	f.apply(sales)
	f.apply(strings.Replace(sales, "of a day", "of one day", 1))
	f.apply("name: another\ntasks: {only: {run: 'true'}}\n")

	list, err := f.client.Workflows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range list {
		names = append(names, w.Name)
	}
	if diff := cmp.Diff([]string{"another", "daily-sales"}, names); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if list[1].Version != 2 || list[1].Tasks != 2 || list[1].Description != "the sales of one day" {
		t.Errorf("list: %+v", list[1])
	}

	versions, err := f.client.Versions(t.Context(), "daily-sales")
	if err != nil || len(versions) != 2 || versions[0].Version != 2 || versions[1].Version != 1 {
		t.Errorf("versions: %+v, %v", versions, err)
	}

	first, err := f.client.Workflow(t.Context(), "daily-sales", 1)
	if err != nil {
		t.Fatal(err)
	}
	if first.Source != sales || first.Version != 1 {
		t.Errorf("version 1: %+v", first)
	}
	want := []api.WorkflowTask{{Name: "extract", Type: "shell", Needs: []string{}}, {Name: "load", Type: "shell", Needs: []string{"extract"}}}
	if diff := cmp.Diff(want, first.Tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	for _, p := range first.Params {
		if p.Name == "token" && p.Default != "***" {
			t.Errorf("the default of a secret is shown: %+v", p)
		}
	}
	latest, err := f.client.Workflow(t.Context(), "daily-sales", 0)
	if err != nil || latest.Version != 2 {
		t.Errorf("latest: %+v, %v", latest, err)
	}
}

func TestValidate(t *testing.T) {
	f := open(t)
	validated, err := f.client.Validate(t.Context(), api.Source{Source: sales})
	if diff := cmp.Diff(api.Validated{Name: "daily-sales", Tasks: 2}, validated); diff != "" || err != nil {
		t.Errorf("validate (-want +got):\n%s%v", diff, err)
	}
	if list, err := f.client.Workflows(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("validate stored something: %+v, %v", list, err)
	}
}

func TestWorkflowFaultsHavePositions(t *testing.T) {
	f := open(t)
	broken := "name: daily-sales\ntasks:\n  load:\n    needs: [extrat]\n    run: 'true'\n  extract:\n    run: 'true'\n"
	p := f.problem(http.StatusUnprocessableEntity, http.MethodPut, "/api/v1/workflows?file=sales.yaml", "application/yaml", broken)
	if len(p.Errors) != 1 {
		t.Fatalf("faults: %+v", p)
	}
	fault := p.Errors[0]
	if fault.File != "sales.yaml" || fault.Line != 4 || fault.Column == 0 || fault.Field != "tasks.load.needs[0]" || !strings.Contains(fault.Message, "extract") {
		t.Errorf("fault: %+v", fault)
	}
}

func TestWorkflowBadRequests(t *testing.T) {
	f := open(t)
	f.apply(sales)
	for name, bad := range map[string]struct {
		status                    int
		method, path, kind, body  string
		detail, location, message string
	}{
		"empty body":         {422, "PUT", "/workflows", "application/yaml", " ", "empty", "body.source", ""},
		"no body":            {400, "PUT", "/workflows", "application/yaml", "", "required", "", ""},
		"unknown type":       {415, "PUT", "/workflows", "application/x-www-form-urlencoded", sales, "application/yaml", "", ""},
		"no type":            {415, "PUT", "/workflows", "", sales, "application/yaml", "", ""},
		"type that is none":  {415, "PUT", "/workflows", ";;", sales, "content type", "", ""},
		"compressed":         {415, "PUT", "/workflows", "application/yaml", sales, "Content-Encoding", "", ""},
		"broken JSON":        {400, "POST", "/validate", "application/json", "{\n  \"source\": nope}", "line 2, column 14", "body", ""},
		"JSON of a list":     {400, "POST", "/validate", "application/json", "[1]", "line 1", "body", ""},
		"text after JSON":    {400, "POST", "/validate", "application/json", `{"source":"x"} {}`, "after the end", "body", ""},
		"too large":          {413, "PUT", "/workflows", "application/yaml", strings.Repeat("#", 32<<20+1), "32 MiB", "", ""},
		"no such workflow":   {404, "GET", "/workflows/nope", "", "", `"nope"`, "", ""},
		"no such version":    {404, "GET", "/workflows/daily-sales?version=7", "", "", "no version 7", "", ""},
		"version not number": {422, "GET", "/workflows/daily-sales?version=x", "", "", "1 fault", "query.version", ""},
		"version negative":   {422, "GET", "/workflows/daily-sales?version=-1", "", "", "1 fault", "query.version", ""},
		"versions of none":   {404, "GET", "/workflows/nope/versions", "", "", `"nope"`, "", ""},
		"path in name":       {404, "GET", "/workflows/..%2f..%2fetc%2fpasswd", "", "", "etc/passwd", "", ""},
		"unknown query":      {422, "GET", "/workflows?verson=1", "", "", "1 fault", "query.verson", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			if name == "compressed" {
				header = []string{"Content-Encoding", "gzip"}
			}
			p := f.in(t).problem(bad.status, bad.method, "/api/v1"+bad.path, bad.kind, bad.body, header...)
			if !strings.Contains(p.Detail, bad.detail) {
				t.Errorf("detail %q does not name %q", p.Detail, bad.detail)
			}
			if bad.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != bad.location) {
				t.Errorf("errors %+v, want one at %s", p.Errors, bad.location)
			}
		})
	}
}

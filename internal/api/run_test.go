package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/api/client"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func TestStart(t *testing.T) {
	f := open(t)
	f.apply(sales)
	response, answer := f.call(http.MethodPost, "/api/v1/runs", "application/json",
		`{"workflow":"daily-sales","params":{"region":"eu","count":9007199254740993},"select":{"tasks":["load"],"ancestors":true},"priority":7}`)
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("status %d: %s", response.StatusCode, answer)
	}
	var started api.Started
	if err := json.Unmarshal([]byte(answer), &started); err != nil {
		t.Fatal(err)
	}
	if want := "/api/v1/runs/" + string(started.Run.ID); response.Header.Get("Location") != want {
		t.Errorf("Location %q, want %q", response.Header.Get("Location"), want)
	}
	if id, err := uuid.Parse(string(started.Run.ID)); err != nil || id.Version() != 7 {
		t.Errorf("run id %q is not a UUIDv7", started.Run.ID)
	}
	if started.Run.State != flow.RunQueued || started.Run.StartedAt != nil {
		t.Errorf("the run has begun by itself: %+v", started.Run)
	}

	// What was answered is stored: the run, and the command that begins it.
	row := f.row(started.Run.ID)
	wantParams := param.Values{"region": "eu", "count": int64(9007199254740993), "token": "s3cret-default"}
	if diff := cmp.Diff(wantParams, row.Params); diff != "" {
		t.Errorf("stored parameters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(flow.Select{Tasks: []string{"load"}, Ancestors: true}, row.Select); diff != "" || row.Priority != 7 || row.Version != 1 {
		t.Errorf("stored run %+v\n%s", row, diff)
	}
	pending, err := f.store.Pending(t.Context(), row.Partition, 0, 10)
	if err != nil || len(pending) != 1 || pending[0].Kind != partition.KindStart || pending[0].Run != row.ID {
		t.Errorf("pending commands %+v, %v", pending, err)
	}
	if f.woken.Load() != 1 {
		t.Errorf("the owner was woken %d times, want once", f.woken.Load())
	}
}

func TestSecretsAreMasked(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	const secret = "tok-0123456789"
	run, err := f.client.Start(t.Context(), api.StartRequest{Workflow: "daily-sales", Params: map[string]any{"token": secret}})
	if err != nil {
		t.Fatal(err)
	}
	failed := ended(attempt(run.ID, "extract"), flow.AttemptFailed, flow.Outputs{"leak": "got " + secret})
	failed.Reason = "cannot log in with " + secret
	f.commit(partition.Batch{
		Runs:     []flow.Run{f.running(run.ID)},
		Attempts: []flow.Attempt{failed},
		Events:   []partition.Event{{At: time.Now(), Cause: "timeout", Run: run.ID, Message: "with " + secret}},
	})
	id := string(run.ID)
	for _, path := range []string{"/runs", "/runs/" + id, "/runs/" + id + "/tasks/extract", "/runs/" + id + "/explain?task=extract", "/runs/" + id + "/events"} {
		_, answer := f.call(http.MethodGet, "/api/v1"+path, "", "")
		if strings.Contains(answer, secret) {
			t.Errorf("GET %s shows the secret: %s", path, answer)
		}
	}
	_, answer := f.call(http.MethodGet, "/api/v1/runs/"+id, "", "")
	if !strings.Contains(answer, `"token":"***"`) || !strings.Contains(answer, "cannot log in with ***") {
		t.Errorf("the secret is not masked: %s", answer)
	}
	_, answer = f.call(http.MethodPost, "/api/v1/runs", "application/json", body(api.StartRequest{
		Workflow: "daily-sales", Params: map[string]any{"token": secret, "nope": secret},
	}))
	if strings.Contains(answer, secret) {
		t.Errorf("an error shows the secret: %s", answer)
	}
}

func TestStartIsRepeatable(t *testing.T) {
	f := open(t)
	f.apply(sales)
	const request = `{"workflow":"daily-sales","params":{"region":"eu"}}`
	first, answer := f.call(http.MethodPost, "/api/v1/runs", "application/json", request, "Idempotency-Key", "k1")
	again, answerAgain := f.call(http.MethodPost, "/api/v1/runs", "application/json", request, "Idempotency-Key", "k1")
	if first.StatusCode != http.StatusCreated || again.StatusCode != http.StatusOK || answer != answerAgain {
		t.Errorf("%d %s\nthen %d %s", first.StatusCode, answer, again.StatusCode, answerAgain)
	}
	// The key in the body is the same key.
	inBody, answerBody := f.call(http.MethodPost, "/api/v1/runs", "application/json", `{"workflow":"daily-sales","params":{"region":"eu"},"key":"k1"}`)
	if inBody.StatusCode != http.StatusOK || answerBody != answer {
		t.Errorf("key in the body: %d %s", inBody.StatusCode, answerBody)
	}
	p := f.problem(http.StatusConflict, http.MethodPost, "/api/v1/runs", "application/json", `{"workflow":"daily-sales"}`, "Idempotency-Key", "k1")
	if !strings.Contains(p.Detail, "idempotency key") {
		t.Errorf("reused key: %q", p.Detail)
	}
	f.problem(http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/runs", "application/json", `{"workflow":"daily-sales","key":"k2"}`, "Idempotency-Key", "k1")

	// What was accepted stays accepted, also if it would be refused by now.
	f.apply(strings.Replace(sales, "  region: cn\n", "", 1))
	late, answerLate := f.call(http.MethodPost, "/api/v1/runs", "application/json", request, "Idempotency-Key", "k1")
	if late.StatusCode != http.StatusOK || answerLate != answer {
		t.Errorf("after the parameter has gone: %d %s", late.StatusCode, answerLate)
	}
	if runs, err := f.client.Runs(t.Context(), client.RunQuery{}); err != nil || len(runs.Runs) != 1 {
		t.Errorf("%d runs were started, want 1; %v", len(runs.Runs), err)
	}
}

func TestStartInline(t *testing.T) {
	f := open(t)
	request := api.StartInlineRequest{File: "sales.yaml", Source: sales, Params: map[string]any{"region": "eu"}, Key: "k"}
	run, err := f.client.StartInline(t.Context(), request)
	if err != nil || run.Workflow != "daily-sales" || run.Version != 1 || run.Params["region"] != "eu" {
		t.Fatalf("started %+v, %v", run, err)
	}
	again, err := f.client.StartInline(t.Context(), request)
	if err != nil || again.ID != run.ID {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	request.Source += "  more: {run: 'true'}\n"
	if _, err := f.client.StartInline(t.Context(), request); statusOf(err) != http.StatusConflict {
		t.Errorf("the key with another source: %v", err)
	}
	request.Key, request.Source = "", "name: x\ntasks: 7\n"
	if _, err := f.client.StartInline(t.Context(), request); statusOf(err) != http.StatusUnprocessableEntity {
		t.Errorf("a broken source: %v", err)
	}
}

func TestStartBadRequests(t *testing.T) {
	f := open(t)
	f.apply(sales)
	for name, bad := range map[string]struct {
		status                 int
		kind, body             string
		detail, location, says string
	}{
		"unknown workflow":    {404, "application/json", `{"workflow":"nope"}`, `"nope"`, "", ""},
		"unknown version":     {404, "application/json", `{"workflow":"daily-sales","version":9}`, "no version 9", "", ""},
		"unknown parameter":   {422, "application/json", `{"workflow":"daily-sales","params":{"regoin":"x"}}`, "1 fault", "body.params.regoin", `region`},
		"wrong type of param": {422, "application/json", `{"workflow":"daily-sales","params":{"count":"many"}}`, "1 fault", "body.params.count", "count"},
		"number too large":    {400, "application/json", `{"workflow":"daily-sales","params":{"count":1e999}}`, "read as JSON", "body", "1e999"},
		"unknown task":        {422, "application/json", `{"workflow":"daily-sales","select":{"tasks":["extract","nope"]}}`, "", "body.select.tasks[1]", `"nope"`},
		"nothing selected":    {422, "application/json", `{"workflow":"daily-sales","select":{"tasks":[]}}`, "", "body.select.tasks", ""},
		"unknown field":       {422, "application/json", `{"workflow":"daily-sales","parms":{}}`, "1 fault", "body.parms", "unexpected"},
		"no workflow":         {422, "application/json", `{}`, "1 fault", "body", "workflow"},
		"workflow no text":    {422, "application/json", `{"workflow":7}`, "", "body.workflow", "string"},
		"negative version":    {422, "application/json", `{"workflow":"daily-sales","version":-1}`, "", "body.version", ""},
		"broken JSON":         {400, "application/json", "{\"workflow\":\n\"daily-sales\",}", "read as JSON", "body", "line 2, column 15"},
		"empty body":          {400, "application/json", "", "body is required", "", ""},
		"YAML":                {415, "application/yaml", "workflow: daily-sales", "application/json", "", ""},
		"form":                {415, "application/x-www-form-urlencoded", "workflow=daily-sales", "application/json", "", ""},
		"too large":           {413, "application/json", `{"workflow":"` + strings.Repeat("x", 1<<20) + `"}`, "1 MiB", "", ""},
		"deep":                {400, "application/json", strings.Repeat("[", 20000), "read as JSON", "body", ""},
		"long key":            {422, "application/json", `{"workflow":"daily-sales","key":"` + strings.Repeat("k", 257) + `"}`, "", "body.key", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.in(t).problem(bad.status, http.MethodPost, "/api/v1/runs", bad.kind, bad.body)
			if !strings.Contains(p.Detail, bad.detail) {
				t.Errorf("detail %q does not name %q", p.Detail, bad.detail)
			}
			if bad.location == "" {
				return
			}
			i := slices.IndexFunc(p.Errors, func(d api.Detail) bool { return d.Location == bad.location })
			if i < 0 || !strings.Contains(p.Errors[i].Message, bad.says) {
				t.Errorf("errors %+v, want one at %s with %q", p.Errors, bad.location, bad.says)
			}
		})
	}
	if runs, err := f.client.Runs(t.Context(), client.RunQuery{}); err != nil || len(runs.Runs) != 0 {
		t.Errorf("a refused start left %d runs; %v", len(runs.Runs), err)
	}
	if f.woken.Load() != 0 {
		t.Errorf("a refused start woke the owner %d times", f.woken.Load())
	}
}

func TestRunsAreListedInPages(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	var want []flow.RunID
	for range 7 {
		want = append(want, f.start().ID)
	}
	f.finish(want[0])
	slices.Reverse(want)
	var got []flow.RunID
	query := client.RunQuery{Limit: 3}
	for pages := 1; ; pages++ {
		page, err := f.client.Runs(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range page.Runs {
			got = append(got, run.ID)
		}
		if page.Next == "" {
			if pages != 3 {
				t.Errorf("7 runs came in %d pages of 3", pages)
			}
			break
		}
		query.After = page.Next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}

	filtered := func(q client.RunQuery) []flow.RunID {
		t.Helper()
		page, err := f.client.Runs(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		ids := []flow.RunID{}
		for _, run := range page.Runs {
			ids = append(ids, run.ID)
		}
		return ids
	}
	oldest := f.row(want[6])
	for name, c := range map[string]struct {
		query client.RunQuery
		want  []flow.RunID
	}{
		"by state":        {client.RunQuery{States: []flow.RunState{flow.RunSucceeded}}, want[6:]},
		"by two states":   {client.RunQuery{States: []flow.RunState{flow.RunSucceeded, flow.RunQueued}}, want},
		"by workflow":     {client.RunQuery{Workflow: "daily-sales"}, want},
		"by another":      {client.RunQuery{Workflow: "nope"}, []flow.RunID{}},
		"created from":    {client.RunQuery{CreatedFrom: oldest.CreatedAt}, want},
		"created before":  {client.RunQuery{CreatedBefore: oldest.CreatedAt}, []flow.RunID{}},
		"created in 1970": {client.RunQuery{CreatedFrom: time.Unix(0, 0), CreatedBefore: time.Unix(1, 0)}, []flow.RunID{}},
	} {
		if diff := cmp.Diff(c.want, filtered(c.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRunListBadRequests(t *testing.T) {
	f := open(t)
	for query, location := range map[string]string{
		"state=done":                  "query.state[0]",
		"limit=0":                     "query.limit",
		"limit=1001":                  "query.limit",
		"limit=x":                     "query.limit",
		"after=../../etc/passwd":      "query.after",
		"created_from=yesterday":      "query.created_from",
		"stat=queued":                 "query.stat",
		"created_before=2026-13-01":   "query.created_before",
		"state=queued&state=finished": "query.state[1]",
	} {
		p := f.problem(http.StatusUnprocessableEntity, http.MethodGet, "/api/v1/runs?"+query, "", "")
		if len(p.Errors) == 0 || p.Errors[0].Location != location {
			t.Errorf("%s: errors %+v, want one at %s", query, p.Errors, location)
		}
	}
}

func TestTenThousandQueryParameters(t *testing.T) {
	f := open(t)
	query := url.Values{}
	for i := range 10_000 {
		query.Set(fmt.Sprintf("p%d", i), "1")
	}
	response, answer := f.call(http.MethodGet, "/api/v1/runs?"+query.Encode(), "", "")
	if response.StatusCode < 400 || response.StatusCode >= 500 || len(answer) > 20_000 {
		t.Errorf("status %d with %d bytes", response.StatusCode, len(answer))
	}
}

func TestShow(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	f.finish(run.ID)
	_, answer := f.call(http.MethodGet, "/api/v1/runs/"+string(run.ID), "", "")

	// The keys are those of the interface that others rely on, in its order.
	wantOrder := []string{
		`"run":{"id":`, `"workflow":"daily-sales"`, `"version":1`, `"state":"succeeded"`, `"reason":`, `"created_at":`, `"started_at":`, `"finished_at":`, `"params":{`,
		`"tasks":[{"name":"extract"`, `"state":"succeeded"`, `"reason":`, `"outputs":{"rows":"42"}`,
		`"attempts":[{"number":1`, `"generation":1`, `"epoch":1`, `"node":"w@1"`, `"state":"succeeded"`, `"reason":""`, `"exit_code":0`, `"started_at":"`, `"finished_at":"`,
		`{"name":"load"`, `"outputs":{}`,
	}
	rest := answer
	for _, want := range wantOrder {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%s is missing, or in another place: %s", want, answer)
		}
		rest = after
	}

	detail, err := api.Show(t.Context(), f.store, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(detail)
	if err != nil || strings.TrimSpace(answer) != string(encoded) {
		t.Errorf("Show gives %s, the server %s; %v", encoded, answer, err)
	}
}

func TestShowOfWhatHasNotHappened(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := f.start()
	_, answer := f.call(http.MethodGet, "/api/v1/runs/"+string(run.ID), "", "")
	for _, want := range []string{`"started_at":null`, `"finished_at":null`, `"outputs":{}`, `"attempts":[]`, `"state":"waiting"`} {
		if !strings.Contains(answer, want) {
			t.Errorf("%s is missing: %s", want, answer)
		}
	}
}

func TestShowKeepsEveryAttempt(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	second := attempt(run.ID, "extract")
	second.Number, second.Generation = 2, 2
	f.commit(partition.Batch{
		Runs: []flow.Run{f.running(run.ID)},
		Attempts: []flow.Attempt{
			ended(attempt(run.ID, "extract"), flow.AttemptLost, nil),
			second,
		},
	})
	attempts, err := f.client.Attempts(t.Context(), run.ID, "extract")
	if err != nil || len(attempts) != 2 {
		t.Fatalf("attempts %+v, %v", attempts, err)
	}
	if attempts[0].State != flow.AttemptLost || attempts[1].State != flow.AttemptDispatched || attempts[1].ExitCode != nil || attempts[1].StartedAt != nil {
		t.Errorf("attempts %+v", attempts)
	}
	task, err := f.client.Task(t.Context(), run.ID, "extract")
	if err != nil || task.State != flow.TaskDispatched || len(task.Attempts) != 2 {
		t.Errorf("task run %+v, %v", task, err)
	}
	none, err := f.client.Attempts(t.Context(), run.ID, "load")
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("attempts of a task that has had none: %+v, %v", none, err)
	}
}

func TestBadIDs(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := string(f.start().ID)
	for _, id := range []string{
		"nope", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..", "%00", "{" + run + "}", strings.ToUpper(run) + "x",
		"urn:uuid:" + run, "00000000-0000-0000-0000-000000000000", strings.Repeat("a", 4000), "%ff%fe", "'%20or%201=1",
	} {
		for _, path := range []string{"", "/tasks/extract", "/tasks/extract/attempts", "/tasks/extract/logs", "/tasks/extract/logs?follow=true", "/explain", "/events", "/watch", "?wait=1s"} {
			f.refused(http.MethodGet, "/api/v1/runs/"+id+path, "")
		}
		for _, command := range []string{"stop", "pause", "resume", "rerun"} {
			f.refused(http.MethodPost, "/api/v1/runs/"+id+"/"+command, "{}")
		}
		f.refused(http.MethodGet, "/api/v1/commands/"+id, "")
		if id != "nope" { // a task may be called so, but this one is not
			f.refused(http.MethodGet, "/api/v1/runs/"+run+"/tasks/"+id+"/logs", "")
		}
	}
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+run+"/tasks/nope", "", "")
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+run+"/tasks/nope/logs", "", "")
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+run+"/explain?task=nope", "", "")
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/runs/"+run+"/tasks/extract/logs?attempt=3", "", "")
}

// refused demands that a strange path ends in a 4xx, or in the mux's redirect
// to a clean one.
func (f *fixture) refused(method, path, body string) {
	f.t.Helper()
	kind := ""
	if body != "" {
		kind = "application/json"
	}
	response, answer := f.call(method, path, kind, body)
	if response.StatusCode < 300 || response.StatusCode >= 500 {
		f.t.Errorf("%s %s: status %d: %.300s", method, path, response.StatusCode, answer)
	}
	if len(answer) > 2000 {
		f.t.Errorf("%s %.100s: the answer has %d bytes", method, path, len(answer))
	}
}

// behind is a store whose runs are read as they were, while its attempts have
// moved on: what happens between two reads.
type behind struct {
	store.Store
	then store.RunSnapshot
}

func (s behind) LoadRun(context.Context, flow.RunID) (store.RunSnapshot, error) { return s.then, nil }

func TestShowIsOfOneMoment(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start().ID
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run)}, Attempts: []flow.Attempt{attempt(run, "extract")}})
	then, err := f.store.LoadRun(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	second := attempt(run, "extract")
	second.Number, second.Generation = 2, 2
	f.commit(partition.Batch{Attempts: []flow.Attempt{
		ended(attempt(run, "extract"), flow.AttemptFailed, nil), second, attempt(run, "load"),
	}})
	detail, err := api.Show(t.Context(), behind{f.store, then}, run)
	if err != nil {
		t.Fatal(err)
	}
	extract, load := detail.Tasks[0], detail.Tasks[1]
	if extract.State != flow.TaskDispatched || len(extract.Attempts) != 1 || extract.Attempts[0].State != flow.AttemptDispatched || len(load.Attempts) != 0 {
		t.Errorf("the attempts are of another moment than the task runs: %+v", detail.Tasks)
	}
}

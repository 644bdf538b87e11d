package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/semel-dev/semel/internal/api"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

func TestCommandsAreStored(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run.ID)}})

	stop, err := f.client.Stop(t.Context(), run.ID, api.StopRequest{Reason: "wrong day"})
	if err != nil {
		t.Fatal(err)
	}
	pause, err := f.client.Pause(t.Context(), run.ID, api.PauseRequest{})
	if err != nil {
		t.Fatal(err)
	}
	pending, err := f.store.Pending(t.Context(), 0, 0, 10)
	if err != nil || len(pending) != 3 {
		t.Fatalf("pending %+v, %v", pending, err)
	}
	var args flow.Stop
	if err := json.Unmarshal(pending[1].Args, &args); err != nil || args.Reason != "wrong day" || pending[1].ID != stop.ID || pending[1].Kind != partition.KindStop {
		t.Errorf("stored stop %+v, %v", pending[1], err)
	}
	if pending[2].ID != pause.ID || pending[2].Kind != partition.KindPause || stop.DoneAt != nil {
		t.Errorf("stored pause %+v, answered %+v", pending[2], stop)
	}
	if f.woken.Load() != 3 {
		t.Errorf("the owner was woken %d times, want 3", f.woken.Load())
	}

	f.commit(partition.Batch{Commands: []partition.Consumed{
		{Sequence: pending[0].Sequence},
		{Sequence: pending[1].Sequence},
		{Sequence: pending[2].Sequence, Refused: "the run is being stopped"},
	}})
	done, err := f.client.Command(t.Context(), stop.ID, 0)
	if err != nil || done.DoneAt == nil || done.Refused != "" {
		t.Errorf("stop %+v, %v", done, err)
	}
	refused, err := f.client.Command(t.Context(), pause.ID, time.Minute)
	if err != nil || refused.DoneAt == nil || refused.Refused != "the run is being stopped" {
		t.Errorf("pause %+v, %v", refused, err)
	}
}

func TestCommandThatMakesNoSenseIsRefused(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run.ID)}})
	path := "/api/v1/runs/" + string(run.ID)
	p := f.problem(http.StatusConflict, http.MethodPost, path+"/rerun", "application/json", `{"failed":true}`)
	if p.Detail == "" {
		t.Errorf("refused without a reason: %+v", p)
	}
	f.finish(run.ID)
	for _, command := range []string{"stop", "pause", "resume"} {
		f.problem(http.StatusConflict, http.MethodPost, path+"/"+command, "application/json", `{}`)
	}
	if _, err := f.client.Rerun(t.Context(), run.ID, api.RerunRequest{}); err != nil {
		t.Errorf("rerun of a final run: %v", err)
	}
}

func TestCommandIsRepeatableAfterItWasCarriedOut(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	f.finish(run.ID)
	first, err := f.client.Rerun(t.Context(), run.ID, api.RerunRequest{Key: "again"})
	if err != nil {
		t.Fatal(err)
	}
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run.ID)}}) // a rerun makes no sense any more
	again, err := f.client.Rerun(t.Context(), run.ID, api.RerunRequest{Key: "again"})
	if err != nil || again.ID != first.ID {
		t.Errorf("repeated: %+v, %v; want command %s", again, err, first.ID)
	}
	if _, err := f.client.Stop(t.Context(), run.ID, api.StopRequest{Key: "again"}); statusOf(err) != http.StatusConflict {
		t.Errorf("another command under the same key: %v", err)
	}
}

func TestCommandBadRequests(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	f.finish(run.ID)
	path := "/api/v1/runs/" + string(run.ID)
	for body, location := range map[string]string{
		`{"tasks":["nope"]}`:                  "body.tasks[0]",
		`{"ancestors":true}`:                  "body.tasks",
		`{"failed":true,"tasks":["extract"]}`: "body.failed",
		`{"task":["extract"]}`:                "body.task",
		`{"tasks":"extract"}`:                 "body.tasks",
		`{"tasks":[7]}`:                       "body.tasks[0]",
	} {
		p := f.problem(http.StatusUnprocessableEntity, http.MethodPost, path+"/rerun", "application/json", body)
		if len(p.Errors) == 0 || p.Errors[0].Location != location {
			t.Errorf("%s: errors %+v, want one at %s", body, p.Errors, location)
		}
	}
	f.problem(http.StatusNotFound, http.MethodGet, "/api/v1/commands/018f0000-0000-7000-8000-000000000000", "", "")
	f.problem(http.StatusUnprocessableEntity, http.MethodGet, path+"?wait=soon", "", "")
	f.problem(http.StatusUnprocessableEntity, http.MethodGet, path+"?wait=-1s", "", "")
	if _, answer := f.call(http.MethodPost, path+"/rerun", "", ""); !strings.Contains(answer, `"kind":"rerun"`) {
		t.Errorf("a rerun without a body: %s", answer)
	}
}

func TestWaitReturnsWhenTheRunIsFinal(t *testing.T) {
	f := open(t)
	f.claim()
	f.apply(sales)
	run := f.start()
	type result struct {
		detail api.RunDetail
		err    error
	}
	got := make(chan result, 1)
	go func() {
		detail, err := f.client.Wait(t.Context(), run.ID)
		got <- result{detail, err}
	}()
	f.waiting(1)
	f.commit(partition.Batch{Runs: []flow.Run{f.running(run.ID)}}) // a change that is not the one
	f.finish(run.ID)
	r := <-got
	if r.err != nil || r.detail.Run.State != flow.RunSucceeded {
		t.Errorf("waited for %+v, %v", r.detail.Run, r.err)
	}
}

func TestWaitReturnsWhenItsTimeIsOver(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := f.start()
	_, answer := f.call(http.MethodGet, "/api/v1/runs/"+string(run.ID)+"?wait=20ms&for=final", "", "")
	if !strings.Contains(answer, `"state":"queued"`) {
		t.Errorf("answer %s", answer)
	}
}

func TestWaitEndsWithTheServer(t *testing.T) {
	f := open(t)
	f.apply(sales)
	run := f.start()
	got := make(chan error, 1)
	go func() {
		_, err := f.client.Wait(t.Context(), run.ID)
		got <- err
	}()
	f.waiting(1)
	f.stop()
	if err := <-got; err == nil || !strings.Contains(err.Error(), "no Semel server at "+f.url) {
		t.Errorf("waiting at a server that has stopped: %v", err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	f := open(t, func(c *api.Config) { c.Streams = 2 })
	f.apply(sales)
	run := f.start()
	path := "/api/v1/runs/" + string(run.ID)
	for range 2 {
		go func() {
			for _, err := range f.client.Watch(t.Context(), run.ID) {
				_ = err // the server cuts it at the end of the test
			}
		}()
	}
	f.waiting(2)
	for _, more := range []string{"/watch", "?wait=1m", "/tasks/extract/logs?follow=true"} {
		f.problem(http.StatusServiceUnavailable, http.MethodGet, path+more, "", "")
	}
	if response, _ := f.call(http.MethodGet, path, "", ""); response.StatusCode != http.StatusOK {
		t.Errorf("a plain request beside the streams: %d", response.StatusCode)
	}
}

// waiting returns once so many streams and waits are open.
func (f *fixture) waiting(n int) {
	f.t.Helper()
	want := fmt.Sprintf("\nsemel_streams %d\n", n)
	for f.t.Context().Err() == nil {
		if _, answer := f.call(http.MethodGet, "/metrics", "", ""); strings.Contains(answer, want) {
			return
		}
	}
}

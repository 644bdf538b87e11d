package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

type explainInput struct {
	Run  flow.RunID `path:"run"`
	Task string     `query:"task" doc:"Only this one, also if it is final"`
}

type explainOutput struct{ Body Explanation }

// explainRun says why things have not ended. What the run's machine knows it
// says itself; what lies outside of a run (workers, owners) is added here.
func (s *Server) explainRun(ctx context.Context, in *explainInput) (*explainOutput, error) {
	loaded, err := s.reader.load(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	if in.Task != "" {
		if _, err := loaded.task(in.Task); err != nil {
			return nil, err
		}
	}
	nodes, err := s.Store.NodeList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	ownerless, err := s.ownerless(ctx, loaded.rows.Run.Partition)
	if err != nil {
		return nil, err
	}
	out := &explainOutput{Body: Explanation{Tasks: []TaskReason{}}}
	out.Body.Run = loaded.explain(ownerless)
	for _, v := range loaded.machine.Views() {
		if in.Task == "" && v.State.Final() || in.Task != "" && v.Name != in.Task {
			continue
		}
		sentence, explained := loaded.machine.Explain(v.Name)
		if !explained {
			sentence = v.Reason
		}
		if v.State == flow.TaskReady {
			sentence = joined(sentence, s.placement(nodes), ownerless)
		}
		out.Body.Tasks = append(out.Body.Tasks, TaskReason{Task: v.Name, State: v.State, Sentence: loaded.mask(sentence)})
	}
	return out, nil
}

// ownerless says that nobody works on a partition; empty if somebody does.
func (s *Server) ownerless(ctx context.Context, partition int) (string, error) {
	position, err := s.Store.Position(ctx, partition)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("read partition %d: %w", partition, err)
	}
	if position.Owner == "" {
		return fmt.Sprintf("no master owns partition %d: start one with `semel standalone`", partition), nil
	}
	return "", nil
}

// explain says in one sentence where the run stands.
func (l *loaded) explain(ownerless string) RunReason {
	r := &l.rows.Run
	var sentence string
	switch r.State {
	case flow.RunQueued:
		sentence = "accepted, and waiting to be taken up"
	case flow.RunRunning:
		sentence = l.progress()
	case flow.RunPausing:
		sentence = joined("nothing new is started, and what runs goes on to its end", l.progress())
	case flow.RunPaused:
		sentence = fmt.Sprintf("paused: `semel resume %s` goes on", r.ID)
	case flow.RunStopping:
		sentence = joined("what runs is being killed", l.progress())
	case flow.RunStopped, flow.RunFailed, flow.RunSucceeded:
		sentence = joined(string(r.State), l.progress(), r.Reason)
		ownerless = ""
	}
	return RunReason{ID: r.ID, State: r.State, Sentence: l.mask(joined(sentence, ownerless))}
}

// progress counts task runs.
func (l *loaded) progress() string {
	var final, active, held int
	views := l.machine.Views()
	for i := range views {
		switch {
		case views[i].State.Final():
			final++
		case views[i].State.Active():
			active++
		case views[i].State == flow.TaskHeld:
			held++
		}
	}
	text := fmt.Sprintf("%d of %s ended", final, count(len(views), "task run"))
	if active > 0 {
		text += fmt.Sprintf(", %d on workers", active)
	}
	if held > 0 {
		text += fmt.Sprintf(", %d held until somebody resumes or stops the run", held)
	}
	return text
}

// placement says what there is to run on. How much of it is taken only masters
// know.
func (s *Server) placement(nodes []fence.Node) string {
	var workers, slots int
	for i := range nodes {
		if nodes[i].Role == fence.Worker && nodes[i].State == fence.Live {
			workers++
			slots += nodes[i].Slots
		}
	}
	if workers == 0 {
		return "no live worker"
	}
	text := fmt.Sprintf("%s with %s", count(workers, "live worker"), count(slots, "slot"))
	if s.Engine != nil {
		text += fmt.Sprintf(", %d taken", s.Engine().Taken)
	}
	return text
}

// joined puts the parts that say something into one sentence.
func joined(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, "; ")
}

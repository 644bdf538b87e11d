package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

func (s *Server) commandRoutes(a huma.API) {
	command := func(kind partition.Kind, summary string) operation {
		return operation{
			id: string(kind), method: http.MethodPost, path: apiPath + "/runs/{run}/" + string(kind), tag: "runs",
			summary: summary, status: http.StatusAccepted,
		}
	}
	register(s, a, command(partition.KindStop, "End a run: what has not started is stopped, what runs is killed"), s.stopRun)
	register(s, a, command(partition.KindPause, "Start nothing new in a run"), s.pauseRun)
	register(s, a, command(partition.KindResume, "End a pause, or release held task runs"), s.resumeRun)
	register(s, a, command(partition.KindRerun, "Run a final run, or part of it, again"), s.rerunRun)
	register(s, a, operation{
		id: "show-command", method: http.MethodGet, path: apiPath + "/commands/{command}", tag: "runs",
		summary: "A command, and what became of it",
	}, s.showCommand)
}

type commandOutput struct{ Body Commanded }

type stopInput struct {
	Run  flow.RunID `path:"run"`
	Key  string     `header:"Idempotency-Key" maxLength:"256"`
	Body *StopRequest
}

func (s *Server) stopRun(ctx context.Context, in *stopInput) (*commandOutput, error) {
	b := orZero(in.Body)
	return s.command(ctx, order{in.Run, partition.KindStop, in.Key, b.Key, flow.Stop{Reason: b.Reason}, nil})
}

type pauseInput struct {
	Run  flow.RunID `path:"run"`
	Key  string     `header:"Idempotency-Key" maxLength:"256"`
	Body *PauseRequest
}

func (s *Server) pauseRun(ctx context.Context, in *pauseInput) (*commandOutput, error) {
	b := orZero(in.Body)
	return s.command(ctx, order{in.Run, partition.KindPause, in.Key, b.Key, flow.Pause{}, nil})
}

type resumeInput struct {
	Run  flow.RunID `path:"run"`
	Key  string     `header:"Idempotency-Key" maxLength:"256"`
	Body *ResumeRequest
}

func (s *Server) resumeRun(ctx context.Context, in *resumeInput) (*commandOutput, error) {
	b := orZero(in.Body)
	return s.command(ctx, order{in.Run, partition.KindResume, in.Key, b.Key, flow.Resume{Tasks: b.Tasks}, b.Tasks})
}

type rerunInput struct {
	Run  flow.RunID `path:"run"`
	Key  string     `header:"Idempotency-Key" maxLength:"256"`
	Body *RerunRequest
}

func (s *Server) rerunRun(ctx context.Context, in *rerunInput) (*commandOutput, error) {
	b := orZero(in.Body)
	if len(b.Tasks) == 0 && (b.Ancestors || b.Descendants) {
		return nil, at(http.StatusUnprocessableEntity, "body.tasks", "ancestors and descendants are those of tasks: name at least one task")
	}
	if b.Failed && len(b.Tasks) > 0 {
		return nil, at(http.StatusUnprocessableEntity, "body.failed", "a rerun is either of what failed or of named tasks: leave one of them out")
	}
	selected := flow.Select{Tasks: b.Tasks, Ancestors: b.Ancestors, Descendants: b.Descendants}
	return s.command(ctx, order{in.Run, partition.KindRerun, in.Key, b.Key, flow.Rerun{Failed: b.Failed, Select: selected}, b.Tasks})
}

// order is what stop, pause, resume and rerun have in common.
type order struct {
	run       flow.RunID
	kind      partition.Kind
	headerKey string
	bodyKey   string
	input     flow.Input
	tasks     []string // that have to exist
}

// command stores an order, unless it makes no sense as the run stands now.
// Whether it is carried out is decided again when its turn comes.
func (s *Server) command(ctx context.Context, o order) (*commandOutput, error) {
	key, err := oneKey(o.headerKey, o.bodyKey)
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(o.kind, o.run, o.input)
	if err != nil {
		return nil, err
	}
	if first, err := s.repeated(ctx, key, digest); err != nil || first != nil {
		return commanded(first), err
	}
	loaded, err := s.reader.load(ctx, o.run)
	if err != nil {
		return nil, err
	}
	if err := known(loaded.definition.plan, "body.tasks", o.tasks); err != nil {
		return nil, err
	}
	if refusal := loaded.machine.Refusal(o.input); refusal != "" {
		return nil, problem(http.StatusConflict, "%s", refusal)
	}
	args, err := json.Marshal(o.input)
	if err != nil {
		return nil, fmt.Errorf("encode the %s of run %s: %w", o.kind, o.run, err)
	}
	command := s.newCommand(o.kind, key, digest)
	command.Run, command.Partition, command.Args = o.run, loaded.rows.Run.Partition, args
	stored, _, err := s.Store.Submit(ctx, command, nil)
	if err != nil {
		return nil, runMissing(o.run, err)
	}
	s.Wake()
	return commanded(&stored), nil
}

func commanded(c *partition.Command) *commandOutput {
	if c == nil {
		return nil
	}
	return &commandOutput{Body: Commanded{Command: Command{
		ID:        c.ID,
		Kind:      string(c.Kind),
		Run:       c.Run,
		CreatedAt: c.CreatedAt,
		DoneAt:    moment(c.DoneAt),
		Refused:   c.Refused,
	}}}
}

type commandInput struct {
	Command string `path:"command"`
	Wait    span   `query:"wait" doc:"Answer when it was carried out or refused, or after this time (at most 1m)"`
}

func (s *Server) showCommand(ctx context.Context, in *commandInput) (*commandOutput, error) {
	if parsed, err := uuid.Parse(in.Command); err != nil || parsed.String() != in.Command {
		return nil, problem(http.StatusNotFound, "there is no command %q", shortened(in.Command))
	}
	var command partition.Command
	err := s.await(ctx, in.Wait, func() (bool, error) {
		var err error
		command, err = s.Store.Command(ctx, in.Command)
		if errors.Is(err, store.ErrNotFound) {
			return false, problem(http.StatusNotFound, "there is no command %s", in.Command)
		}
		return !command.DoneAt.IsZero(), err
	})
	if err != nil {
		return nil, err
	}
	return commanded(&command), nil
}

// keySpace makes ids of keys. It is part of what is stored: it never changes.
var keySpace = uuid.MustParse("5e3e1a00-0000-5000-8000-5e3e1c0ffee1")

// commandID is the id of the command under a key. It follows from the key, so
// that a repetition is found before anything else about it is looked at.
func commandID(key string) string { return uuid.NewSHA1(keySpace, []byte(key)).String() }

// repeated finds the command that was stored under the key, or nil.
func (s *Server) repeated(ctx context.Context, key, digest string) (*partition.Command, error) {
	if key == "" {
		return nil, nil
	}
	first, err := s.Store.Command(ctx, commandID(key))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for the key of a command: %w", err)
	case first.Digest != digest:
		return nil, store.ErrKeyReused
	}
	return &first, nil
}

// newCommand makes a command without its run.
func (s *Server) newCommand(kind partition.Kind, key, digest string) partition.Command {
	c := partition.Command{Key: key, Kind: kind, Digest: digest, CreatedAt: s.Now()}
	if key != "" {
		c.ID = commandID(key)
		return c
	}
	c.ID = uuid.Must(uuid.NewV7()).String() // fails only where the system has no randomness: nothing works then
	c.Key = c.ID
	return c
}

// digestOf tells two requests under one key apart.
func digestOf(kind partition.Kind, run flow.RunID, asked any) (string, error) {
	encoded, err := json.Marshal(struct {
		Kind  partition.Kind `json:"kind"`
		Run   flow.RunID     `json:"run"`
		Asked any            `json:"asked"`
	}{kind, run, asked})
	if err != nil {
		return "", fmt.Errorf("encode a %s: %w", kind, err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

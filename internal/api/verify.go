package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/ledger"
	"github.com/semel-dev/semel/internal/store"
)

const (
	verifyPage = 100 // runs listed at once
	// verifyTries is how often a history is read again because a partition
	// changed hands, or a node came or ended, while it was read: rows of after
	// that change would not fit what was known of owners and nodes before it.
	verifyTries = 5
)

type verifyOutput struct{ Body Verification }

func (s *Server) verify(ctx context.Context, _ *struct{}) (*verifyOutput, error) {
	v, err := Verify(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	return &verifyOutput{Body: v}, nil
}

// Verify checks the promises over all that a store holds, for whoever has a
// store at hand and no server.
func Verify(ctx context.Context, s store.Store) (Verification, error) {
	before, err := readWorld(ctx, s)
	if err != nil {
		return Verification{}, err
	}
	for range verifyTries {
		result, err := check(ctx, s, before)
		if err != nil {
			return Verification{}, err
		}
		after, err := readWorld(ctx, s)
		if err != nil {
			return Verification{}, err
		}
		if before.same(after) {
			return verification(result), nil
		}
		before = after
	}
	return Verification{}, problem(http.StatusServiceUnavailable, "owners and nodes change faster than the ledger can be read: try again once the cluster is calm")
}

// world is what runs are checked against.
type world struct {
	claims []ledger.Claim
	nodes  []fence.Node
}

func readWorld(ctx context.Context, s store.Store) (*world, error) {
	claims, err := s.Claims(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the claims: %w", err)
	}
	nodes, err := s.NodeList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	w := &world{nodes: nodes}
	for _, c := range claims {
		w.claims = append(w.claims, ledger.Claim(c))
	}
	return w, nil
}

// same reports whether nothing has changed: claims are only added, and nodes
// are added and end.
func (w *world) same(o *world) bool {
	return len(w.claims) == len(o.claims) && slices.EqualFunc(w.nodes, o.nodes, func(a, b fence.Node) bool {
		return a.ID == b.ID && a.State == b.State
	})
}

// check reads run by run.
func check(ctx context.Context, s store.Store, w *world) (ledger.Result, error) {
	checker := ledger.NewChecker(w.claims, w.nodes)
	filter := store.RunFilter{Limit: verifyPage}
	for {
		runs, err := s.Runs(ctx, filter)
		if err != nil {
			return ledger.Result{}, fmt.Errorf("list runs: %w", err)
		}
		for i := range runs {
			history, err := readHistory(ctx, s, runs[i].ID)
			if err != nil {
				return ledger.Result{}, err
			}
			checker.Add(history)
		}
		if len(runs) < verifyPage {
			return checker.Result(), nil
		}
		filter.After = runs[len(runs)-1].ID
	}
}

// readHistory reads all that is stored of a run, as of one moment.
func readHistory(ctx context.Context, s store.Store, run flow.RunID) (ledger.RunHistory, error) {
	rows, err := s.LoadRun(ctx, run)
	if err != nil {
		return ledger.RunHistory{}, runMissing(run, err)
	}
	attempts, err := attemptsAsOf(ctx, s, &rows, "")
	if err != nil {
		return ledger.RunHistory{}, err
	}
	history := ledger.RunHistory{Run: rows.Run, TaskRuns: rows.TaskRuns, Attempts: attempts}
	d, err := s.Workflow(ctx, rows.Run.Workflow, rows.Run.Version)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return ledger.RunHistory{}, workflowMissing(rows.Run.Workflow, rows.Run.Version, err)
	}
	if err == nil {
		history.Workflow = &d.Workflow
	}
	return history, nil
}

func verification(r ledger.Result) Verification {
	v := Verification{
		Holds:      len(r.Violations) == 0,
		Verdict:    string(r.Verdict()),
		Runs:       r.Runs,
		TaskRuns:   r.TaskRuns,
		Attempts:   r.Attempts,
		Violations: make([]Violation, 0, len(r.Violations)),
		Unproven:   make([]string, 0, len(r.Unproven)),
		More:       r.More,
	}
	for _, broken := range r.Violations {
		v.Violations = append(v.Violations, Violation(broken))
	}
	for _, u := range r.Unproven {
		v.Unproven = append(v.Unproven, unproven(&u))
	}
	return v
}

func unproven(u *ledger.Violation) string {
	text := u.Promise
	if u.Run != "" {
		text += " of run " + string(u.Run)
	}
	if u.Task != "" {
		text += ", task " + u.Task
	}
	return text + ": " + u.Message
}

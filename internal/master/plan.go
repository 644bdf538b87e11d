package master

import (
	"context"
	"errors"
	"fmt"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

// plansMax bounds the compiled definitions kept in memory; the one used longest
// ago goes first.
const plansMax = 100

// plans compiles definitions and keeps those in use.
type plans struct {
	store store.Store
	byID  map[planID]*flow.Plan
	used  []planID // least recently used first
}

type planID struct {
	workflow string
	version  int
}

func newPlans(s store.Store) *plans { return &plans{store: s, byID: map[planID]*flow.Plan{}} }

// queued reads a run that nothing has happened to yet, with its definition.
func (p *plans) queued(ctx context.Context, id flow.RunID) (*partition.Loaded, error) {
	run, err := p.store.Run(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if run.State != flow.RunQueued {
		return p.load(ctx, id)
	}
	return p.complete(ctx, &store.RunSnapshot{Run: run})
}

// load reads a run with its definition.
func (p *plans) load(ctx context.Context, id flow.RunID) (*partition.Loaded, error) {
	snapshot, err := p.store.LoadRun(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.complete(ctx, &snapshot)
}

// complete adds the definition to a stored run. A definition that cannot be
// used any more is not an error of the partition: it is the run's fault.
func (p *plans) complete(ctx context.Context, s *store.RunSnapshot) (*partition.Loaded, error) {
	loaded := &partition.Loaded{Run: s.Run, TaskRuns: s.TaskRuns, Attempts: s.Attempts}
	id := planID{s.Run.Workflow, s.Run.Version}
	if plan, ok := p.byID[id]; ok {
		p.touch(id)
		loaded.Plan = plan
		return loaded, nil
	}
	d, err := p.store.Workflow(ctx, id.workflow, id.version)
	switch {
	case errors.Is(err, store.ErrNotFound):
		loaded.Fault = fmt.Sprintf("version %d of workflow %s is not in the store", id.version, id.workflow)
		return loaded, nil
	case err != nil:
		return nil, err
	}
	plan, err := flow.Compile(&d.Workflow)
	if err != nil {
		loaded.Fault = fmt.Sprintf("version %d of workflow %s cannot be used: %v", id.version, id.workflow, err)
		return loaded, nil
	}
	p.keep(id, plan)
	loaded.Plan = plan
	return loaded, nil
}

func (p *plans) keep(id planID, plan *flow.Plan) {
	if len(p.used) == plansMax {
		delete(p.byID, p.used[0])
		p.used = p.used[1:]
	}
	p.byID[id] = plan
	p.used = append(p.used, id)
}

func (p *plans) touch(id planID) {
	for i, u := range p.used {
		if u == id {
			p.used = append(append(p.used[:i:i], p.used[i+1:]...), id)
			return
		}
	}
}

package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/param"
	"github.com/semel-dev/semel/internal/store"
)

// plansMax bounds the compiled definitions in memory; a plan of 100,000 tasks
// is some 50 MB.
const plansMax = 32

// masked stands for the value of a secret.
const masked = "***"

// secretShort is the length from which a secret is looked for inside other
// texts: shorter ones occur everywhere by chance.
const secretShort = 4

// reader reads runs from the store as people see them.
type reader struct {
	store store.Store
	plans *plans
}

func newReader(s store.Store) reader {
	return reader{store: s, plans: &plans{byID: map[planID]*compiled{}}}
}

// Show reads a run with its task runs and attempts, in the shape of
// `show --json`, for whoever has a store at hand and no server.
func Show(ctx context.Context, s store.Store, run flow.RunID) (RunDetail, error) {
	loaded, err := newReader(s).load(ctx, run)
	if err != nil {
		return RunDetail{}, err
	}
	return loaded.detail(ctx, s)
}

// ShowSnapshot reads a run in short, for a live view beside an embedded engine.
func ShowSnapshot(ctx context.Context, s store.Store, run flow.RunID) (Snapshot, error) {
	loaded, err := newReader(s).load(ctx, run)
	if err != nil {
		return Snapshot{}, err
	}
	return loaded.snapshot(), nil
}

// loaded is a run as of one moment, and the machine that knows what its rows
// mean.
type loaded struct {
	definition *compiled
	rows       store.RunSnapshot
	machine    *flow.Machine
	secrets    []string
}

// load reads a run. One that is not there is a problem for the client.
func (r reader) load(ctx context.Context, id flow.RunID) (*loaded, error) {
	if err := checkRunID(id); err != nil {
		return nil, err
	}
	rows, err := r.store.LoadRun(ctx, id)
	if err != nil {
		return nil, runMissing(id, err)
	}
	definition, err := r.plan(ctx, rows.Run.Workflow, rows.Run.Version)
	if err != nil {
		return nil, err
	}
	return &loaded{
		definition: definition,
		rows:       rows,
		machine:    flow.Load(definition.plan, rows.Run, rows.TaskRuns, rows.Attempts),
		secrets:    secrets(definition.definition.Workflow.Params, rows.Run.Params),
	}, nil
}

// known reports a run that is not there, or whose definition cannot be read, as
// load does. It costs little, whatever the size of the run.
func (r reader) known(ctx context.Context, id flow.RunID) error {
	if err := checkRunID(id); err != nil {
		return err
	}
	run, err := r.store.Run(ctx, id)
	if err != nil {
		return runMissing(id, err)
	}
	_, err = r.plan(ctx, run.Workflow, run.Version)
	return err
}

// detail adds the attempts.
func (l *loaded) detail(ctx context.Context, s store.Reader) (RunDetail, error) {
	attempts, err := l.attempts(ctx, s, "")
	if err != nil {
		return RunDetail{}, err
	}
	views := l.machine.Views()
	detail := RunDetail{Run: l.run(), Tasks: make([]TaskRun, 0, len(views))}
	for i := range views {
		detail.Tasks = append(detail.Tasks, l.taskRun(&views[i], attempts[views[i].Name]))
	}
	return detail, nil
}

// attempts are those of one task run, or, with an empty name, of all, by task.
func (l *loaded) attempts(ctx context.Context, s store.Reader, task string) (map[string][]Attempt, error) {
	stored, err := attemptsAsOf(ctx, s, &l.rows, task)
	if err != nil {
		return nil, err
	}
	byTask := make(map[string][]Attempt, len(l.rows.Attempts))
	for i := range stored {
		byTask[stored[i].Task] = append(byTask[stored[i].Task], l.attempt(&stored[i]))
	}
	return byTask, nil
}

// attemptsAsOf reads the attempts of a run and brings them back to the moment
// of its rows: what was dispatched since is left out, and the last attempt of
// each task run is the one that the rows know. All others are final and do not
// change.
func attemptsAsOf(ctx context.Context, s store.Reader, rows *store.RunSnapshot, task string) ([]flow.Attempt, error) {
	attempts, err := s.Attempts(ctx, rows.Run.ID, task)
	if err != nil {
		return nil, fmt.Errorf("read the attempts of run %s: %w", rows.Run.ID, err)
	}
	last := make(map[string]*flow.Attempt, len(rows.Attempts))
	for i := range rows.Attempts {
		last[rows.Attempts[i].Task] = &rows.Attempts[i]
	}
	then := attempts[:0]
	for i := range attempts {
		newest := last[attempts[i].Task]
		switch {
		case newest == nil || attempts[i].Generation > newest.Generation:
		case attempts[i].Generation == newest.Generation:
			then = append(then, *newest)
		default:
			then = append(then, attempts[i])
		}
	}
	return then, nil
}

func (l *loaded) taskRun(v *flow.View, attempts []Attempt) TaskRun {
	t := TaskRun{Name: v.Name, State: v.State, Reason: l.mask(v.Reason), Outputs: flow.Outputs{}, Attempts: attempts}
	for name, value := range v.Outputs {
		t.Outputs[name] = l.mask(value)
	}
	if t.Attempts == nil {
		t.Attempts = []Attempt{}
	}
	return t
}

func (l *loaded) attempt(a *flow.Attempt) Attempt {
	return Attempt{
		Number:     a.Number,
		Generation: a.Generation,
		Epoch:      a.Epoch,
		Node:       a.Node,
		State:      a.State,
		Reason:     l.mask(a.Reason),
		ExitCode:   a.ExitCode,
		StartedAt:  moment(a.Started.Wall),
		FinishedAt: moment(a.Finished.Wall),
	}
}

// snapshot is the run in short.
func (l *loaded) snapshot() Snapshot {
	views := l.machine.Views()
	s := Snapshot{Run: l.run(), Tasks: make([]TaskSnapshot, 0, len(views))}
	for i := range views {
		v := &views[i]
		s.Tasks = append(s.Tasks, TaskSnapshot{
			Name:       v.Name,
			State:      v.State,
			Reason:     l.mask(v.Reason),
			Attempt:    v.Number,
			StartedAt:  moment(v.StartedAt),
			FinishedAt: moment(v.FinishedAt),
		})
	}
	return s
}

func (l *loaded) run() Run {
	return maskedRun(&l.rows.Run, l.definition.definition.Workflow.Params, l.mask)
}

// maskedRun is a run with its secrets masked.
func maskedRun(r *flow.Run, defs []param.Def, mask func(string) string) Run {
	values := make(param.Values, len(r.Params))
	for name, value := range r.Params {
		values[name] = value
	}
	for _, def := range defs {
		if _, given := values[def.Name]; given && def.Secret {
			values[def.Name] = masked
		}
	}
	return Run{
		ID:         r.ID,
		Workflow:   r.Workflow,
		Version:    r.Version,
		State:      r.State,
		Reason:     mask(r.Reason),
		CreatedAt:  r.CreatedAt,
		StartedAt:  moment(r.StartedAt),
		FinishedAt: moment(r.FinishedAt),
		Params:     values,
	}
}

// secrets are the values that may not leave.
func secrets(defs []param.Def, values param.Values) []string {
	var found []string
	for _, def := range defs {
		if text, ok := values[def.Name].(string); ok && def.Secret && len(text) >= secretShort {
			found = append(found, text)
		}
	}
	return found
}

// mask hides secrets in what tasks say: their outputs and reasons.
func (l *loaded) mask(text string) string {
	for _, secret := range l.secrets {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

// task finds a task run by name.
func (l *loaded) task(name string) (*flow.View, error) {
	views := l.machine.Views()
	for i := range views {
		if views[i].Name == name {
			return &views[i], nil
		}
	}
	return nil, problem(http.StatusNotFound, "run %s has no task %q: `semel show %s` lists them", l.rows.Run.ID, shortened(name), l.rows.Run.ID)
}

// moment is a time that may not have come yet.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// compiled is a definition that can be run.
type compiled struct {
	definition store.Definition
	plan       *flow.Plan
}

type planID struct {
	workflow string
	version  int
}

// plans keeps compiled definitions. A stored version never changes, so what is
// kept is never wrong.
type plans struct {
	mu   sync.Mutex
	byID map[planID]*compiled
	used []planID // oldest first
}

// plan returns a workflow version, compiled. Version 0 is the latest.
func (r reader) plan(ctx context.Context, workflow string, version int) (*compiled, error) {
	if known := r.plans.find(planID{workflow, version}); known != nil {
		return known, nil
	}
	d, err := r.definition(ctx, workflow, version)
	if err != nil {
		return nil, err
	}
	return r.compile(d)
}

// definition returns a workflow version, whether it can be run or not. Version
// 0 is the latest.
func (r reader) definition(ctx context.Context, workflow string, version int) (*store.Definition, error) {
	if known := r.plans.find(planID{workflow, version}); known != nil {
		return &known.definition, nil
	}
	d, err := r.store.Workflow(ctx, workflow, version)
	if err != nil {
		return nil, workflowMissing(workflow, version, err)
	}
	return &d, nil
}

// compile makes the plan of a stored definition, unless it is at hand.
func (r reader) compile(d *store.Definition) (*compiled, error) {
	id := planID{d.Workflow.Name, d.Version}
	if known := r.plans.find(id); known != nil {
		return known, nil
	}
	plan, err := flow.Compile(&d.Workflow)
	if err != nil {
		return nil, fmt.Errorf("compile version %d of workflow %s: %w", d.Version, d.Workflow.Name, err)
	}
	c := &compiled{definition: *d, plan: plan}
	r.plans.keep(id, c)
	return c, nil
}

func (p *plans) find(id planID) *compiled {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

func (p *plans) keep(id planID, c *compiled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.byID[id]; known {
		return
	}
	if len(p.used) == plansMax {
		delete(p.byID, p.used[0])
		p.used = p.used[1:]
	}
	p.byID[id] = c
	p.used = append(p.used, id)
}

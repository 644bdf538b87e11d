package partition

import "github.com/semel-dev/semel/internal/flow"

// builder gathers the rows of one batch. A row that changes twice within a
// batch is written once, as it last was.
type builder struct {
	b        Batch
	runs     map[flow.RunID]int
	taskRuns map[taskRunKey]int
	attempts map[attemptKey]int
}

type taskRunKey struct {
	run  flow.RunID
	task string
}

type attemptKey struct {
	run        flow.RunID
	task       string
	generation flow.Generation
}

func newBuilder() *builder {
	return &builder{runs: map[flow.RunID]int{}, taskRuns: map[taskRunKey]int{}, attempts: map[attemptKey]int{}}
}

func (b *builder) run(r *flow.Run) { b.b.Runs = put(b.b.Runs, b.runs, r.ID, r) }
func (b *builder) taskRun(t *flow.TaskRun) {
	b.b.TaskRuns = put(b.b.TaskRuns, b.taskRuns, taskRunKey{t.Run, t.Task}, t)
}

func (b *builder) attempt(a *flow.Attempt) {
	b.b.Attempts = put(b.b.Attempts, b.attempts, attemptKey{a.Run, a.Task, a.Generation}, a)
}
func (b *builder) consumed(c Consumed) { b.b.Commands = append(b.b.Commands, c) }
func (b *builder) event(e Event)       { b.b.Events = append(b.b.Events, e) }
func (b *builder) batch() *Batch       { return &b.b }

func put[K comparable, R any](rows []R, at map[K]int, key K, row *R) []R {
	if i, ok := at[key]; ok {
		rows[i] = *row
		return rows
	}
	at[key] = len(rows)
	return append(rows, *row)
}

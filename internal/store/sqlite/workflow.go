package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/store"
)

// Apply is store.Workflows.
func (s *Store) Apply(ctx context.Context, d store.Definition, now time.Time) (stored store.Definition, created bool, err error) {
	name := d.Workflow.Name
	model, err := encodeWorkflow(d.Workflow)
	if err == nil && name == "" {
		err = store.ErrNameless
	}
	if err == nil {
		err = s.writer.write(ctx, func(tx *tx) (err error) {
			stored, created, err = tx.apply(d, model, now)
			return err
		})
	}
	if err != nil {
		return store.Definition{}, false, fmt.Errorf("apply workflow %q: %w", name, err)
	}
	return stored, created, nil
}

func (t *tx) apply(d store.Definition, model string, now time.Time) (stored store.Definition, created bool, err error) {
	latest, err := scanDefinition(t.row(`
		SELECT version, digest, created_at, model, source FROM workflows
		WHERE name = ? ORDER BY version DESC LIMIT 1`, d.Workflow.Name))
	if err != nil && !noRows(err) {
		return stored, false, err
	}
	if err == nil && latest.Digest == d.Digest {
		return latest, false, nil
	}
	d.Version, d.CreatedAt = latest.Version+1, store.Time(now)
	_, err = t.exec(`
		INSERT INTO workflows (name, version, digest, created_at, model, source)
		VALUES (?, ?, ?, ?, ?, ?)`,
		d.Workflow.Name, d.Version, d.Digest, micros(d.CreatedAt), model, d.Source)
	return d, true, err
}

// scanDefinition reads version, digest, created_at, model, source.
func scanDefinition(row scanner) (d store.Definition, err error) {
	var model string
	if err := row.Scan(&d.Version, &d.Digest, stamp{&d.CreatedAt}, &model, &d.Source); err != nil {
		return store.Definition{}, err
	}
	d.Workflow, err = decodeWorkflow(model)
	return d, err
}

// Workflow is store.Workflows.
func (s *Store) Workflow(ctx context.Context, name string, version int) (store.Definition, error) {
	var d store.Definition
	err := s.readers.view(ctx, func(v *view) (err error) {
		d, err = scanDefinition(v.row(`
			SELECT version, digest, created_at, model, source FROM workflows
			WHERE name = ?1 AND (?2 = 0 OR version = ?2)
			ORDER BY version DESC LIMIT 1`, name, version))
		return err
	})
	if noRows(err) {
		return store.Definition{}, store.MissingWorkflow(name, version)
	}
	return d, read(err, "workflow %q", name)
}

// WorkflowList is store.Workflows.
func (s *Store) WorkflowList(ctx context.Context) (list []store.Definition, err error) {
	err = s.readers.list(ctx, addDefinition(&list), `
		SELECT version, digest, created_at, model, '' FROM workflows AS w
		WHERE version = (SELECT max(version) FROM workflows WHERE name = w.name)
		ORDER BY name`)
	return list, read(err, "list workflows")
}

// WorkflowVersions is store.Workflows.
func (s *Store) WorkflowVersions(ctx context.Context, name string) (list []store.Definition, err error) {
	err = s.readers.list(ctx, addDefinition(&list), `
		SELECT version, digest, created_at, model, '' FROM workflows
		WHERE name = ? ORDER BY version DESC`, name)
	if err == nil && len(list) == 0 {
		return nil, store.MissingWorkflow(name, 0)
	}
	return list, read(err, "versions of workflow %q", name)
}

func addDefinition(list *[]store.Definition) func(scanner) error {
	return func(row scanner) error {
		d, err := scanDefinition(row)
		*list = append(*list, d)
		return err
	}
}

package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/store"
)

// Apply is store.Workflows. The workflow is shared, not copied: a definition
// is never changed.
func (s *Store) Apply(ctx context.Context, d store.Definition, now time.Time) (stored store.Definition, created bool, err error) {
	name := d.Workflow.Name
	err = s.write(ctx, func(u *undo) error {
		if name == "" {
			return store.ErrNameless
		}
		versions := s.workflows[name]
		if n := len(versions); n > 0 && versions[n-1].Digest == d.Digest {
			stored = versions[n-1]
			return nil
		}
		d.Version, d.CreatedAt = len(versions)+1, store.Time(now)
		put(u, s.workflows, name, append(versions, d))
		stored, created = d, true
		return nil
	})
	if err != nil {
		return store.Definition{}, false, fmt.Errorf("apply workflow %q: %w", name, err)
	}
	return stored, created, nil
}

// Workflow is store.Workflows.
func (s *Store) Workflow(ctx context.Context, name string, version int) (d store.Definition, err error) {
	err = s.read(ctx, func() error {
		versions := s.workflows[name]
		if version == 0 {
			version = len(versions)
		}
		if version < 1 || version > len(versions) {
			return store.MissingWorkflow(name, version)
		}
		d = versions[version-1]
		return nil
	})
	return d, err
}

// WorkflowList is store.Workflows.
func (s *Store) WorkflowList(ctx context.Context) (list []store.Definition, err error) {
	err = s.read(ctx, func() error {
		for _, name := range slices.Sorted(maps.Keys(s.workflows)) {
			versions := s.workflows[name]
			list = append(list, withoutSource(versions[len(versions)-1]))
		}
		return nil
	})
	return list, err
}

// WorkflowVersions is store.Workflows.
func (s *Store) WorkflowVersions(ctx context.Context, name string) (list []store.Definition, err error) {
	err = s.read(ctx, func() error {
		if len(s.workflows[name]) == 0 {
			return store.MissingWorkflow(name, 0)
		}
		for _, d := range slices.Backward(s.workflows[name]) {
			list = append(list, withoutSource(d))
		}
		return nil
	})
	return list, err
}

func withoutSource(d store.Definition) store.Definition {
	d.Source = ""
	return d
}

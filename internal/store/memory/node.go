package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/store"
)

// Register is store.Nodes.
func (s *Store) Register(ctx context.Context, n fence.Node) error {
	err := s.write(ctx, func(*undo) error {
		if err := store.CheckRegister(&n); err != nil {
			return err
		}
		if s.node(n.ID) != nil {
			return store.ErrKnownNode
		}
		s.nodes = append(s.nodes, store.CopyNode(&n))
		return nil
	})
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.ID, err)
	}
	return nil
}

// EndNode is store.Nodes.
func (s *Store) EndNode(ctx context.Context, id fence.NodeID, state fence.State, reason string, now time.Time) error {
	err := s.write(ctx, func(*undo) error {
		if err := store.CheckEnd(state); err != nil {
			return err
		}
		n := s.node(id)
		switch {
		case n == nil:
			return store.ErrNotFound
		case n.State.Ended():
			return nil
		}
		n.State, n.Reason, n.EndedAt = state, reason, store.Time(now)
		for partition, position := range s.partitions {
			if position.Owner == id {
				position.Owner = ""
				s.partitions[partition] = position
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end node %s: %w", id, err)
	}
	return nil
}

// NodeList is store.Nodes.
func (s *Store) NodeList(ctx context.Context) (list []fence.Node, err error) {
	err = s.read(ctx, func() error {
		list = slices.Clone(s.nodes)
		slices.SortStableFunc(list, func(a, b fence.Node) int { return b.StartedAt.Compare(a.StartedAt) })
		return nil
	})
	return list, err
}

func (s *Store) node(id fence.NodeID) *fence.Node {
	i := slices.IndexFunc(s.nodes, func(n fence.Node) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return &s.nodes[i]
}

func (s *Store) ended(id fence.NodeID) bool {
	n := s.node(id)
	return n != nil && n.State.Ended()
}

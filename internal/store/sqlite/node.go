package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/store"
)

// Register is store.Nodes.
func (s *Store) Register(ctx context.Context, n fence.Node) error {
	err := store.CheckRegister(&n)
	if err == nil {
		err = s.writer.write(ctx, func(tx *tx) error { return tx.register(&n) })
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.ID, err)
	}
	return nil
}

func (t *tx) register(n *fence.Node) error {
	made, err := t.exec(`
		INSERT INTO nodes (id, role, address, state, reason, slots, machine_id, boot_id, containment, lease_ttl, started_at, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`,
		string(n.ID), string(n.Role), n.Address, string(n.State), n.Reason, n.Slots, n.MachineID, n.BootID, n.Containment, int64(n.TTL),
		micros(n.StartedAt), micros(n.EndedAt))
	if err == nil && made == 0 {
		return store.ErrKnownNode
	}
	return err
}

// EndNode is store.Nodes.
func (s *Store) EndNode(ctx context.Context, id fence.NodeID, state fence.State, reason string, now time.Time) error {
	err := store.CheckEnd(state)
	if err == nil {
		err = s.writer.write(ctx, func(tx *tx) error { return tx.endNode(id, state, reason, now) })
	}
	if err != nil {
		return fmt.Errorf("end node %s: %w", id, err)
	}
	return nil
}

func (t *tx) endNode(id fence.NodeID, state fence.State, reason string, now time.Time) error {
	var stored fence.State
	err := t.row(`SELECT state FROM nodes WHERE id = ?`, string(id)).Scan(&stored)
	switch {
	case noRows(err):
		return store.ErrNotFound
	case err != nil || stored.Ended():
		return err
	}
	_, err = t.exec(`UPDATE nodes SET state = ?, reason = ?, ended_at = ? WHERE id = ?`,
		string(state), reason, micros(now), string(id))
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE partitions SET owner = NULL WHERE owner = ?`, string(id))
	return err
}

// NodeList is store.Nodes.
func (s *Store) NodeList(ctx context.Context) (list []fence.Node, err error) {
	err = s.readers.list(ctx, func(row scanner) error {
		var n fence.Node
		err := row.Scan(&n.ID, &n.Role, &n.Address, &n.State, &n.Reason, &n.Slots, &n.MachineID, &n.BootID, &n.Containment, &n.TTL,
			stamp{&n.StartedAt}, stamp{&n.EndedAt})
		list = append(list, n)
		return err
	}, `
		SELECT id, role, address, state, reason, slots, machine_id, boot_id, containment, lease_ttl, started_at, ended_at
		FROM nodes ORDER BY started_at DESC, key DESC`)
	return list, read(err, "list nodes")
}

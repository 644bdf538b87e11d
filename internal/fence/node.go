// Package fence decides, without touching the world, how long a node may act
// and when it may be declared ended.
package fence

import "time"

// NodeID names one incarnation of a process that acts: address@start-time. A
// worker's is the incarnation of its runner, so that an agent that restarts
// under a living runner stays the same node. It is never reused.
type NodeID string

// Boot is a reading of CLOCK_BOOTTIME: nanoseconds since the machine started,
// suspended time included. Readings of different machines, or of different
// boots, must never be compared.
type Boot int64

// Add returns the reading d after b.
func (b Boot) Add(d time.Duration) Boot { return b + Boot(d) }

// Sub returns the time from a to b.
func (b Boot) Sub(a Boot) time.Duration { return time.Duration(b - a) }

// Instant is one moment on one machine, on both of its clocks. Wall is for
// people and for rows; Boot is for deadlines.
type Instant struct {
	Wall time.Time `json:"wall,omitzero"`
	Boot Boot      `json:"boot,omitempty"`
}

// State is where a node stands.
//
//	live ──> draining ──> left
//	  └─────────┴───────> fenced
type State string

// The states of a node. Left and fenced are for ever.
const (
	Live     State = "live"
	Draining State = "draining"
	Left     State = "left"
	Fenced   State = "fenced"
)

// Ended reports whether a node in this state may never act again.
func (s State) Ended() bool { return s == Left || s == Fenced }

// Role is what a node does; one process may register several nodes.
type Role string

// The roles of a node.
const (
	Master Role = "master"
	Worker Role = "worker"
)

// Node is the stored row of one incarnation.
type Node struct {
	ID          NodeID        `json:"id"`
	Role        Role          `json:"role"`
	Address     string        `json:"address"`
	State       State         `json:"state"`
	Reason      string        `json:"reason,omitempty"` // why it ended
	Slots       int           `json:"slots"`            // most slots its attempts may take at once
	MachineID   string        `json:"machine_id"`
	BootID      string        `json:"boot_id"`
	Containment string        `json:"containment"`         // cgroup, pidns, weak
	TTL         time.Duration `json:"lease_ttl,omitempty"` // of a worker's lease
	StartedAt   time.Time     `json:"started_at"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
}

package fence

import "time"

// Witness is one of the two that can vouch for a node's lease.
type Witness int

// The witnesses.
const (
	StoreWitness Witness = iota
	RegistryWitness
	witnesses
)

// Terms are what all nodes of a cluster agree on about leases.
type Terms struct {
	TTL  time.Duration // how long a confirmed witness keeps a node from being fenced
	Kill time.Duration // the longest that a kill may take: K
	Rho  float64       // the most by which the clock rates of two machines differ
}

// Usable returns how long after it was asked for a grant may be used:
// TTL * (1 - 2 rho) - K. The margin has to cover the drift and the kill; with
// the drift alone two attempts overlap (found by model checking, 11 steps).
func (t Terms) Usable() time.Duration {
	return t.TTL - time.Duration(2*t.Rho*float64(t.TTL)) - t.Kill
}

// Heartbeat returns how often a node asks for its lease.
func (t Terms) Heartbeat() time.Duration { return t.TTL / 5 }

// Lease is a node's own account of how long it may act. It is counted from
// before each question, on the node's own CLOCK_BOOTTIME, so that it ends here
// before it can end anywhere else.
type Lease struct {
	terms    Terms
	deadline [witnesses]Boot
}

// NewLease returns a lease that nobody has confirmed yet.
func NewLease(t Terms) *Lease { return &Lease{terms: t} }

// Confirm takes a witness's answer to a question sent at sent. It reports
// whether the lease holds at now: an answer that comes too late is dropped,
// since by now somebody else may hold what it granted.
func (l *Lease) Confirm(w Witness, sent, now Boot) bool {
	d := sent.Add(l.terms.Usable())
	if now < d && d > l.deadline[w] {
		l.deadline[w] = d
	}
	return l.Acting(now)
}

// Void takes a witness's word back: its session is lost.
func (l *Lease) Void(w Witness) { l.deadline[w] = 0 }

// Deadline returns the reading from which on the node may not act; zero if
// nobody vouches for it. One witness is enough.
func (l *Lease) Deadline() Boot {
	return max(l.deadline[StoreWitness], l.deadline[RegistryWitness])
}

// Acting reports whether the node may act at now. It is asked after an answer
// came and before each start, never only before the question.
func (l *Lease) Acting(now Boot) bool { return now < l.Deadline() }

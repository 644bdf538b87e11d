// Package wire holds the messages between masters and workers. They are plain
// values; how they travel is the business of wire/stream and of the runner's
// socket. Every message may arrive twice and carries what makes the second
// arrival harmless.
//
// The law of a stream: messages arrive in the order they were sent, each at
// most once; a worker drops what arrives on a stream older than the newest it
// has from that master. So after a Forget no older Dispatch can follow it.
package wire

import (
	"time"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/flow"
)

// Ref names an attempt everywhere.
type Ref struct {
	Run        flow.RunID      `json:"run"`
	Task       string          `json:"task"`
	Generation flow.Generation `json:"generation"`
}

// Owner is the claim under which a master speaks for a partition. A worker
// refuses whatever carries a lower epoch than it has seen for the partition.
type Owner struct {
	Partition int        `json:"partition"`
	Epoch     flow.Epoch `json:"epoch"`
}

// ToWorker is one batch of messages from a master to a worker, to be taken in
// the order of the fields.
type ToWorker struct {
	Welcome  *Welcome   `json:"welcome,omitempty"`
	Granted  fence.Boot `json:"granted,omitempty"` // the Beat that is answered: the lease is good as counted from there
	Ask      []Ask      `json:"ask,omitempty"`
	Dispatch []Dispatch `json:"dispatch,omitempty"`
	Kill     []Kill     `json:"kill,omitempty"`
	Forget   []Forget   `json:"forget,omitempty"`
	// Ended names nodes whose certified death is recorded in the store.
	Ended []fence.NodeID `json:"ended,omitempty"`
}

// Welcome is a master's first message on a stream.
type Welcome struct {
	Partitions int `json:"partitions"` // how many it owns: each of them will Ask once
	// TTL is that of the node's lease, as it was registered: a grant is never
	// longer than what a fencer goes by.
	TTL time.Duration `json:"ttl"`
}

// Hello opens a stream.
type Hello struct {
	Node fence.Node `json:"node"`
	Beat fence.Boot `json:"beat,omitempty"` // as FromWorker.Beat: the answer comes with the Welcome, before any Dispatch
	// Dead says that the node is certified to have ended, and that the stream
	// only hands over what is known of it: nothing may be placed there.
	Dead bool `json:"dead,omitempty"`
}

// Dispatch hands over an attempt. It was committed before it was sent.
type Dispatch struct {
	Owner Owner     `json:"owner"`
	Work  flow.Work `json:"work"`
}

// Ref names the attempt that d hands over.
func (d *Dispatch) Ref() Ref {
	return Ref{Run: d.Work.Run, Task: d.Work.Task, Generation: d.Work.Generation}
}

// Kill asks for the end of an attempt. If the worker does not know the attempt
// it buries it, so that a Dispatch that is still on its way finds it buried.
type Kill struct {
	Owner  Owner  `json:"owner"`
	Ref    Ref    `json:"ref"`
	Reason string `json:"reason"`
}

// Forget says that the end of these attempts is committed.
type Forget struct {
	Owner Owner `json:"owner"`
	Refs  []Ref `json:"refs"`
}

// Ask is a new owner's question: partition p is at this epoch, what do you
// have of these attempts? What the worker never got, it buries. The answer is
// one Report per attempt.
type Ask struct {
	Owner Owner `json:"owner"`
	Refs  []Ref `json:"refs"`
}

// FromWorker is one batch of messages from a worker.
type FromWorker struct {
	Node    fence.NodeID `json:"node"`
	Beat    fence.Boot   `json:"beat,omitempty"` // asks for the lease; the worker's clock when it asked
	Reports []Report     `json:"reports,omitempty"`
	Deaths  []Death      `json:"deaths,omitempty"`
}

// Death is a certificate: the node has ended and nothing of it runs. It is
// sent only after the master has forgotten every attempt of the node whose
// exit record was found, so that what it finished is never taken for lost; and
// it is repeated until the answer says Ended.
type Death struct {
	Node  fence.NodeID  `json:"node"`
	At    fence.Instant `json:"at"`
	Proof string        `json:"proof"` // how it is known, for people
}

// Phase is how far an attempt has come on its worker.
type Phase string

// The phases. Accepted: in the journal, not yet started. Buried: never got it,
// and will refuse it from now on. Stale: refused, since the master that sent
// it no longer owns the partition (it was not started).
const (
	Accepted Phase = "accepted"
	Running  Phase = "running"
	Finished Phase = "finished"
	Buried   Phase = "buried"
	Stale    Phase = "stale"
)

// Report is the whole truth about one attempt on its worker. It is repeated
// until the master says Forget.
type Report struct {
	Partition int           `json:"partition"`
	Epoch     flow.Epoch    `json:"epoch"` // highest this worker has seen for the partition
	Ref       Ref           `json:"ref"`
	Phase     Phase         `json:"phase"`
	Started   fence.Instant `json:"started,omitzero"`
	Outcome   *flow.Outcome `json:"outcome,omitempty"` // with Finished
}

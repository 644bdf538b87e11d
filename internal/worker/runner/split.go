package runner

import (
	"fmt"

	"github.com/semel-dev/semel/internal/wire"
)

const (
	// partSize is what a part of a message takes beside its texts, roughly.
	partSize = 500
	// refsMax is how many names of attempts go into one part.
	refsMax = 10_000
)

// split cuts a message into pieces of about limit bytes and keeps the order of
// its parts. What is larger by itself is alone in its piece.
func split(m ToRunner, limit int) []ToRunner {
	if m.Message == nil {
		return []ToRunner{m}
	}
	whole, head := m.Message, *m.Message
	head.Ask, head.Dispatch, head.Kill, head.Forget = nil, nil, nil, nil
	first := m
	first.Message, first.Shutdown = &head, false
	c := &cutter{limit: limit, size: partSize, pieces: []ToRunner{first}}
	for _, ask := range whole.Ask {
		c.refs(ask.Refs, func(to *wire.ToWorker, refs []wire.Ref) {
			to.Ask = append(to.Ask, wire.Ask{Owner: ask.Owner, Refs: refs})
		})
	}
	for i := range whole.Dispatch {
		to := c.room(dispatchSize(&whole.Dispatch[i]))
		to.Dispatch = append(to.Dispatch, whole.Dispatch[i])
	}
	for _, k := range whole.Kill {
		to := c.room(partSize + refSize(&k.Ref) + len(k.Reason))
		to.Kill = append(to.Kill, k)
	}
	for _, forget := range whole.Forget {
		c.refs(forget.Refs, func(to *wire.ToWorker, refs []wire.Ref) {
			to.Forget = append(to.Forget, wire.Forget{Owner: forget.Owner, Refs: refs})
		})
	}
	c.room(0)
	c.pieces[len(c.pieces)-1].Shutdown = m.Shutdown
	return c.pieces
}

// cutter fills one piece after the other.
type cutter struct {
	limit  int
	size   int // of the last piece
	pieces []ToRunner
}

// room returns the message into which a part of this size goes.
func (c *cutter) room(size int) *wire.ToWorker {
	if c.size > 0 && c.size+size > c.limit {
		c.pieces = append(c.pieces, ToRunner{Message: &wire.ToWorker{}})
		c.size = 0
	}
	c.size += size
	return c.pieces[len(c.pieces)-1].Message
}

// refs adds a part that is a list of names, in several if it is long. An empty
// list is a part too: its owner counts.
func (c *cutter) refs(refs []wire.Ref, add func(*wire.ToWorker, []wire.Ref)) {
	for {
		n, size := min(len(refs), refsMax), partSize
		for i := range refs[:n] {
			size += refSize(&refs[i])
		}
		add(c.room(size), refs[:n])
		if refs = refs[n:]; len(refs) == 0 {
			return
		}
	}
}

func refSize(r *wire.Ref) int { return 60 + len(r.Run) + len(r.Task) }

func dispatchSize(d *wire.Dispatch) int {
	w := &d.Work
	size := partSize + len(w.Run) + len(w.Task) + len(w.Workflow) + len(w.Key) + len(w.Config)
	for _, v := range w.Env {
		size += 3 + len(v)
	}
	for _, v := range w.Secrets {
		size += 3 + len(v)
	}
	return size
}

// refusal is what the runner gets in place of a piece that no frame holds: what
// names the attempts, so that their end is in the journal and told like any
// other, and nothing that they could be started with.
func refusal(piece ToRunner, size tooLarge) ToRunner {
	message := *piece.Message
	message.Dispatch = nil
	for _, d := range piece.Message.Dispatch {
		d.Work.Type, d.Work.Config, d.Work.Env, d.Work.Secrets = "", nil, nil, nil
		message.Dispatch = append(message.Dispatch, d)
	}
	piece.Message = &message
	piece.Refuse = fmt.Sprintf("its settings and its environment take %d bytes; a worker takes at most %d: pass large values in files", size, frameMax)
	return piece
}

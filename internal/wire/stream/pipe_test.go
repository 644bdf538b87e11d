package stream

import (
	"errors"
	"testing"

	"github.com/semel-dev/semel/internal/fence"
	"github.com/semel-dev/semel/internal/wire"
)

func TestPipe_KeepsOrderAndDeliversWhatWasSentBeforeClose(t *testing.T) {
	master, worker := Pipe(wire.Hello{Node: fence.Node{ID: "w"}})
	for i := range 3 {
		worker.Send(wire.FromWorker{Beat: fence.Boot(i + 1)})
	}
	worker.Close()
	worker.Send(wire.FromWorker{Beat: 99})
	for i := range 3 {
		m, err := master.Recv(t.Context())
		if err != nil || m.Beat != fence.Boot(i+1) {
			t.Fatalf("message %d: got %v, %v", i, m.Beat, err)
		}
	}
	for range 2 {
		if _, err := master.Recv(t.Context()); !errors.Is(err, ErrClosed) {
			t.Fatalf("after the last message: %v, want ErrClosed", err)
		}
	}
}

func TestPipe_CloseWakesBothEnds(t *testing.T) {
	master, worker := Pipe(wire.Hello{})
	ended := make(chan error, 2)
	go func() { _, err := master.Recv(t.Context()); ended <- err }()
	go func() { _, err := worker.Recv(t.Context()); ended <- err }()
	master.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

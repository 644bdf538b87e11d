package memory_test

import (
	"testing"

	"github.com/semel-dev/semel/internal/store"
	"github.com/semel-dev/semel/internal/store/memory"
	"github.com/semel-dev/semel/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := memory.Open()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func TestClosed(t *testing.T) {
	s := memory.Open()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(t.Context()); err == nil {
		t.Error("a closed store says that it can be written")
	}
}

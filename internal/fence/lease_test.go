package fence

import (
	"testing"
	"time"
)

var terms = Terms{TTL: 15 * time.Second, Kill: 2 * time.Second, Rho: 0.01}

func TestUsable_LeavesRoomForDriftAndKill(t *testing.T) {
	if got, want := terms.Usable(), 12700*time.Millisecond; got != want {
		t.Errorf("usable %v, want %v", got, want)
	}
}

func TestLease_CountsFromTheQuestion(t *testing.T) {
	l := NewLease(terms)
	sent := Boot(100 * time.Second)
	if !l.Confirm(StoreWitness, sent, sent.Add(5*time.Second)) {
		t.Fatal("a fresh answer was dropped")
	}
	if got, want := l.Deadline(), sent.Add(terms.Usable()); got != want {
		t.Errorf("deadline %d, want %d: it must not count from the answer", got, want)
	}
}

func TestLease_DropsALateGrant(t *testing.T) {
	l := NewLease(terms)
	sent := Boot(100 * time.Second)
	if l.Confirm(StoreWitness, sent, sent.Add(terms.Usable())) {
		t.Error("an answer that came at its own deadline was taken")
	}
	if l.Deadline() != 0 {
		t.Errorf("deadline %d after a late grant, want none", l.Deadline())
	}
}

func TestLease_OneWitnessIsEnough(t *testing.T) {
	l := NewLease(terms)
	l.Confirm(StoreWitness, 0, 1)
	l.Confirm(RegistryWitness, Boot(10*time.Second), Boot(10*time.Second))
	if now := Boot(20 * time.Second); !l.Acting(now) {
		t.Error("the registry's word does not keep the node acting")
	}
	l.Void(RegistryWitness)
	if now := Boot(20 * time.Second); l.Acting(now) {
		t.Error("a voided witness still counts")
	}
}

func TestLease_NeverMovesBack(t *testing.T) {
	l := NewLease(terms)
	l.Confirm(StoreWitness, Boot(10*time.Second), Boot(10*time.Second))
	d := l.Deadline()
	l.Confirm(StoreWitness, Boot(5*time.Second), Boot(10*time.Second))
	if l.Deadline() != d {
		t.Errorf("an older answer moved the deadline from %d to %d", d, l.Deadline())
	}
}

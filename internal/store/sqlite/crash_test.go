//go:build faults

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/semel-dev/semel/internal/fault"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
	"github.com/semel-dev/semel/internal/store"
)

const (
	victimVariable = "SEMEL_CRASH_TEST_STORE"
	victims        = 3  // partitions that are written at once
	victimCommits  = 40 // of each, if nothing stops it
	victimRows     = 50 // attempts in each commit
)

// TestMain writes to a store until it is killed when TestCrash runs this
// program again.
func TestMain(m *testing.M) {
	path := os.Getenv(victimVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := victim(context.Background(), path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim says on its standard output what was acknowledged.
func victim(ctx context.Context, path string) error {
	s, err := Open(ctx, Config{Path: path, Sync: SyncNormal})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make([]error, victims)
	for p := range victims {
		group.Go(func() { errs[p] = write(ctx, s, p) })
	}
	group.Wait()
	return errors.Join(append(errs, s.Close())...)
}

func write(ctx context.Context, s *Store, p int) error {
	position, err := s.Claim(ctx, p, "victim", now)
	if err != nil {
		return err
	}
	for seq := position.Seq + 1; seq <= victimCommits; seq++ {
		if err := s.Commit(ctx, victimBatch(p, position.Epoch, seq)); err != nil {
			return err
		}
		fmt.Printf("%d %d\n", p, seq)
	}
	return nil
}

func victimRun(p int) flow.RunID { return flow.RunID(fmt.Sprint("run-", p)) }

// victimBatch changes the run's one row, inserts attempts and ends those of
// the batch before.
func victimBatch(p int, epoch flow.Epoch, seq uint64) *partition.Batch {
	run := victimRun(p)
	b := &partition.Batch{
		Partition: p, Epoch: epoch, Seq: seq, At: now,
		Runs: []flow.Run{{ID: run, Partition: p, State: flow.RunRunning, Reason: fmt.Sprint(seq)}},
	}
	for row := range victimRows {
		task := fmt.Sprint("task-", row)
		b.Attempts = append(b.Attempts, flow.Attempt{Run: run, Task: task, Number: int(seq), State: flow.AttemptRunning})
		if seq > 1 {
			b.Attempts = append(b.Attempts, flow.Attempt{Run: run, Task: task, Number: int(seq) - 1, State: flow.AttemptSucceeded})
		}
	}
	return b
}

// TestCrash kills a process at each place in the way of a commit. Whatever the
// place, the store opens again, nothing that was acknowledged is lost, and
// (epoch, seq) tells which batches are there: whole, and no other.
func TestCrash(t *testing.T) {
	tried := 0
	for _, name := range fault.Names {
		if !strings.HasPrefix(name, "sqlite.") {
			continue
		}
		tried++
		// The first time, and in the middle of work.
		counts := []int{1, 2, 11, 25}
		if strings.HasPrefix(name, "sqlite.migrate.") {
			counts = []int{1}
		}
		for _, n := range counts {
			t.Run(fmt.Sprintf("%s:%d", name, n), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "semel.db")
				acknowledged := kill(t, path, fmt.Sprintf("%s:exit:%d", name, n))
				examine(t, path, acknowledged)
				// The next process goes on where this one was.
				examine(t, path, run(t, path, "", false))
			})
		}
	}
	if tried == 0 {
		t.Error("there is no place of the store to crash at")
	}
}

func kill(t *testing.T, path, where string) [victims]uint64 {
	t.Helper()
	return run(t, path, where, true)
}

// run runs a victim and returns the last commit of each partition that was
// acknowledged.
func run(t *testing.T, path, where string, killed bool) (acknowledged [victims]uint64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), victimVariable+"="+path, fault.Variable+"="+where)
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	var exit *exec.ExitError
	if wasKilled := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; wasKilled != killed || (!killed && err != nil) {
		t.Fatalf("the process ended by %v, killed: %v\n%s", err, wasKilled, said.String())
	}
	lines := bufio.NewScanner(strings.NewReader(string(output)))
	for lines.Scan() {
		p, seq, _ := strings.Cut(lines.Text(), " ")
		place, err := strconv.Atoi(p)
		if err != nil {
			t.Fatal(err)
		}
		if acknowledged[place], err = strconv.ParseUint(seq, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return acknowledged
}

func examine(t *testing.T, path string, acknowledged [victims]uint64) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatalf("the store does not open after the crash: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var found string
	err = s.readers.view(t.Context(), func(v *view) error { return v.row(`PRAGMA integrity_check`).Scan(&found) })
	if err != nil || found != "ok" {
		t.Errorf("integrity: %s, %v", found, err)
	}
	for p, told := range acknowledged {
		position, err := s.Position(t.Context(), p)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if position.Seq < told {
			t.Errorf("partition %d stands at %d, and %d was acknowledged", p, position.Seq, told)
		}
		whole(t, s, p, position.Seq)
	}
}

// whole fails unless all of the first seq batches is there, and nothing else.
func whole(t *testing.T, s *Store, p int, seq uint64) {
	t.Helper()
	stored, err := s.Run(t.Context(), victimRun(p))
	if seq == 0 {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("partition %d stands at 0 and has a run: %+v, %v", p, stored, err)
		}
		return
	}
	if err != nil || stored.Reason != fmt.Sprint(seq) {
		t.Errorf("partition %d stands at %d and its run at %s, %v", p, seq, stored.Reason, err)
	}
	rows, err := s.Attempts(t.Context(), victimRun(p), "")
	if err != nil || len(rows) != int(seq)*victimRows {
		t.Errorf("partition %d stands at %d and has %d attempts, %v", p, seq, len(rows), err)
	}
	for _, a := range rows {
		want := flow.AttemptSucceeded
		if a.Number == int(seq) {
			want = flow.AttemptRunning
		}
		if a.State != want {
			t.Errorf("partition %d stands at %d, and attempt %d of %s is %s", p, seq, a.Number, a.Task, a.State)
		}
	}
}

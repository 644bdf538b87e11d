package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/partition"
)

// raw opens a file without the store.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

const batchRows = 1000

// BenchmarkCommit compares Commit with the least that could be done in its
// place: the same rows through one prepared INSERT in one transaction.
func BenchmarkCommit(b *testing.B) {
	for _, level := range []Sync{SyncFull, SyncNormal, SyncOff} {
		b.Run("limit/"+string(level), func(b *testing.B) { benchmarkLimit(b, level) })
		b.Run("insert/"+string(level), func(b *testing.B) { benchmarkCommit(b, level, false) })
		b.Run("update/"+string(level), func(b *testing.B) { benchmarkCommit(b, level, true) })
	}
}

func rate(b *testing.B, rows int, unit string) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), unit)
	b.ReportMetric(0, "ns/op")
}

func benchmarkLimit(b *testing.B, level Sync) {
	s := openHere(b, Config{Sync: level})
	ctx := context.WithoutCancel(b.Context())
	rows := attempts("r", batchRows)
	n := 0
	for b.Loop() {
		n++
		err := s.writer.write(ctx, func(tx *tx) error {
			for i := range rows {
				a := &rows[i]
				_, err := tx.exec(`
					INSERT INTO attempts (run, task, number, generation, epoch, node, state, round, retries, lost,
						dispatched_at, started_boot, finished_boot)
					VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, 0, 0)`,
					int64(n), a.Task, int64(1), int64(1), int64(1), string(a.Node), "dispatched", a.DispatchedAt.UnixMicro())
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	rate(b, n*batchRows, "rows/s")
}

func benchmarkCommit(b *testing.B, level Sync, update bool) {
	s := openHere(b, Config{Sync: level})
	ctx := b.Context()
	if _, err := s.Claim(ctx, 1, "a", now); err != nil {
		b.Fatal(err)
	}
	seq := uint64(0)
	commit := func(batch partition.Batch) {
		seq++
		batch.Partition, batch.Epoch, batch.Seq, batch.At = 1, 1, seq, now
		if err := s.Commit(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
	n, code := 0, 0
	for b.Loop() {
		n++
		run := flow.RunID(fmt.Sprintf("0193a5c0-0000-7000-8000-%012x", n))
		rows := attempts(run, batchRows)
		if update {
			b.StopTimer()
		}
		commit(partition.Batch{Runs: []flow.Run{{ID: run, Partition: 1, State: flow.RunRunning}}, Attempts: rows})
		if update {
			b.StartTimer()
			for i := range rows {
				rows[i].State, rows[i].ExitCode = flow.AttemptSucceeded, &code
				rows[i].Started.Wall, rows[i].Finished.Wall = now, now
				rows[i].Started.Boot, rows[i].Finished.Boot = 1, 2
			}
			commit(partition.Batch{Attempts: rows})
		}
	}
	rate(b, n*batchRows, "rows/s")
}

// BenchmarkTinyCommit is one event per commit, from one caller and from many.
func BenchmarkTinyCommit(b *testing.B) {
	for _, level := range []Sync{SyncFull, SyncNormal, SyncOff} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", level, callers), func(b *testing.B) { benchmarkTiny(b, level, callers) })
		}
	}
}

func benchmarkTiny(b *testing.B, level Sync, callers int) {
	s := openHere(b, Config{Sync: level})
	ctx := b.Context()
	for p := range callers {
		if _, err := s.Claim(ctx, p, "a", now); err != nil {
			b.Fatal(err)
		}
	}
	before := s.writer.committed.Load()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var group sync.WaitGroup
	for p := range callers {
		group.Go(func() {
			for seq := uint64(1); left.Add(-1) >= 0; seq++ {
				batch := partition.Batch{Partition: p, Epoch: 1, Seq: seq, At: now, Events: []partition.Event{{At: now, Cause: "x"}}}
				if err := s.Commit(ctx, &batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	rate(b, b.N, "commits/s")
	b.ReportMetric(float64(b.N)/float64(s.writer.committed.Load()-before), "commits/transaction")
}

// BenchmarkLoad reads a run of 100,000 tasks as a new owner does.
func BenchmarkLoad(b *testing.B) {
	const tasks = 100_000
	s := openHere(b, Config{Sync: SyncOff})
	ctx := b.Context()
	if _, err := s.Claim(ctx, 1, "a", now); err != nil {
		b.Fatal(err)
	}
	batch := partition.Batch{
		Partition: 1, Epoch: 1, Seq: 1, At: now,
		Runs: []flow.Run{{ID: "r", Partition: 1, State: flow.RunRunning}}, Attempts: attempts("r", tasks),
	}
	if err := s.Commit(ctx, &batch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		snapshot, err := s.Load(ctx, 1)
		if err != nil || len(snapshot.Runs[0].Attempts) != tasks {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is what a start pays: for a new file and for one that is there.
func BenchmarkOpen(b *testing.B) {
	for name, fresh := range map[string]bool{"new": true, "again": false} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			for n := 0; b.Loop(); n++ {
				cfg := Config{Path: filepath.Join(dir, "semel.db"), Sync: SyncOff}
				if fresh {
					cfg.Path = filepath.Join(dir, fmt.Sprint(n))
				}
				s, err := Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

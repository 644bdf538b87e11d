package runner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/agent"
	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/wire"
)

// history is a machine that has heard of n attempts, and a journal of it with
// one frame for each.
type history struct {
	m       *agent.Machine
	records []agent.Record
}

func (h *history) apply(in agent.Input) []agent.Record {
	out := h.m.Apply(Now(), in)
	h.records = append(h.records, out.Journal...)
	return out.Journal
}

func newHistory() *history {
	h := &history{m: agent.New("test@1")}
	h.records = h.m.Compact()
	h.apply(agent.Extend{Deadline: 1 << 62})
	return h
}

func dispatchOf(task string) agent.Message {
	work := flow.Work{Run: testRun, Task: task, Generation: 1, Number: 1}
	return agent.Message{ToWorker: wire.ToWorker{Dispatch: []wire.Dispatch{{Owner: wire.Owner{Epoch: 1}, Work: work}}}}
}

// write makes a journal with three frames and returns where they begin.
func (h *history) write(t *testing.T, j *journal) []int64 {
	t.Helper()
	j.append(h.records, h.m)
	starts := []int64{0}
	for _, task := range []string{"a", "b"} {
		starts = append(starts, j.size)
		j.append(h.apply(dispatchOf(task)), h.m)
	}
	if err := j.room(); err != nil {
		t.Fatal(err)
	}
	return append(starts, j.size)
}

func openJournal(t *testing.T, dir string) *journal {
	t.Helper()
	j, err := newJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j
}

func TestJournal_GivesBackWhatWasWritten(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	h.write(t, j)
	got, err := readJournal(j.path(), false)
	if err != nil || len(got) != len(h.records) {
		t.Fatalf("%d records, %v; want %d", len(got), err, len(h.records))
	}
	if diff := cmp.Diff(h.m.Pending(), agent.Replay(got).Pending()); diff != "" {
		t.Error(diff)
	}
}

func TestJournal_CutsATornEnd(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	starts := h.write(t, j)
	whole, err := os.ReadFile(j.path())
	if err != nil {
		t.Fatal(err)
	}
	last := starts[2]
	for cut := last; cut < int64(len(whole)); cut++ {
		if err := os.WriteFile(j.path(), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readJournal(j.path(), false)
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		if pending := agent.Replay(got).Pending(); len(pending) != 1 || pending[0].Ref.Task != "a" {
			t.Fatalf("cut at byte %d: %+v, want the first attempt and not the second", cut, pending)
		}
	}
}

func TestJournal_RefusesDamageInTheMiddle(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	starts := h.write(t, j)
	whole, err := os.ReadFile(j.path())
	if err != nil {
		t.Fatal(err)
	}
	for at := starts[1]; at < starts[2]; at++ {
		bad := append([]byte(nil), whole...)
		bad[at] ^= 0x20
		if err := os.WriteFile(j.path(), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readJournal(j.path(), false); !errors.Is(err, ErrUnproven) {
			t.Fatalf("byte %d is wrong: %v, want an error: what follows was lost silently", at, err)
		}
		got, err := readJournal(j.path(), true)
		if err != nil || len(agent.Replay(got).Pending()) != 0 {
			t.Fatalf("byte %d is wrong after a restart of the machine: %v, %d records; want what is before it", at, err, len(got))
		}
	}
}

func TestJournal_CompactsWhatIsHistory(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	j.limit = 10_000
	j.append(h.records, h.m)
	largest := int64(0)
	for range 200 {
		j.append(h.apply(dispatchOf("a")), h.m)
		ref := wire.Ref{Run: testRun, Task: "a", Generation: 1}
		j.append(h.apply(agent.Exited{Ref: ref, Outcome: flow.Outcome{Result: flow.Succeeded}}), h.m)
		j.append(h.apply(agent.Message{ToWorker: wire.ToWorker{Forget: []wire.Forget{{Refs: []wire.Ref{ref}}}}}), h.m)
		largest = max(largest, j.size)
		j.limit = min(j.limit, 10_000)
	}
	j.append(h.apply(dispatchOf("b")), h.m)
	if largest > 11_000 {
		t.Errorf("the journal grew to %d bytes", largest)
	}
	got, err := readJournal(j.path(), false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.m.Pending(), agent.Replay(got).Pending()); diff != "" {
		t.Errorf("the compacted journal tells something else:\n%s", diff)
	}
}

// syncedFile enters when it is synced.
type syncedFile struct {
	file
	synced func()
}

func (f *syncedFile) Sync() error {
	f.synced()
	return f.file.Sync()
}

// TestJournal_CompactedIsOnTheDiskBeforeTheOldOneGoes: a rename may reach the
// disk before the content of the file.
func TestJournal_CompactedIsOnTheDiskBeforeTheOldOneGoes(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	h.write(t, j)
	renamed := func() bool { _, err := os.Stat(j.path() + ".new"); return errors.Is(err, fs.ErrNotExist) }
	var content, name atomic.Bool
	open := j.openFile
	j.openFile = func(path string) (file, error) {
		f, err := open(path)
		return &syncedFile{f, func() {
			if !renamed() {
				content.Store(true)
			}
		}}, err
	}
	j.syncDir = func(dir string) error {
		if renamed() {
			name.Store(true)
		}
		return syncDir(dir)
	}
	if err := j.compact(h.m); err != nil {
		t.Fatal(err)
	}
	if !content.Load() || !name.Load() {
		t.Errorf("content synced before the rename: %v, its name after it: %v; want both", content.Load(), name.Load())
	}
}

// smallDisk has room for so many bytes in all; a write that does not fit is
// done in part, as the kernel does it.
type smallDisk struct {
	file
	room *int64
}

func (d *smallDisk) WriteAt(p []byte, off int64) (int, error) {
	if int64(len(p)) > *d.room {
		n, _ := d.file.WriteAt(p[:max(*d.room, 0)], off)
		*d.room = 0
		return n, unix.ENOSPC
	}
	*d.room -= int64(len(p))
	return d.file.WriteAt(p, off)
}

// onSmallDisk puts a journal onto a disk with so much room.
func onSmallDisk(j *journal, room *int64, reserve int64) {
	j.mu.Lock()
	j.f = &smallDisk{j.f, room}
	j.mu.Unlock()
	j.openFile = func(path string) (file, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		return &smallDisk{f, room}, err
	}
	j.reserve = func() error {
		if *room < reserve {
			return unix.ENOSPC
		}
		return nil
	}
}

func TestJournal_FallsBehindOnAFullDiskAndCatchesUp(t *testing.T) {
	h := newHistory()
	j := openJournal(t, t.TempDir())
	h.write(t, j)
	room := int64(40) // the header and a little of the next frame
	onSmallDisk(j, &room, 1000)
	j.append(h.apply(dispatchOf("c")), h.m)
	if err := j.room(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("room: %v, want no space", err)
	}
	got, err := readJournal(j.path(), false)
	if err != nil || len(agent.Replay(got).Pending()) != 2 {
		t.Fatalf("%v, %d records: what was written before must stay right", err, len(got))
	}
	room = 1 << 20
	j.retry = j.retry.Add(-2 * retryEvery) // a second later
	j.append(nil, h.m)
	if err := j.room(); err != nil {
		t.Fatalf("room: %v, want none to be missing", err)
	}
	j.append(h.apply(dispatchOf("d")), h.m)
	got, err = readJournal(j.path(), false)
	if diff := cmp.Diff(h.m.Pending(), agent.Replay(got).Pending()); err != nil || diff != "" {
		t.Errorf("after the disk had room again: %v\n%s", err, diff)
	}
}

// TestRunner_OnAFullDisk refuses new attempts and still tells what ran.
func TestRunner_OnAFullDisk(t *testing.T) {
	w := newWorker(t, Config{})
	dir := t.TempDir()
	ref := w.dispatch(flow.Work{Config: script("until [ -e " + dir + "/go ]; do sleep 0.01; done")})
	w.report(ref, wire.Running)
	var room int64
	onSmallDisk(w.runner.journal, &room, reserveSize) // the loop rests
	refused := w.dispatch(flow.Work{Config: script("echo started >" + dir + "/started")})
	o := w.outcome(refused)
	if want := "this worker cannot keep records of a new attempt: no space left on device"; o.Result != flow.Refused || o.Reason != want {
		t.Errorf("%+v, want refused: %s", o, want)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := w.outcome(ref); o.Result != flow.Succeeded {
		t.Errorf("%+v: what ran must be told", o)
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
		t.Error("an attempt was started without a record")
	}
	if _, err := os.Stat(filepath.Join(w.dir, reserveFile)); err == nil {
		t.Error("the reserve was not freed")
	}
}

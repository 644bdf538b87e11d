package runner

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/semel-dev/semel/internal/agent"
)

const (
	// compactAt is the size from which on the journal is rewritten, if most of
	// it is history.
	compactAt = 16 << 20
	// reserveSize is kept back on the disk, to be freed for the last records
	// when the disk is full.
	reserveSize = 4 << 20
	// syncEvery bounds what a power failure can take: see journal.
	syncEvery = time.Second
	// retryEvery is how often a full disk is tried again.
	retryEvery = time.Second
)

// A frame of the journal is magic, length, CRC, and the records of one turn of
// the loop as JSON.
const (
	frameMagic  = "SMJ1"
	frameHeader = len(frameMagic) + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is what the journal needs of an *os.File.
type file interface {
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// journal is the append-only file of a runner's records. One write takes all
// records of a turn.
//
// A record counts as written when the kernel has it: the death of the runner
// cannot take it back any more. The disk gets it up to a second later, and
// nothing waits for that. A power failure may so take the last second, but
// also ends everything that ran: the node's successor is a new incarnation, an
// outcome that was not yet told is lost, and the task's on_lost decides. To wait
// for the disk before telling would cost each task a commit of its own and
// save nothing that the master's own commit does not save.
//
// When the disk is full, the reserve is freed and new attempts are refused
// until there is room for it again; what was written before stays right, since
// a write that did not fit is cut off. Should even the reserve not do, the
// journal falls behind: outcomes are told from memory, and with the first room
// the whole state is written anew.
type journal struct {
	dir      string
	size     int64
	limit    int64 // compact beyond it
	scarce   error // why nothing new may be accepted; nil if there is room
	behind   bool  // the file lacks something that was told
	retry    time.Time
	writes   atomic.Int64
	syncs    atomic.Int64
	openFile func(path string) (file, error)
	reserve  func() error // makes the reserve
	syncDir  func(dir string) error
	wake     chan struct{}
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu sync.Mutex
	f  file
}

// newJournal makes the journal of a new node; dir holds none yet.
func newJournal(dir string) (*journal, error) {
	j := &journal{
		dir: dir, limit: compactAt,
		openFile: func(path string) (file, error) {
			return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		},
		reserve: func() error { return makeReserve(filepath.Join(dir, reserveFile)) },
		syncDir: syncDir,
		wake:    make(chan struct{}, 1), stop: make(chan struct{}),
	}
	f, err := j.openFile(j.path())
	if err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	j.f = f
	j.scarce = j.reserve()
	j.stopped.Go(j.sync)
	return j, nil
}

func (j *journal) path() string { return filepath.Join(j.dir, journalFile) }

// append writes the records of one turn of m. It returns nil although nothing
// could be written: then room says why, and state is what will be written.
func (j *journal) append(records []agent.Record, m *agent.Machine) {
	switch {
	case j.behind:
		j.recover(m)
	case len(records) > 0:
		if err := j.write(records); err != nil {
			j.scarce = err
			j.free()
			if err := j.write(records); err != nil {
				j.behind = true
			}
		}
	}
	switch {
	case j.behind:
	case j.scarce != nil && time.Now().After(j.retry):
		j.retry = time.Now().Add(retryEvery)
		j.scarce = j.reserve()
	case j.size > j.limit:
		if err := j.compact(m); err != nil {
			j.limit += compactAt // whichever file has the name goes on
		}
	}
}

// room returns why nothing new can be accepted.
func (j *journal) room() error { return j.scarce }

func (j *journal) free() { _ = os.Remove(filepath.Join(j.dir, reserveFile)) }

// recover writes the state of m anew, if there is room again.
func (j *journal) recover(m *agent.Machine) {
	if time.Now().Before(j.retry) {
		return
	}
	j.retry = time.Now().Add(retryEvery)
	if err := j.compact(m); err != nil {
		j.scarce = err
		return
	}
	j.behind = false
	j.scarce = j.reserve()
}

func (j *journal) write(records []agent.Record) error {
	frame, err := encodeFrame(records)
	if err != nil {
		return err
	}
	if _, err := j.f.WriteAt(frame, j.size); err != nil {
		_ = j.f.Truncate(j.size) // else the next frame overwrites what is there of this one
		return err
	}
	j.size += int64(len(frame))
	j.writes.Add(1)
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return nil
}

// compact replaces the file by one that holds only what m still knows. That is
// on the disk before the old one goes: else a power failure could take all of
// it, and not just the last second.
func (j *journal) compact(m *agent.Machine) error {
	frame, err := encodeFrame(m.Compact())
	if err != nil {
		return err
	}
	next := j.path() + ".new"
	f, err := j.openFile(next)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(frame, 0)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, j.path()); err != nil {
		f.Close()
		return err
	}
	j.mu.Lock()
	old := j.f
	j.f = f
	j.mu.Unlock()
	old.Close()
	j.size = int64(len(frame))
	j.limit = max(compactAt, 4*j.size)
	j.writes.Add(1)
	return j.syncDir(j.dir)
}

// sync brings to the disk what was written, at most once a second.
func (j *journal) sync() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-pause.C:
		}
		select {
		case <-j.stop:
			return
		case <-j.wake:
		}
		j.mu.Lock()
		f := j.f
		j.mu.Unlock()
		_ = f.Sync() // of a file that was compacted away: the next one is synced in its turn
		j.syncs.Add(1)
		pause.Reset(syncEvery)
	}
}

// close brings everything to the disk.
func (j *journal) close() error {
	close(j.stop)
	j.stopped.Wait()
	return errors.Join(j.f.Sync(), j.f.Close())
}

// makeReserve takes the space of the reserve on the disk.
func makeReserve(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.WriteAt(make([]byte, reserveSize), 0)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reserve %d MiB: %w", reserveSize>>20, err), os.Remove(path))
	}
	return nil
}

func encodeFrame(records []agent.Record) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, frameHeader))
	if err := json.NewEncoder(&b).Encode(records); err != nil {
		return nil, fmt.Errorf("encode %d records: %w", len(records), err)
	}
	frame := b.Bytes()
	payload := frame[frameHeader:]
	copy(frame, frameMagic)
	binary.BigEndian.PutUint32(frame[4:], uint32(len(payload)))
	binary.BigEndian.PutUint32(frame[8:], crc32.Checksum(payload, castagnoli))
	return frame, nil
}

// decodeFrame returns the payload of the frame at the beginning of b.
func decodeFrame(b []byte) (payload []byte, ok bool) {
	if len(b) < frameHeader || string(b[:4]) != frameMagic {
		return nil, false
	}
	length := int64(binary.BigEndian.Uint32(b[4:]))
	if int64(len(b)-frameHeader) < length {
		return nil, false
	}
	payload = b[frameHeader : int64(frameHeader)+length]
	return payload, crc32.Checksum(payload, castagnoli) == binary.BigEndian.Uint32(b[8:])
}

// readJournal reads all records. A torn end is cut: what was not written
// completely had no effect. A bad frame before a good one means that something
// else has changed the file, and is an error; unless the machine was restarted
// since (torn says so), when blocks may have reached the disk in any order.
func readJournal(path string, torn bool) ([]agent.Record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	var records []agent.Record
	for at := 0; at < len(b); {
		payload, ok := decodeFrame(b[at:])
		if !ok {
			if next, found := findFrame(b, at+1); found && !torn {
				return nil, fmt.Errorf("the journal %s is damaged between byte %d and byte %d: %w", path, at, next, ErrUnproven)
			}
			break
		}
		var batch []agent.Record
		if err := json.Unmarshal(payload, &batch); err != nil {
			return nil, fmt.Errorf("the journal %s cannot be understood at byte %d (written by a newer version?): %w", path, at, err)
		}
		records = append(records, batch...)
		at += frameHeader + len(payload)
	}
	return records, nil
}

// findFrame looks for a good frame from byte from on.
func findFrame(b []byte, from int) (int, bool) {
	for at := min(from, len(b)); ; at++ {
		i := bytes.Index(b[at:], []byte(frameMagic))
		if i < 0 {
			return 0, false
		}
		at += i
		if _, ok := decodeFrame(b[at:]); ok {
			return at, true
		}
	}
}

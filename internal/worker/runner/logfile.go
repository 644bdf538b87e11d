package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	copySize = 64 << 10
	tailSize = 64 << 10 // of what is beyond the limit, the end is kept
)

// copyBuffers are shared by all copiers.
var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// logFile is the log of one attempt: secrets masked, size limited. It is made
// with the first byte, so that a silent task costs nothing.
//
// Beyond the limit nothing is written any more, and nobody is blocked; the end
// of what was dropped is kept in memory and written when the attempt has ended,
// since it is what people look for.
type logFile struct {
	path  string
	limit int64
	mask  *masker

	mu      sync.Mutex
	f       *os.File
	broken  bool // cannot be written: the task goes on without
	written int64
	dropped int64
	tail    []byte // ring, once it is full
	tailAt  int
}

var _ io.Writer = (*logFile)(nil)

// Write implements io.Writer. It never fails: a task does not depend on its
// log.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mask != nil {
		l.put(l.mask.mask(p))
	} else {
		l.put(p)
	}
	return len(p), nil
}

// copyFrom copies until the pipe ends, or is closed. While it waits it holds no
// buffer: a thousand silent tasks need none.
func (l *logFile) copyFrom(pipe *os.File) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	for ended := false; !ended && err == nil; {
		err = raw.Read(func(fd uintptr) bool {
			buf := copyBuffers.Get().(*[copySize]byte)
			defer copyBuffers.Put(buf)
			n, err := unix.Read(int(fd), buf[:])
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			if n > 0 {
				_, _ = l.Write(buf[:n])
			}
			ended = n <= 0 && !errors.Is(err, unix.EINTR)
			return true
		})
	}
}

// put writes p as far as the limit allows.
func (l *logFile) put(p []byte) {
	if len(p) == 0 {
		return
	}
	if room := l.limit - tailSize - l.written; l.dropped == 0 && room >= int64(len(p)) {
		l.out(p)
		return
	} else if l.dropped == 0 {
		l.out(p[:max(room, 0)])
		l.out(fmt.Appendf(nil, "\n[semel: the log has reached its limit of %d bytes; of what follows only the end is kept]\n", l.limit))
		p = p[max(room, 0):]
	}
	l.dropped += int64(len(p))
	l.keep(p)
}

// keep keeps the last tailSize bytes of what was dropped.
func (l *logFile) keep(p []byte) {
	if len(p) > tailSize {
		p = p[len(p)-tailSize:]
	}
	if grow := min(tailSize-len(l.tail), len(p)); grow > 0 {
		l.tail = append(l.tail, p[:grow]...)
		p = p[grow:]
	}
	for len(p) > 0 {
		n := copy(l.tail[l.tailAt:], p)
		p = p[n:]
		l.tailAt = (l.tailAt + n) % tailSize
	}
}

// out writes to the file, and makes it first.
func (l *logFile) out(p []byte) {
	if l.broken || len(p) == 0 {
		return
	}
	if l.f == nil {
		f, err := createBelow(l.path)
		if err != nil {
			l.broken = true
			return
		}
		l.f = f
	}
	n, err := l.f.Write(p)
	l.written += int64(n)
	l.broken = err != nil
}

// close writes the end, and says how much is missing.
func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mask != nil {
		l.put(l.mask.flush())
	}
	if missing := l.dropped - int64(len(l.tail)); l.dropped > 0 {
		if missing > 0 {
			l.out(fmt.Appendf(nil, "[semel: %d bytes were dropped here]\n", missing))
		}
		l.out(l.tail[l.tailAt:])
		l.out(l.tail[:l.tailAt])
	}
	if l.f != nil {
		l.f.Close()
	}
	l.tail = nil
}

// createBelow makes a file, and the directory it is in if that is missing.
func createBelow(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC | os.O_APPEND | unix.O_NOFOLLOW // a task may have put a link there
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		return os.OpenFile(path, flags, 0o600)
	}
	return f, err
}

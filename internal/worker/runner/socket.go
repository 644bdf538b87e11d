package runner

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/semel-dev/semel/internal/wire"
)

const (
	// frameMax bounds one frame on the socket, against a length that is
	// garbage; what is larger is sent in pieces.
	frameMax = 256 << 20
	// pieceMax is how much goes into one frame, roughly; JSON may escape it to
	// six times that.
	pieceMax = 8 << 20
	// socketPathMax is what a sockaddr_un holds, with its final NUL.
	socketPathMax = 108
)

// A frame on the socket is a length of four bytes and JSON. The first frame is
// the runner's Hello. Fields that the other side does not know are ignored, so
// that an agent of another version can attach. (A gob stream was a little
// faster; but it drops a pointer to zero, and exit code 0 is one.)

// Serve accepts agents on the socket of the data directory until ctx is done.
// Only the owner of the directory can connect.
func (r *Runner) Serve(ctx context.Context) error {
	listener, err := listen(r.cfg.Dir)
	if err != nil {
		return fmt.Errorf("listen for agents: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer listener.Close()
	var group sync.WaitGroup
	defer group.Wait()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept an agent: %w", err)
		}
		link := r.Local() // here, so that the newest link is that of the newest connection
		group.Go(func() { r.serve(ctx, conn, link) })
	}
}

// serve carries one connection over a link within the process.
func (r *Runner) serve(ctx context.Context, conn net.Conn, link Link) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	defer link.Close()
	if err := writeFrame(conn, r.hello, frameMax); err != nil {
		return
	}
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		defer conn.Close() // ends the reader: the link has ended
		for {
			m, err := link.Recv()
			if err != nil {
				return
			}
			for _, piece := range pieces(m.Reports) {
				if err := writeFrame(conn, FromRunner{Reports: piece}, frameMax); err != nil {
					return
				}
			}
		}
	})
	defer link.Close() // ends the writer, for which group waits
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		var m ToRunner
		if err := readFrame(in, &m); err != nil {
			return
		}
		if err := link.Send(m); err != nil {
			return
		}
	}
}

// pieces cuts reports so that no frame gets too large.
func pieces(reports []wire.Report) [][]wire.Report {
	var all [][]wire.Report
	size, from := 0, 0
	for i := range reports {
		size += 500
		if o := reports[i].Outcome; o != nil {
			size += len(o.Reason)
			for name, value := range o.Outputs {
				size += len(name) + len(value)
			}
		}
		if size > pieceMax {
			all = append(all, reports[from:i+1])
			size, from = 0, i+1
		}
	}
	if from < len(reports) {
		all = append(all, reports[from:])
	}
	return all
}

// Dial attaches to the runner of a data directory, and returns who it is.
func Dial(ctx context.Context, dir string) (Link, Hello, error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, Hello{}, fmt.Errorf("attach to the runner of %s: %w", dir, err)
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, Hello{}, fmt.Errorf("attach to the runner of %s: %w", dir, err)
	}
	c := &remote{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), piece: pieceMax, frame: frameMax}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	var hello Hello
	err = readFrame(c.in, &hello)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, Hello{}, fmt.Errorf("attach to the runner of %s: it did not say hello: %w", dir, err)
	}
	return c, hello, nil
}

// remote is a link over the socket.
type remote struct {
	conn net.Conn
	in   *bufio.Reader
	// What goes into one frame, and what it holds at most; less in tests.
	piece, frame int

	mu sync.Mutex // orders writers; held while writing, since a frame must stay whole
}

var _ Link = (*remote)(nil)

// Send implements Link. A dispatch that no frame holds is refused, and the
// others go on.
func (c *remote) Send(m ToRunner) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, piece := range split(m, c.piece) {
		err := writeFrame(c.conn, piece, c.frame)
		if size, ok := errors.AsType[tooLarge](err); ok && piece.Message != nil {
			err = writeFrame(c.conn, refusal(piece, size), c.frame)
		}
		if err != nil {
			return ended(err)
		}
	}
	return nil
}

// Recv implements Link.
func (c *remote) Recv() (FromRunner, error) {
	var m FromRunner
	err := readFrame(c.in, &m)
	return m, ended(err)
}

// Close implements Link.
func (c *remote) Close() { c.conn.Close() }

// ended says in one word that the other side is gone; whether it was replaced
// or has died is seen when one attaches again.
func ended(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (%w)", ErrEnded, err)
}

// tooLarge is the size of a message that does not go into a frame. Nothing of
// it was sent.
type tooLarge int

func (size tooLarge) Error() string {
	return fmt.Sprintf("a message takes %d bytes, more than a frame holds", int(size))
}

func writeFrame(w io.Writer, m any, limit int) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	if len(text) > limit {
		return tooLarge(len(text))
	}
	frame := make([]byte, 0, 4+len(text))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(text)))
	_, err = w.Write(append(frame, text...))
	return err
}

func readFrame(r io.Reader, into any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > frameMax {
		return fmt.Errorf("a message of %d bytes was announced; at most %d are allowed", size, frameMax)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// listen makes the socket. Whoever calls it holds the lock on the directory,
// so a socket that is there belongs to the dead.
func listen(dir string) (net.Listener, error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(filepath.Join(dir, socketFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // its path may have been a detour that is closed by then
	if err := os.Chmod(filepath.Join(dir, socketFile), 0o600); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// socketPath returns a path to the socket that fits into an address: where the
// directory's own is too long, it leads through an open file of this process.
// done closes that.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, socketFile)
	if len(path) < socketPathMax {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(d.Fd())), socketFile), func() { d.Close() }, nil
}

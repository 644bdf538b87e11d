package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/semel-dev/semel/internal/flow"
	"github.com/semel-dev/semel/internal/store"
)

const (
	logPiece = 32 << 10 // read and sent at once
	// logPoll is how often a followed log is asked for more. Runners append to
	// files and tell nobody; while nobody follows, nobody asks.
	logPoll = 200 * time.Millisecond
)

var errStopping = errors.New("the server is stopping")

// Logs gives out the logs of attempts.
type Logs interface {
	// Open opens the log of an attempt for reading; the caller closes it. The
	// error wraps fs.ErrNotExist if there is none, or none yet.
	Open(run flow.RunID, task string, number int) (io.ReadSeekCloser, error)
}

func (s *Server) logRoutes(a huma.API) {
	path := apiPath + "/runs/{run}/tasks/{task}/logs"
	register(s, a, operation{
		id: "log", method: http.MethodGet, path: path, tag: "tasks",
		summary: "The log of an attempt, byte for byte; with follow as server-sent events until its end",
	}, s.readLog)
	describeEvents(a, path, reflect.TypeFor[LogChunk](), reflect.TypeFor[LogEnd]())
	a.OpenAPI().Paths[path].Get.Responses["200"].Content["text/plain"] = &huma.MediaType{
		Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"},
	}
}

type logInput struct {
	Run       flow.RunID `path:"run"`
	Task      string     `path:"task"`
	Attempt   int        `query:"attempt" minimum:"0" doc:"Its number; 0: the last"`
	Offset    int64      `query:"offset" doc:"The first byte; negative: so many before the end"`
	Limit     int64      `query:"limit" minimum:"0" doc:"At most so many bytes; 0: all. Not with follow"`
	Follow    bool       `query:"follow" doc:"Server-sent events: what is there, then what is added, then end"`
	LastEvent string     `header:"Last-Event-ID" doc:"Where a broken stream goes on"`
}

func (s *Server) readLog(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
	if err := checkRunID(in.Run); err != nil {
		return nil, err
	}
	if in.Follow {
		return s.openFollow(ctx, in)
	}
	attempt, _, err := s.attemptOf(ctx, in.Run, in.Task, in.Attempt)
	if err != nil {
		return nil, err
	}
	if attempt == nil {
		return nil, problem(http.StatusNotFound, "task %s of run %s has had no attempt yet: `semel explain %s --task %s` says why", in.Task, in.Run, in.Run, in.Task)
	}
	file, err := s.Logs.Open(in.Run, in.Task, attempt.Number)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem(http.StatusNotFound, "attempt %d of task %s has no log: it has not started, or its log was removed", attempt.Number, in.Task)
	}
	if err != nil {
		return nil, fmt.Errorf("open the log of attempt %d of task %s of run %s: %w", attempt.Number, in.Task, in.Run, err)
	}
	if _, err := seek(file, in.Offset); err != nil {
		return nil, errors.Join(fmt.Errorf("seek in the log of task %s of run %s: %w", in.Task, in.Run, err), file.Close())
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer file.Close()
		sendLog(c, attempt, limited(file, in.Limit))
	}}, nil
}

// seek goes to the offset, or to so many bytes before the end, and says where
// that is.
func seek(file io.Seeker, offset int64) (int64, error) {
	if offset >= 0 {
		return file.Seek(offset, io.SeekStart)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	return file.Seek(max(0, size+offset), io.SeekStart)
}

func limited(from io.Reader, limit int64) io.Reader {
	if limit == 0 {
		return from
	}
	return io.LimitReader(from, limit)
}

// sendLog copies a log into an answer. What a task printed is never to be
// taken for anything but text.
func sendLog(c huma.Context, attempt *flow.Attempt, from io.Reader) {
	_, w := humago.Unwrap(c)
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Semel-Attempt", strconv.Itoa(attempt.Number))
	header.Set("Semel-Attempt-State", string(attempt.State))
	control := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	piece := make([]byte, logPiece)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write tells
			if _, err := w.Write(piece[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the answer has begun: only a cut connection shows that it is not whole
		}
	}
}

// attemptOf finds an attempt by number, 0 being the last, and whether the task
// run will have no other. It is nil if there is none yet; a number that is not
// there is a problem for the client. The whole run is read only for a task that
// has had no attempt: somebody who asks for every log of a large run must not
// have it read for each.
func (s *Server) attemptOf(ctx context.Context, run flow.RunID, task string, number int) (attempt *flow.Attempt, over bool, err error) {
	attempts, err := s.Store.Attempts(ctx, run, task)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, runMissing(run, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the attempts of task %s of run %s: %w", task, run, err)
	}
	for i := range attempts {
		if attempts[i].Number == number || number == 0 && i == len(attempts)-1 {
			return &attempts[i], attempts[i].State.Final(), nil
		}
	}
	if len(attempts) == 0 {
		loaded, err := s.reader.load(ctx, run)
		if err != nil {
			return nil, false, err
		}
		view, err := loaded.task(task)
		if err != nil {
			return nil, false, err
		}
		over = view.State.Final() || loaded.rows.Run.State.Final()
	}
	if number != 0 {
		return nil, false, problem(http.StatusNotFound, "task %s of run %s has no attempt %d: it has had %s", task, run, number, count(len(attempts), "attempt"))
	}
	return nil, over, nil
}

// followed is one log that is followed.
type followed struct {
	server *Server
	to     *events
	run    flow.RunID
	task   string
	number int   // 0: whichever comes first
	offset int64 // of the next byte to send
	file   io.ReadSeekCloser
	named  bool // the request named the attempt, so ids need not
	held   []byte
}

func (s *Server) openFollow(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
	f := followed{server: s, run: in.Run, task: in.Task, number: in.Attempt, offset: in.Offset, named: in.Attempt != 0}
	if err := f.resume(in.LastEvent); err != nil {
		return nil, err
	}
	if _, _, err := s.attemptOf(ctx, in.Run, in.Task, f.number); err != nil {
		return nil, err
	}
	release, err := s.stream()
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer release()
		var ctx context.Context
		f.to, ctx = openEvents(c)
		err := f.follow(ctx)
		if f.file != nil {
			err = errors.Join(err, f.file.Close())
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Debug("a followed log ended early", "run", f.run, "task", f.task, "error", err)
		}
	}}, nil
}

// resume takes the id of the last message a client has seen: the offset behind
// it, after the attempt where the request does not name it.
func (f *followed) resume(id string) error {
	if id == "" {
		return nil
	}
	number, offset, both := strings.Cut(id, "-")
	if !both {
		number, offset = strconv.Itoa(f.number), id
	}
	n, err := strconv.Atoi(number)
	at64, offsetErr := strconv.ParseInt(offset, 10, 64)
	if err != nil || offsetErr != nil || n < 0 || at64 < 0 || f.named && n != f.number {
		return at(http.StatusUnprocessableEntity, "header.Last-Event-ID", "%q is not the id of a message of this log", shortened(id))
	}
	f.number, f.offset = n, at64
	return nil
}

// follow sends what there is and what comes, until the attempt has ended and
// its last byte is sent.
func (f *followed) follow(ctx context.Context) error {
	changed, cancel := f.server.Store.Changed()
	defer cancel()
	poll := time.NewTicker(logPoll)
	defer poll.Stop()
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	asked := false // whether the store was asked since it changed last
	var attempt *flow.Attempt
	var over bool
	for {
		if !asked {
			var err error
			if attempt, over, err = f.server.attemptOf(ctx, f.run, f.task, f.number); err != nil {
				return err
			}
			asked = true
		}
		// over was true before the last byte is read, so nothing comes behind it.
		if err := f.sendRest(ctx, attempt, over); err != nil {
			return err
		}
		if over {
			return f.end(attempt)
		}
		select {
		case <-changed:
			asked = false
			if !f.server.pause(ctx, changePause) {
				return errStopping
			}
		case <-poll.C:
		case <-beat.C:
			if err := f.to.alive(); err != nil {
				return err
			}
		case <-f.server.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendRest sends all that is in the file by now.
func (f *followed) sendRest(ctx context.Context, attempt *flow.Attempt, over bool) error {
	if attempt == nil {
		return nil
	}
	f.number = attempt.Number
	if f.file == nil {
		file, err := f.server.Logs.Open(f.run, f.task, f.number)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		f.file = file
		if f.offset, err = seek(file, f.offset); err != nil {
			return err
		}
	}
	piece := make([]byte, logPiece)
	for ctx.Err() == nil {
		n, err := f.file.Read(piece)
		if n > 0 {
			if err := f.sendPiece(piece[:n], false); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if over {
		return f.sendPiece(nil, true)
	}
	return nil
}

// sendPiece sends bytes, holding back the first half of a character that may
// still become whole.
func (f *followed) sendPiece(piece []byte, last bool) error {
	piece = append(f.held, piece...)
	f.held = nil
	if !last {
		whole := len(piece) - halfRune(piece)
		f.held = append(f.held, piece[whole:]...)
		piece = piece[:whole]
	}
	if len(piece) == 0 {
		return nil
	}
	chunk := LogChunk{Attempt: f.number, Offset: f.offset}
	if utf8.Valid(piece) {
		chunk.Text = string(piece)
	} else {
		chunk.Base64 = piece
	}
	f.offset += int64(len(piece))
	return f.to.send("log", f.id(), chunk)
}

// halfRune is how many bytes at the end are the beginning of a character.
func halfRune(b []byte) int {
	for n := 1; n <= min(len(b), utf8.UTFMax-1); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func (f *followed) id() string {
	if f.named {
		return strconv.FormatInt(f.offset, 10)
	}
	return fmt.Sprintf("%d-%d", f.number, f.offset)
}

func (f *followed) end(attempt *flow.Attempt) error {
	end := LogEnd{Offset: max(0, f.offset)}
	if attempt != nil {
		end.Attempt, end.State = attempt.Number, attempt.State
	}
	return f.to.send("end", "", end)
}

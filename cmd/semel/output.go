package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// redirect is a writer whose goal changes: logs go above a live view while
// there is one. Before the first set it drops what it gets.
type redirect struct {
	mu sync.Mutex
	to io.Writer
}

func (r *redirect) set(to io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// Write passes p on.
func (r *redirect) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.to == nil {
		return len(p), nil
	}
	return r.to.Write(p)
}

// surviveBrokenPipes keeps the process alive when whoever read its output has
// gone: work that was accepted does not depend on being watched. The returned
// function ends that.
func (a *app) surviveBrokenPipes() func() {
	broken := make(chan os.Signal, 1) // being notified is what keeps the signal from killing
	signal.Notify(broken, syscall.SIGPIPE)
	if f, ok := a.out.(*os.File); ok {
		a.out = pipe{f}
	}
	if f, ok := a.err.(*os.File); ok {
		a.err = pipe{f}
	}
	return func() { signal.Stop(broken) }
}

// pipe is a file whose reader may go away unnoticed.
type pipe struct{ *os.File }

// Write drops what nobody reads any more.
func (p pipe) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		return len(b), nil
	}
	return n, err
}

func writeLines(to io.Writer, lines []string) error {
	_, err := io.WriteString(to, strings.Join(lines, "\n")+"\n")
	return err
}

// lastLines are the last lines of a log, safe for a terminal.
func lastLines(text []byte, most int) []string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	shown := make([]string, 0, len(lines))
	for _, line := range lines {
		// A progress bar rewrites its line: what stood there last is what one saw.
		if _, after, found := strings.Cut(strings.TrimRight(line, "\r"), "\r"); found {
			line = after[strings.LastIndexByte(after, '\r')+1:]
		}
		shown = append(shown, fit(strings.TrimRight(printable(line), " "), tailWidth))
	}
	if len(shown) == 1 && shown[0] == "" {
		return nil
	}
	return shown
}

// shellWord quotes a word for a shell, where it needs that.
func shellWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

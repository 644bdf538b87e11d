package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is what all commands share: where output goes, and how it looks.
type app struct {
	in  io.Reader
	out io.Writer
	err io.Writer

	color    string // --color
	logLevel string // --log-level

	began bool // the command line was understood: errors from here on are not of usage
}

func newApp() *app { return &app{in: os.Stdin, out: os.Stdout, err: os.Stderr} }

// main runs one command line and returns the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	return a.report(command, err)
}

// does makes the function of a command: usage errors end where it begins.
func (a *app) does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.checkFlags(); err != nil {
			return err
		}
		a.began = true
		return f(cmd.Context(), args)
	}
}

// doesUntilInterrupted is does for what may be ended at any moment.
func (a *app) doesUntilInterrupted(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return a.does(func(ctx context.Context, args []string) error {
		ctx, stop := interruptible(ctx)
		defer stop()
		return f(ctx, args)
	})
}

// argsMany bounds the arguments of commands that take many.
const argsMany = 100_000

// takes checks the number of arguments.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("something is missing: %s", cmd.UseLine())
		case len(args) > most && most == 0:
			return fmt.Errorf("%q is too much: %s takes flags only", args[0], cmd.CommandPath())
		case len(args) > most:
			return fmt.Errorf("%q is too much: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

// interruptible ends with the first signal that asks the process to end; the
// second one kills it, as if nobody had listened.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals...)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-done:
		}
		signal.Stop(signals)
	}()
	return ctx, func() {
		close(done)
		cancel(nil)
	}
}

var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

var colorChoices = []string{"auto", "always", "never"}

func (a *app) checkFlags() error {
	if !oneOf(a.color, colorChoices) {
		return fmt.Errorf("--color %q is not known: use %s", a.color, strings.Join(colorChoices, ", "))
	}
	if _, err := a.level(slog.LevelInfo); err != nil {
		return err
	}
	return nil
}

func oneOf(word string, words []string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// level is that of --log-level, or the given one without it.
func (a *app) level(otherwise slog.Level) (slog.Level, error) {
	if a.logLevel == "" {
		return otherwise, nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return 0, fmt.Errorf("--log-level %q is not known: use debug, info, warn or error", a.logLevel)
	}
	return level, nil
}

// logTo makes a logger; its level was checked by checkFlags.
func (a *app) logTo(to io.Writer, otherwise slog.Level) *slog.Logger {
	level, err := a.level(otherwise)
	if err != nil {
		panic(fmt.Sprintf("semel: unchecked log level: %v", err))
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
}

// isTerminal reports whether somebody looks at what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// isLive reports whether w is a terminal that can redraw.
func isLive(w io.Writer) bool {
	kind := os.Getenv("TERM")
	return isTerminal(w) && kind != "" && kind != "dumb"
}

// sizeOf is the size of a terminal, or a usual one if it does not say.
func sizeOf(w io.Writer) size {
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return size{width, height}
		}
	}
	return size{80, 24}
}

// widthOf is how wide a table may be; zero, no bound, where nobody looks.
func widthOf(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	return sizeOf(w).width
}

// styleOf decides what w gets. NO_COLOR is https://no-color.org.
func (a *app) styleOf(w io.Writer) style {
	st := style{unicode: unicodeLocale()}
	switch a.color {
	case "always":
		st.color = true
	case "auto":
		st.color = isLive(w) && os.Getenv("NO_COLOR") == ""
	}
	return st
}

// unicodeLocale reports whether the locale can show more than ASCII. A locale
// that says nothing can: terminals have long been so.
func unicodeLocale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			return value != "C" && value != "POSIX"
		}
	}
	return true
}

// print writes lines to stdout.
func (a *app) print(lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := io.WriteString(a.out, strings.Join(lines, "\n")+"\n")
	return err
}

// say tells something that was not asked for, on stderr.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// printJSON writes a value as the API does, indented for people.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

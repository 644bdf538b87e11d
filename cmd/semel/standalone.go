package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api/client"
)

// standaloneOptions are the flags of `semel standalone`.
type standaloneOptions struct {
	data        string
	listen      string
	allowRemote bool
	slots       int
	leaseTTL    time.Duration
	sync        string
}

var listenDefault = strings.TrimPrefix(client.DefaultURL, "http://")

func (a *app) standaloneCommand() *cobra.Command {
	o := &standaloneOptions{}
	cmd := &cobra.Command{
		Use:   "standalone",
		Short: "Serve on this machine",
		Long: `Run a whole Semel on this machine: scheduler, worker, store and API. The other
commands find it at its default address.

Tasks run under a runner, a process of its own. If the server is killed or
upgraded, tasks go on, and the next server on the same data directory goes on
with them. Ctrl-C or SIGTERM ends the server; its tasks stay with the runner.

Without --data the directory is $XDG_STATE_HOME/semel or ~/.local/state/semel.
One server at a time uses it. There is no login yet, so the server listens on
this machine alone.

Once it is ready it prints "listening on http://ADDRESS". Logs go to stderr.`,
		Example: `  semel standalone
  semel standalone --data ./state --listen 127.0.0.1:8080
  semel standalone --listen 127.0.0.1:0       # a free port; its address is printed`,
		Args: func(cmd *cobra.Command, args []string) error {
			return errors.Join(takes(0, 0)(cmd, args), checkEngineFlags(o.slots, o.sync, nil, false), o.check())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.doesUntilInterrupted(func(ctx context.Context, _ []string) error {
			return a.standalone(ctx, o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "where everything is kept (default: see above)")
	f.StringVar(&o.listen, "listen", listenDefault, "address to listen on, as `HOST:PORT`; port 0 takes a free one")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "allow an address that other machines can reach: whoever reaches it may run anything here")
	f.IntVar(&o.slots, "slots", 0, "most tasks at once (default: 16 for each core)")
	f.DurationVar(&o.leaseTTL, "lease-ttl", 0, "how long tasks go on while no server comes back (default: 15m)")
	f.StringVar(&o.sync, "sync", "", syncHelp)
	must(cmd.RegisterFlagCompletionFunc("sync", cobra.FixedCompletions(syncChoices, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.MarkFlagDirname("data"))
	return cmd
}

// leaseShortest is what a lease must be to be of use: heartbeats go out at a
// fifth of it, and killing takes two seconds of it.
const leaseShortest = 5 * time.Second

func (o *standaloneOptions) check() error {
	if o.leaseTTL != 0 && o.leaseTTL < leaseShortest {
		return fmt.Errorf("--lease-ttl %s is too short: at least %s", o.leaseTTL, leaseShortest)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not an address: write it as %s", o.listen, listenDefault)
	}
	if !o.allowRemote && !isLoopback(host) {
		return fmt.Errorf("--listen %s can be reached from other machines, and there is no login yet: whoever reaches it could run anything here; "+
			"listen on 127.0.0.1, or accept that with --allow-remote", o.listen)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (a *app) standalone(ctx context.Context, o *standaloneOptions) (err error) {
	defer a.surviveBrokenPipes()()
	if o.data == "" {
		if o.data, err = stateDir(); err != nil {
			return bad(err)
		}
	}
	log := a.logTo(a.err, slog.LevelInfo)
	if host, _, err := net.SplitHostPort(o.listen); err == nil && !isLoopback(host) {
		log.Warn("anybody who reaches this address may run anything on this machine: there is no login yet", "address", o.listen)
	}
	e, err := openEngine(ctx, engineConfig{
		Data: o.data, Listen: o.listen, Slots: o.slots, Sync: o.sync, LeaseTTL: o.leaseTTL,
		OwnRunner: true, Version: version(), Log: log,
	})
	if err != nil {
		return bad(explainOpen(err, o))
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := a.print("listening on " + e.Address()); err != nil {
		return err
	}
	log.Info("started", "version", version(), "address", e.Address(), "data", o.data, "pid", os.Getpid())
	if err := e.Run(ctx); ctx.Err() == nil {
		return err
	}
	log.Info("stopped; tasks go on under their runner until the lease ends", "cause", context.Cause(ctx))
	return nil
}

// explainOpen says what to do about what keeps a server from starting.
func explainOpen(err error, o *standaloneOptions) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use, perhaps by another Semel: stop that one, or choose another address with --listen", o.listen)
	case errors.Is(err, syscall.EACCES) && strings.Contains(err.Error(), "listen"):
		return fmt.Errorf("%s may not be used by this user: choose a port from 1024 on with --listen", o.listen)
	}
	return err
}

// stateDir is where a user's server keeps its data.
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "semel"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no home directory to keep data in: name one with --data (%w)", err)
	}
	return filepath.Join(home, ".local", "state", "semel"), nil
}

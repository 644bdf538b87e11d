package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/worker/runner"
)

var containments = []string{string(runner.Auto), string(runner.Cgroup), string(runner.Pidns), string(runner.Weak)}

// runnerCommand is what a server starts for itself: nobody types it.
func (a *app) runnerCommand() *cobra.Command {
	var cfg runner.Config
	var containment string
	cmd := &cobra.Command{
		Use:    "runner",
		Short:  "Be the parent of the tasks of a server",
		Long:   "Be the parent of the tasks of a server. A server starts its runner itself.",
		Hidden: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if !oneOf(containment, containments) {
				return fmt.Errorf("--containment %q is not known: use %s", containment, strings.Join(containments, ", "))
			}
			return takes(0, 0)(cmd, args)
		},
		RunE: a.does(func(ctx context.Context, _ []string) error {
			ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
			defer stop()
			cfg.Containment = runner.Containment(containment)
			cfg.Log = a.logTo(a.err, slog.LevelInfo)
			return runner.Main(ctx, cfg)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", "", "the worker's data directory")
	f.StringVar(&cfg.Address, "address", "", "first part of the node's id")
	f.StringVar(&containment, "containment", string(runner.Auto), "how processes are held together: "+strings.Join(containments, ", "))
	f.Int64Var(&cfg.LogLimit, "log-limit", 0, "bytes kept of one attempt's output (default: 16 MiB)")
	f.DurationVar(&cfg.Linger, "linger", 10*time.Second, "end after having been idle and alone for so long")
	must(cmd.MarkFlagRequired("dir"))
	return cmd
}

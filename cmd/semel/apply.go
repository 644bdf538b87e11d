package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/api"
)

func (a *app) applyCommand() *cobra.Command {
	var r remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Store a workflow on a server",
		Long: `Store a workflow on a server, as the next version of its name. If the latest
version says the same already, nothing is stored. Runs that were started before
stay with their version. FILE may be "-" for stdin.`,
		Example:           "  semel apply daily-sales.yaml\n  semel apply - --server http://127.0.0.1:7130 < daily-sales.yaml",
		Args:              takes(1, 1),
		ValidArgsFunction: completeFiles,
		RunE: a.doesUntilInterrupted(func(ctx context.Context, args []string) error {
			c, err := r.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			file, err := a.load(args[0])
			if err != nil {
				return err
			}
			source, err := file.source()
			if err != nil {
				return bad(err)
			}
			applied, err := c.Apply(ctx, api.Source{File: file.name, Source: source})
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(applied)
			}
			if !applied.Created {
				return a.print(fmt.Sprintf("%s v%d is the same already: nothing stored", applied.Name, applied.Version))
			}
			return a.print(fmt.Sprintf("%s v%d stored", applied.Name, applied.Version))
		}),
	}
	r.flags(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

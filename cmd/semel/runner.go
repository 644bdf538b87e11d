package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) runnerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "runner",
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		RunE:   a.does(func(context.Context, []string) error { return nil }),
	}
}

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/spec"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of workflow files",
		Long: `Print the JSON Schema (draft 2020-12) of workflow files. Editors that know it
complete keys and mark mistakes while one types; most read this first line:

  # yaml-language-server: $schema=semel.schema.json`,
		Example:           "  semel schema > semel.schema.json",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(context.Context, []string) error {
			return a.print(strings.TrimRight(string(spec.Schema()), "\n"))
		}),
	}
}

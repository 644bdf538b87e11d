package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/semel-dev/semel/internal/spec"
)

// validated is the answer of `validate --json` for one file.
type validated struct {
	File   string      `json:"file"`
	Valid  bool        `json:"valid"`
	Name   string      `json:"name,omitempty"`
	Tasks  int         `json:"tasks,omitempty"`
	Errors spec.Errors `json:"errors,omitempty"`
	Error  string      `json:"error,omitempty"` // the file could not be read
}

func (a *app) validateCommand() *cobra.Command {
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check workflow files",
		Long: `Check workflow files without running anything, and without a server. Every fault
is named with its line, its field and what to write instead. FILE may be "-" for
stdin.

The exit code is 0 if all files are right, else 2.`,
		Example:           "  semel validate workflows/*.yaml\n  semel validate --json daily-sales.yaml",
		Args:              takes(1, argsMany),
		ValidArgsFunction: completeFiles,
		RunE: a.does(func(_ context.Context, args []string) error {
			results := make([]validated, 0, len(args))
			right := true
			for _, path := range args {
				result, err := a.validate(path)
				right = right && err == nil
				results = append(results, result)
				switch {
				case asJSON:
				case err != nil:
					a.say("%s\n", err)
				case !quiet:
					if err := a.print(fmt.Sprintf("%s: ok, workflow %s with %s", result.File, result.Name, count(result.Tasks, "task"))); err != nil {
						return err
					}
				}
			}
			if asJSON {
				if err := a.printJSON(results); err != nil {
					return err
				}
			}
			if !right {
				return silent(exitBad)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print faults only")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list with one object per file")
	return cmd
}

func (a *app) validate(path string) (validated, error) {
	file, err := a.load(path)
	if err == nil {
		return validated{File: path, Valid: true, Name: file.workflow.Name, Tasks: len(file.workflow.Tasks)}, nil
	}
	result := validated{File: path}
	if !errors.As(err, &result.Errors) {
		result.Error = err.Error()
	}
	return result, err
}

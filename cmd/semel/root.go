package main

import (
	"github.com/spf13/cobra"
)

// The groups of the help.
const (
	groupHere   = "here"
	groupServer = "server"
	groupLook   = "look"
	groupFiles  = "files"
)

// root builds the whole command line.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "semel",
		Short: "Run workflows to their end, each task once",
		Long: `Semel runs workflows: DAGs of tasks, written in YAML. What was accepted is done,
and is done once, whatever crashes meanwhile.

  semel run FILE          runs a workflow in this process, to its end
  semel standalone        is a server on this machine, for all other commands

` + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("semel {{.Version}}\n")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "colour of output: auto, always or never; NO_COLOR is respected")
	root.PersistentFlags().StringVar(&a.logLevel, "log-level", "", "what to log on stderr: debug, info, warn or error (default: info for standalone, else error)")
	must(root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(colorChoices, cobra.ShellCompDirectiveNoFileComp)))
	must(root.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddGroup(
		&cobra.Group{ID: groupHere, Title: "Run on this machine:"},
		&cobra.Group{ID: groupServer, Title: "Tell a server what to do:"},
		&cobra.Group{ID: groupLook, Title: "Look at runs:"},
		&cobra.Group{ID: groupFiles, Title: "Write workflows:"},
	)
	group := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group(groupHere, a.runCommand(), a.standaloneCommand())
	group(groupServer, a.applyCommand(), a.startCommand(), a.stopCommand(), a.pauseCommand(), a.resumeCommand(), a.rerunCommand())
	group(groupLook, a.listCommand(), a.showCommand(), a.explainCommand(), a.logsCommand(), a.waitCommand(), a.verifyCommand())
	group(groupFiles, a.validateCommand(), a.schemaCommand())
	root.AddCommand(a.versionCommand(), a.runnerCommand())
	return root
}

// must is for mistakes in the building of the command line.
func must(err error) {
	if err != nil {
		panic("semel: " + err.Error())
	}
}

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The reference in docs is the help of the program, and cannot differ from it.
func TestDocs(t *testing.T) {
	root := newApp().root()
	root.InitDefaultCompletionCmd()
	var b strings.Builder
	b.WriteString("# Command line\n\nThis page is made from `semel COMMAND --help`; a test keeps it so.\n\n")
	b.WriteString(paragraphs(root.Long) + "\n\n")
	for _, group := range append(root.Groups(), &cobra.Group{Title: "Besides:"}) {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSuffix(group.Title, ":"))
		for _, c := range documented(root) {
			if c.GroupID == group.ID {
				fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("For all commands:\n\n" + flagTable(root.PersistentFlags()))
	for _, c := range documented(root) {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		fmt.Fprintf(&b, "```text\n%s\n```\n\n%s\n", c.UseLine(), paragraphs(c.Long))
		if c.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", unindent(c.Example))
		}
		if flags := flagTable(c.LocalNonPersistentFlags()); flags != "" {
			b.WriteString("\n" + flags)
		}
	}
	golden(t, filepath.Join("..", "..", "docs", "cli.md"), b.String())
}

// documented are the commands that people are to know of.
func documented(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		if !c.Hidden && c.Name() != "help" && c.Name() != "completion" {
			all = append(all, c)
		}
	}
	return all
}

// paragraphs turns help into Markdown: what is indented is meant as it stands.
func paragraphs(text string) string {
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, block := range blocks {
		var plain, code []string
		for line := range strings.SplitSeq(block, "\n") {
			if strings.HasPrefix(line, "  ") {
				code = append(code, strings.TrimPrefix(line, "  "))
			} else {
				plain = append(plain, escape(line))
			}
		}
		blocks[i] = strings.Join(plain, "\n")
		if len(code) > 0 {
			fence := "```text\n" + strings.Join(code, "\n") + "\n```"
			blocks[i] = strings.TrimSpace(blocks[i] + "\n\n" + fence)
		}
	}
	return strings.Join(blocks, "\n\n")
}

func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "|", `\|`).Replace(text)
}

func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

func flagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if f.Shorthand != "" {
			flag = "-" + f.Shorthand + ", " + flag
		}
		if name != "" {
			flag += " " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.DefValue != "0s" {
			usage += fmt.Sprintf(" (default: `%s`)", f.DefValue)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", flag, escape(usage))
	})
	if b.Len() == 0 {
		return ""
	}
	return "| flag | meaning |\n|---|---|\n" + b.String()
}

// Every command says what it does, how, and shows it.
func TestHelp_IsThere(t *testing.T) {
	for _, c := range documented(newApp().root()) {
		if c.Short == "" || c.Long == "" || c.Example == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q, long %d bytes, example %d bytes", c.CommandPath(), c.Short, len(c.Long), len(c.Example))
		}
		if c.GroupID == "" && c.Name() != "version" {
			t.Errorf("%s stands in no group", c.CommandPath())
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", c.CommandPath(), f.Name)
			}
		})
		for line := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
			if len(line) > 84 {
				t.Errorf("%s: a line of the help is %d wide: %s", c.CommandPath(), len(line), line)
			}
		}
	}
}

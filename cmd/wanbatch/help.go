package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// arrangeHelp gives every command a help that fits 80 columns, and the root one
// that lists the commands in the order in which they are met.
func (p *program) arrangeHelp(root *cobra.Command) {
	root.SetHelpCommand(p.helpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "a script that completes command lines in your shell"
		completion.Long = "Writes a script that completes command lines in your shell; the help of each\n" +
			"shell's command says where it goes."
		completion.Args = nil
		completion.RunE = p.verb(func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return usagef("completion knows no shell %q; see wanbatch completion --help", args[0])
			}
			return completion.Help()
		})
		for _, shell := range completion.Commands() {
			shell.Short = "the script for " + shell.Name()
		}
	}
	root.SetUsageFunc(usage)
	p.arrangeCompletion(root)
}

func (p *program) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "this page, or that of a command",
		RunE: p.verb(func(_ context.Context, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return asUsage(cmd, err)
			}
			if len(rest) > 0 {
				return usagef("%s has no command %q", cmd.CommandPath(), rest[0])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		}),
	}
}

// verbs is the order of the commands in help.
func verbs() []string {
	return []string{"init", "validate", "estimate", "run", "status", "report", "resolve", "cancel", "audit", "rehearse", "emulator", "doctor",
		"schema", "version", "completion", "help"}
}

// usage prints what stands below a command's description.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExample:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range inOrder(cmd.Commands()) {
			fmt.Fprintf(&b, "  %-11s %s\n", sub.Name(), sub.Short)
		}
		fmt.Fprintf(&b, "\n%s COMMAND --help tells more about one.\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(&b, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(80))
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

// inOrder sorts commands as verbs does; those that it does not name come last.
func inOrder(cmds []*cobra.Command) []*cobra.Command {
	var sorted, others []*cobra.Command
	byName := map[string]*cobra.Command{}
	for _, cmd := range cmds {
		byName[cmd.Name()] = cmd
	}
	for _, name := range verbs() {
		if cmd := byName[name]; cmd != nil {
			sorted = append(sorted, cmd)
			delete(byName, name)
		}
	}
	for _, cmd := range cmds {
		if byName[cmd.Name()] != nil {
			others = append(others, cmd)
		}
	}
	return append(sorted, others...)
}

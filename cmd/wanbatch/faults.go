package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// faultFlag adds --fault to a command.
func faultFlag(cmd *cobra.Command, faults *[]string) {
	cmd.Flags().StringArrayVar(faults, "fault", nil, "misbehave: `name[:5%|:n]`, always, by chance or the n-th time; \"help\" lists them")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("fault", cobra.FixedCompletions(faultNames(), cobra.ShellCompDirectiveNoFileComp)))
}

func faultNames() []string {
	var names []string
	for _, f := range emulator.FaultNames() {
		names = append(names, f.Name)
	}
	return names
}

// parseFaults reads the values of --fault.
func parseFaults(texts []string) ([]emulator.Fault, error) {
	var faults []emulator.Fault
	for _, text := range texts {
		f, err := emulator.ParseFault(text)
		if err != nil {
			name, _, _ := strings.Cut(text, ":")
			hint := "--fault help lists them"
			if near := similar(name, faultNames()); len(near) > 0 && near[0] != name {
				hint = "did you mean " + strings.Join(near, " or ") + "?"
			}
			return nil, usagef("--%v; %s", err, hint)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// asksForFaults reports whether --fault help was given.
func asksForFaults(texts []string) bool {
	return len(texts) > 0 && texts[0] == "help"
}

func (p *program) listFaults() {
	for _, f := range emulator.FaultNames() {
		p.out.line("%-23s %s", f.Name, f.About)
	}
}

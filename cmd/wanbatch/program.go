package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wanbatch/wanbatch/pipeline"
)

// program is what commands may touch of the world outside. It lives for one
// command line.
type program struct {
	stdin    io.Reader
	out, err *printer // results; everything else
	getenv   func(string) string

	entered bool // a command's own code began: errors from before it are usage errors

	quiet          bool     // problems alone are told
	heldWarnings   []string // warnings that wait until there is something to submit
	endpointNotice string   // what is to be told of an endpoint that somebody named
}

// printEndpointNotice tells once of the endpoint that somebody named.
func (p *program) printEndpointNotice() {
	if p.endpointNotice != "" {
		p.err.line("%s", p.endpointNotice)
	}
	p.endpointNotice = ""
}

// warn tells of what looks like a mistake. A quiet program says so only when it has
// work: otherwise a finished batch would complain with every run.
func (p *program) warn(text string) {
	if p.quiet {
		p.heldWarnings = append(p.heldWarnings, text)
		return
	}
	p.err.prose(text)
}

func (p *program) flushWarnings() {
	for _, text := range p.heldWarnings {
		p.err.prose(text)
	}
	p.heldWarnings = nil
}

// execute parses the command line and runs the command it names.
func (p *program) execute(ctx context.Context, args []string) error {
	root := p.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !p.entered {
		err = asUsage(cmd, err)
	}
	return errors.Join(err, p.out.failure())
}

// root is the command that all others belong to.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "wanbatch",
		Short: "batches of motion-transfer videos, paid once",
		Long: "wanbatch turns a manifest of image/video pairs into finished motion-transfer\n" +
			"videos through Alibaba Cloud Model Studio, inside the account's limits, without\n" +
			"paying twice, and leaves a report that can be billed from.\n\n" +
			"The key comes from DASHSCOPE_API_KEY, or the file that\n" +
			"DASHSCOPE_API_KEY_FILE_PATH names, or ~/.dashscope/api_key; or only from the\n" +
			"variable that the manifest's lane.api_key_env names.\n\nExit codes:\n" + strings.TrimRight(exitHelp(), "\n"),
		Example:       "  wanbatch rehearse manifests/demo.yaml",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(p.initCommand(), p.schemaCommand(), p.validateCommand(), p.estimateCommand(), p.runCommand(), p.statusCommand(), p.reportCommand(),
		p.resolveCommand(), p.cancelCommand(), p.auditCommand(), p.rehearseCommand(), p.emulatorCommand(), p.doctorCommand(), p.versionCommand())
	p.arrangeHelp(root)
	return root
}

// verb wraps a command's own code.
func (p *program) verb(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.entered = true
		return do(cmd.Context(), args)
	}
}

// printError prints an error for people. Problems of a manifest stand as they are,
// so that an editor can jump to them.
func (p *program) printError(err error) {
	if parts := joined(err); parts != nil {
		for _, part := range parts {
			p.printError(part)
		}
		return
	}
	if err == nil || errors.Is(err, errReported) {
		return
	}
	var manifest *pipeline.ManifestError
	if errors.As(err, &manifest) {
		p.err.prose(manifest.Error())
		return
	}
	p.err.prose("wanbatch: " + err.Error())
}

// usageError is a command line that does not fit. It is a [pipeline.ErrUsage].
type usageError struct{ text string }

func (e *usageError) Error() string        { return e.text }
func (e *usageError) Is(target error) bool { return target == pipeline.ErrUsage }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// asUsage turns an error of the command line's parser into ours.
func asUsage(cmd *cobra.Command, err error) error {
	if flags := flagsIn(err, `\[([^][]+)\] were all set$`); flags != nil {
		return usagef("%s do not go together; see %s --help", strings.Join(flags, " and "), cmd.CommandPath())
	}
	if flags := flagsIn(err, `^at least one of the flags in the group \[(.+)\] is required$`); flags != nil {
		return usagef("%s needs one of %s; see %s --help", cmd.Name(), strings.Join(flags, ", "), cmd.CommandPath())
	}
	text, hint, _ := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	more := ""
	if names := strings.Fields(hint); len(names) > 0 {
		more = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	if _, after, found := strings.Cut(text, "unknown command "); found {
		text = "there is no command " + strings.TrimSuffix(after, ` for "wanbatch"`)
		if more == "" {
			more = "; wanbatch help lists them"
		}
	}
	text += more
	return &usageError{text}
}

// flagsIn reads the names of flags from an error of the parser, nil if it has
// another form.
func flagsIn(err error, form string) []string {
	parts := regexp.MustCompile(form).FindStringSubmatch(err.Error())
	if parts == nil {
		return nil
	}
	var flags []string
	for _, name := range strings.Fields(parts[len(parts)-1]) {
		flags = append(flags, "--"+name)
	}
	return flags
}

// flagError says what a flag wants, or which one was meant.
func flagError(cmd *cobra.Command, err error) error {
	if wrong := (*pflag.InvalidValueError)(nil); errors.As(err, &wrong) {
		wants := map[string]string{"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0", "float64": "a number",
			"bool": "true or false", "stringSlice": "names with commas between them, like one,two", "duration": "a time like 90s or 2h"}[wrong.GetFlag().Value.Type()]
		if errors.Is(err, strconv.ErrRange) {
			wants = "a smaller number"
		}
		if wants != "" {
			return usagef("--%s wants %s, not %q; see %s --help", wrong.GetFlag().Name, wants, wrong.GetValue(), cmd.CommandPath())
		}
	}
	text := err.Error()
	if _, name, found := strings.Cut(text, "unknown flag: --"); found {
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		if near := similar(name, flags); len(near) > 0 {
			return usagef("%s; did you mean --%s?", text, strings.Join(near, " or --"))
		}
	}
	return usagef("%s; see %s --help", text, cmd.CommandPath())
}

// similar returns the names that a person may have meant.
func similar(typed string, names []string) []string {
	probe := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		probe.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	return probe.SuggestionsFor(typed)
}

// takes checks the number of arguments and names what is missing. A last name
// that ends in "..." may repeat.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		repeats := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s; see %s --help", cmd.Name(), strings.Join(names[len(args):], " and "), cmd.CommandPath())
		case len(args) > len(names) && !repeats:
			return usagef("%s does not take %q; see %s --help", cmd.Name(), args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}

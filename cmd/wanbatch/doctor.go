package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type doctorOptions struct {
	folderFlags
	prices   string
	endpoint string
	region   string
	json     bool
}

func (p *program) doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [MANIFEST]",
		Short: "what would stop a run: key, endpoint, buckets, clock, disk, limits",
		Long: "Looks at everything that a run needs, and prints one line for each thing: ok,\n" +
			"warning, problem or skipped, what was found, and what to do. Spends nothing: its\n" +
			"one call asks for a task that does not exist. Writes only a small folder where\n" +
			"the batch would lie and a small file into each bucket of the manifest, and\n" +
			"removes them. Without MANIFEST the key and the endpoint are checked if --region\n" +
			"is given.\n\n" +
			"Exits 0 if nothing would stop a run, and otherwise as that run would: 2 for a\n" +
			"manifest, a setting or a missing key, 7 if another run is in the way, 6 if the\n" +
			"key, the account or a bucket is refused, 1 for network, disk and locks.",
		Example: "  wanbatch doctor spring.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.doctor(ctx, args, o)
		}),
	}
	o.flags(cmd)
	pricesFlag(cmd, &o.prices)
	cmd.Flags().StringVar(&o.endpoint, "endpoint", "", "send the call to `url` instead of the region's own host")
	cmd.Flags().StringVar(&o.region, "region", "", "beijing or singapore, without a manifest: whose `host` to ask")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the checks as one JSON document")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("region", cobra.FixedCompletions([]string{"beijing", "singapore"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (p *program) doctor(ctx context.Context, args []string, o doctorOptions) error {
	if o.region != "" && (len(args) > 0 || o.region != "beijing" && o.region != "singapore") {
		return usagef("--region is beijing or singapore, and only without a manifest")
	}
	plan, checks, err := p.subject(ctx, args, o)
	if err != nil {
		return err
	}
	cfg := pipeline.Config{Output: o.output, State: p.stateFolder(), Proxy: http.ProxyFromEnvironment, StoreKeys: p.storeKeys()}
	key, found := p.keyCheck(plan.Manifest.Lane)
	base, bad := p.endpointCheck(o.endpoint, plan.Manifest.Lane)
	cfg.APIKey, cfg.Endpoint = key, base
	checks = append(append(checks, found), bad...)
	if bad != nil {
		plan.Manifest.Lane.Region = "" // there is nowhere to ask
	}
	for _, c := range pipeline.Examine(ctx, plan, cfg) {
		if bad == nil || c.Name != "endpoint" { // it was judged already
			checks = append(checks, c)
		}
	}
	checks = append(checks, p.terminalCheck())
	return p.printChecks(checks, o.json)
}

// subject is the plan to look at. A manifest that is not good is a finding, not the
// end of looking.
func (p *program) subject(ctx context.Context, args []string, o doctorOptions) (*pipeline.Plan, []pipeline.Check, error) {
	m := pipeline.NewManifest()
	m.Lane.Region = o.region
	if len(args) == 0 {
		return &pipeline.Plan{Manifest: *m}, nil, nil
	}
	plan, err := p.examined(ctx, args[0], o)
	if err == nil {
		what := fmt.Sprintf("%s: %s", args[0], count(plan.Len(), "job"))
		return plan, []pipeline.Check{{Name: "manifest", Level: pipeline.LevelOK, Message: what}}, nil
	}
	var bad *pipeline.ManifestError
	if !errors.As(err, &bad) {
		return nil, nil, err
	}
	c := pipeline.Check{Name: "manifest", Level: pipeline.LevelProblem, Err: err,
		Message: bad.Error(), Hint: "correct it; wanbatch validate " + args[0] + " shows this list alone"}
	// What can be looked at without it still is.
	return &pipeline.Plan{Manifest: *m}, []pipeline.Check{c}, nil
}

// examined plans a manifest without leaving a trace.
func (p *program) examined(ctx context.Context, arg string, o doctorOptions) (*pipeline.Plan, error) {
	prices, err := pricesFrom(o.prices)
	if err != nil {
		return nil, err
	}
	m, err := p.manifest(arg, o.folderFlags)
	if err != nil {
		return nil, err
	}
	return p.planOf(ctx, m, arg, pipeline.PlanOptions{Prices: prices})
}

// endpointCheck is where a run would send its calls if not to the region's own host.
// Only what is wrong with it is a check here: the rest needs a call.
func (p *program) endpointCheck(flag string, lane pipeline.Lane) (string, []pipeline.Check) {
	base, err := p.endpoint(flag, lane)
	if err != nil {
		return "", []pipeline.Check{{Name: "endpoint", Level: pipeline.LevelProblem, Message: err.Error(), Hint: "correct it", Err: err}}
	}
	return base, nil
}

// keyCheck finds the key as run does, and tells where it was.
func (p *program) keyCheck(lane pipeline.Lane) (pipeline.Key, pipeline.Check) {
	key, err := p.apiKey(lane)
	if err != nil {
		return "", pipeline.Check{Name: "key", Level: pipeline.LevelProblem, Message: err.Error(),
			Hint: "make one in the provider's console, for the region of the manifest", Err: err}
	}
	source, file := p.keySource(lane)
	c := pipeline.Check{Name: "key", Level: pipeline.LevelOK, Message: "from " + source}
	switch {
	case strings.HasPrefix(string(key), "sk-sp-"):
		c.Level, c.Hint = pipeline.LevelWarning, "a key of a subscription plan (sk-sp-) does not work for these models; take an ordinary one"
	case strings.HasPrefix(string(key), "st-"):
		c.Level, c.Hint = pipeline.LevelWarning, "a short-lived key (st-) ends within 30 minutes, a batch does not; take an ordinary one"
	case !strings.HasPrefix(string(key), "sk-"):
		c.Level, c.Hint = pipeline.LevelWarning, "keys of this provider begin with sk-; make sure that it is one"
	case file != "" && readableByOthers(file):
		c.Level, c.Hint = pipeline.LevelWarning, "others on this machine can read that file: chmod 600 "+file
	}
	return key, c
}

// keySource names where apiKey found the key, and the file if it was one.
func (p *program) keySource(lane pipeline.Lane) (source, file string) {
	switch {
	case lane.APIKeyEnv != "":
		return lane.APIKeyEnv + ", named by the manifest", ""
	case strings.TrimSpace(p.getenv(keyVariable)) != "":
		return keyVariable, ""
	case p.getenv(keyFileVariable) != "":
		return p.getenv(keyFileVariable) + ", named by " + keyFileVariable, p.getenv(keyFileVariable)
	}
	return p.homeKey(), p.homeKey()
}

func readableByOthers(file string) bool {
	info, err := os.Stat(file)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}

// terminalCheck tells how a run started like this one would behave.
func (p *program) terminalCheck() pipeline.Check {
	c := pipeline.Check{Name: "terminal", Level: pipeline.LevelOK}
	switch {
	case p.onCI():
		c.Message = "CI is set: a run prints plain lines and needs --yes or --plan"
	case terminal(p.stdin) == nil || terminal(p.err.w) == nil:
		c.Message = "none: a run prints plain lines and needs --yes or --plan"
	case p.dumb():
		c.Message = "a plain one (TERM=dumb): a run asks, and prints plain lines"
	default:
		c.Message = "a run asks, and shows its progress"
	}
	return c
}

// diagnosis is version 1 of what doctor --json prints.
type diagnosis struct {
	Version int              `json:"version"`
	Checks  []pipeline.Check `json:"checks"`
	Exit    int              `json:"exit_code"`
}

// printChecks prints the checks and ends as the run would.
func (p *program) printChecks(checks []pipeline.Check, asJSON bool) error {
	var errs []error
	problems, warnings := 0, 0
	for _, c := range checks {
		switch c.Level {
		case pipeline.LevelProblem:
			problems++
			errs = append(errs, &reportedError{c.Err})
		case pipeline.LevelWarning:
			warnings++
		}
	}
	err := errors.Join(errs...)
	if asJSON {
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		return errors.Join(err, enc.Encode(diagnosis{1, checks, exitCode(err)}))
	}
	for _, c := range checks {
		p.out.check(c)
	}
	p.out.line("")
	switch {
	case problems > 0:
		p.out.line("%s would stop a run, %s", count(problems, "problem"), count(warnings, "warning"))
	case warnings > 0:
		p.out.line("nothing would stop a run, %s", count(warnings, "warning"))
	default:
		p.out.line("nothing would stop a run")
	}
	return err
}

// reportedError is an error that was printed as a check.
type reportedError struct{ err error }

func (t *reportedError) Error() string { return t.err.Error() }
func (t *reportedError) Is(target error) bool {
	return target == errReported || errors.Is(t.err, target)
}
func (t *reportedError) As(target any) bool { return errors.As(t.err, target) }

// check prints one check: its level and name, then what was found and what to do,
// broken to fit 80 columns.
func (p *printer) check(c pipeline.Check) {
	const indent = 20
	label := fmt.Sprintf("%-8s %-10s", c.Level, c.Name)
	texts := strings.Split(strings.TrimRight(c.Message, "\n"), "\n")
	if c.Hint != "" {
		texts = append(texts, "-> "+c.Hint)
	}
	for _, text := range texts {
		for _, line := range wrapped(text, 80-indent) {
			p.line("%s", strings.TrimRight(fmt.Sprintf("%-*s%s", indent, label, line), " "))
			label = ""
		}
	}
}

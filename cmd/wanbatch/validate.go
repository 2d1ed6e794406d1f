package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (p *program) validateCommand() *cobra.Command {
	var where folderFlags
	cmd := &cobra.Command{
		Use:   "validate MANIFEST...",
		Short: "check manifests and media; spends nothing, needs no key",
		Long: "Reads manifests (- for standard input) and every local file they name, and\n" +
			"reports all problems at once, as file:line:column: message. Of remote files a\n" +
			"few hundred KB are read, for 10 s at most; the provider is not called.\n\n" +
			"Exits 0 if all are good, 2 if one is not.",
		Example: "  wanbatch validate manifests/*.yaml",
		Args:    takes("MANIFEST..."),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.validate(ctx, args, where)
		}),
	}
	where.nameFlag(cmd)
	return cmd
}

func (p *program) validate(ctx context.Context, manifests []string, where folderFlags) error {
	var errs []error
	for _, arg := range manifests {
		plan, err := p.plan(ctx, arg, where, nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e := plan.Estimate()
		p.out.line("ok: %s, %s s of video, %s %s at list price (%s)",
			count(e.Jobs, "job"), span(e.Seconds), span(e.Money), e.Currency, arg)
	}
	return errors.Join(errs...)
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the manifest's JSON schema, for editors",
		Long: "Prints the JSON schema (draft-07) of a manifest, with which an editor completes\n" +
			"keys, shows what they mean and marks mistakes. An editor with the YAML language\n" +
			"server finds it by a comment at the top of a manifest:\n\n" +
			"  # yaml-language-server: $schema=wanbatch.schema.json\n\n" +
			"validate finds more than a schema can say: ids and files that meet, media.\n\n" +
			"Exits 0.",
		Example: "  wanbatch schema > wanbatch.schema.json",
		Args:    takes(),
		RunE: p.verb(func(context.Context, []string) error {
			_, err := p.out.Write(pipeline.ManifestSchema())
			return err
		}),
	}
}

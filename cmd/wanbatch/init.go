package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type initOptions struct {
	name   string
	region string
	output string
	force  bool
}

func (p *program) initCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init IMAGES VIDEOS | init CSV",
		Short: "write a commented manifest for two folders or a table",
		Long: "Writes a manifest that pairs every image with every video of two folders\n" +
			"(patterns and files will do), or one for a table of pairs: a CSV file with the\n" +
			"columns id, image, video, mode, label:NAME, or one JSON object per line. It is\n" +
			"printed, for a file in this folder, or written to -o FILE; paths in it are\n" +
			"relative to that file. Everything it names is checked first.\n\n" +
			"Exits 0, or 2 if the media or the table are not good; then it writes nothing.",
		Example: "  wanbatch init characters dances -o spring.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return takes("IMAGES", "VIDEOS")(cmd, args)
		},
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.init(ctx, args, o)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write the manifest to `file` instead of printing it")
	f.BoolVar(&o.force, "force", false, "replace the file if there is one")
	f.StringVar(&o.name, "name", "", "`name` of the batch (default: the file's, or \"batch\")")
	f.StringVar(&o.region, "region", "singapore", "`region` that the key belongs to: singapore or beijing")
	return cmd
}

func (p *program) init(ctx context.Context, args []string, o initOptions) error {
	if err := o.check(args); err != nil {
		return err
	}
	text, err := o.manifest(args)
	if err != nil {
		return err
	}
	// Read as if it stood in its file already: what is written is known to be good.
	name := cmp.Or(o.output, "batch.yaml")
	m, err := pipeline.ReadManifest(bytes.NewReader(text), name)
	if err != nil {
		return err
	}
	plan, err := p.planOf(ctx, m, name, pipeline.PlanOptions{})
	if err != nil {
		return err
	}
	if err := p.tellSkipped(args, plan); err != nil {
		return err
	}
	if o.output == "" {
		_, err := p.out.Write(text)
		return err
	}
	if err := o.write(text); err != nil {
		return err
	}
	p.err.line("%s: %s, %s %s at list price; next: %s", o.output,
		count(plan.Len(), "job"), span(plan.Estimate().Money), plan.Currency, pipeline.CommandLine("rehearse", []string{o.output}))
	return nil
}

// tellSkipped names what lies in the folders given and is in no pair: a file that
// nobody can use, or whose extension nobody knows, would otherwise be missed late.
func (p *program) tellSkipped(folders []string, plan *pipeline.Plan) error {
	used := map[string]bool{}
	for job, err := range plan.Jobs() {
		if err != nil {
			return err
		}
		used[absolute(job.Image)], used[absolute(job.Video)] = true, true
	}
	for i, folder := range folders {
		if !isFolder(folder) || slices.Contains(folders[:i], folder) {
			continue
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		var skipped []string
		for _, entry := range entries {
			switch path := filepath.Join(folder, entry.Name()); {
			case entry.Name()[0] == '.' || used[absolute(path)]:
			case isFolder(path):
				skipped = append(skipped, entry.Name()+"/")
			default:
				skipped = append(skipped, entry.Name())
			}
		}
		if n := len(skipped); n > 0 {
			text := strings.Join(skipped[:min(n, shownSkipped)], ", ")
			if n > shownSkipped {
				text += fmt.Sprintf(" and %d more", n-shownSkipped)
			}
			kind := []string{"image", "video"}[i]
			if i == 0 && slices.Contains(folders[1:], folder) {
				kind = "image or video"
			}
			p.err.prose(fmt.Sprintf("%s: %d skipped, no %s by name: %s", folder, n, kind, text))
		}
	}
	return nil
}

// shownSkipped is how many files are named that init skips.
const shownSkipped = 5

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path // unreachable where there is a working folder
}

// check refuses arguments that can't be meant.
func (o *initOptions) check(args []string) error {
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil && !strings.ContainsAny(arg, "*?["):
			return usagef("there is no folder or file %s", arg)
		case err == nil && len(args) == 1 && info.IsDir():
			return usagef("%s is a folder; give a folder of images and one of videos, or a CSV file", arg)
		}
	}
	return nil
}

// write makes the file. It replaces one only with --force.
func (o *initOptions) write(text []byte) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(o.output, flags, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s exists; --force replaces it", o.output)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// manifest is the text of a manifest for two lists of media, or for a table.
func (o *initOptions) manifest(args []string) ([]byte, error) {
	fields := struct{ Name, Region, Images, Videos, Table string }{Region: quoted(o.region)}
	fields.Name = quoted(cmp.Or(o.name, nameOf(o.output), "batch"))
	var paths []string
	for _, arg := range args {
		path, err := o.relative(arg)
		if err != nil {
			return nil, err
		}
		paths = append(paths, quoted(path))
	}
	if len(paths) == 1 {
		fields.Table = paths[0]
	} else {
		fields.Images, fields.Videos = paths[0], paths[1]
	}
	var b bytes.Buffer
	err := template.Must(template.New("").Parse(initTemplate)).Execute(&b, fields)
	return b.Bytes(), err
}

// relative is a path as the manifest's file will see it, a folder with a slash at
// its end.
func (o *initOptions) relative(path string) (string, error) {
	info, err := os.Stat(path)
	folder := err == nil && info.IsDir()
	if dir := filepath.Dir(o.output); dir != "." && !filepath.IsAbs(path) {
		from, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		to, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if path, err = filepath.Rel(from, to); err != nil {
			return "", err
		}
	}
	if path = filepath.ToSlash(filepath.Clean(path)); folder {
		path = strings.TrimSuffix(path, "/") + "/"
	}
	return path, nil
}

// nameOf is a file's name without its extension, fit for a batch; "" if there is
// none.
func nameOf(file string) string {
	if file == "" {
		return ""
	}
	base := filepath.Base(file)
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, strings.TrimSuffix(base, filepath.Ext(base)))
}

// quoted writes text as YAML: as it is where that cannot be misread, else in
// quotes as JSON has them.
func quoted(text string) string {
	plain := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*[/.][A-Za-z0-9_./-]*$|^[a-z]{5,}(-[a-z0-9]+)*$`)
	if plain.MatchString(text) && text != "false" {
		return text
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // & and < are no matter in YAML
	if err := enc.Encode(text); err != nil {
		return fmt.Sprintf("%q", text) // unreachable: text always encodes
	}
	return strings.TrimSpace(b.String())
}

// initTemplate is what init writes: few lines that count, and comments that show
// what else there is.
const initTemplate = `# A batch of motion-transfer videos. wanbatch validate checks it, rehearse tries it for
# free, estimate tells its price, run pays for it. For completion in an editor, run
# wanbatch schema > wanbatch.schema.json, and begin this file with the line
# "# yaml-language-server: $schema=wanbatch.schema.json".

version: 1

# Names the output folder. Keep it to continue a batch, change it to start another.
name: {{.Name}}

# Where the key is from: singapore (USD) or beijing (CNY).
lane: {region: {{.Region}}}
{{if .Table}}
# One pair per line: id,image,video,mode,label:client (only image and video are needed), or
# one JSON object per line with the same keys. Paths are relative to this file.
pairs_from: {{.Table}}
{{else}}
# Every image with every video; ids are <image name>--<video name>. Folders or patterns,
# relative to this file. What is added to a folder later is added to the batch.
matrix:
  images: [{{.Images}}]
  videos: [{{.Videos}}]
{{end}}
# mode: wan-pro                     # smoother and dearer than wan-std
# labels: {client: acme}            # the report adds up by label
# budget: {max_cost: "50.00"}       # never spend more over the batch's whole life
# output: {file: "{image}/{video}.mp4"}
# pairs:                            # single pairs, before all others
#   - {id: hero, image: alice.png, video: salsa.mp4, mode: wan-pro}
`

package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/pricing"
)

// PlanOptions adjusts [NewPlan]. The zero value is ready to use.
type PlanOptions struct {
	// Readers is the number of media files read at once. Defaults to one per CPU,
	// at most 8.
	Readers int
}

// Job is a pair with all settings resolved: what would be sent, what it is
// likely to cost, what is reserved for it, and where its video goes.
type Job struct {
	ID        string              // the pair's, unique ignoring case
	Key       string              // content key, 64 hex digits: equal keys are the same work
	Image     string              // what to send: a path, joined with the manifest's folder, or a URL, whose query is a secret
	Video     string              // likewise
	ImageName string              // what may be shown, logged and stored: as in the manifest, URLs without query and fragment
	VideoName string              // likewise
	Mode      Mode                // never ""
	Labels    map[string]string   // the manifest's, overridden by the pair's; nil when there are none
	Length    decimal.NullDecimal // seconds of the driving video; not valid when unknown
	UnitPrice decimal.Decimal     // list price per second of output, in the plan's currency
	Estimated Range               // money; unit price times length, or times 2 to 30 s when that is unknown
	Hold      decimal.Decimal     // money reserved until the outcome is known; see the package's promise about the cap
	File      string              // the video's path below videos/, with forward slashes
}

// Range is an amount between two bounds, both included; equal when it is known
// exactly.
type Range struct {
	Low  decimal.Decimal `json:"low"`
	High decimal.Decimal `json:"high"`
}

// Exact returns the amount if it is known exactly.
func (r Range) Exact() decimal.NullDecimal {
	return decimal.NullDecimal{Decimal: r.Low, Valid: r.Low.Equal(r.High)}
}

func (r Range) plus(other Range) Range {
	return Range{Low: r.Low.Add(other.Low), High: r.High.Add(other.High)}
}

// Plan is what a run would do and what that would cost. It never changes after
// [NewPlan] and is safe for concurrent use.
type Plan struct {
	Manifest Manifest // what was planned, every default filled in; not to be changed
	Currency string   // of all money in the plan: CNY or USD

	prices   pricing.Edition
	jobs     []Job
	warnings warnings
}

// NewPlan resolves a manifest into jobs: it reads every local file once, measures
// and checks it, and prices what would be sent. It spends nothing, needs no key
// and uses no network; a remote file is taken as it is, its length unknown. The
// manifest is not changed, nor retained.
//
// Everything that would stop the provider from accepting a job is reported at
// once, in a [*ManifestError]. Other errors are the context's.
func NewPlan(ctx context.Context, m *Manifest, opts PlanOptions) (*Plan, error) {
	p := &Plan{Manifest: m.clone(), prices: pricing.Table(), warnings: warnings{}}
	p.Manifest.complete()

	found := &problems{file: p.Manifest.messageName()}
	p.Manifest.check(found)
	if p.Manifest.Name == "" {
		found.add(position{}, "the batch's output folder is named after it", "name is missing")
	}
	files := newFileSet(&p.Manifest)
	for i := range p.Manifest.Pairs {
		files.add(&p.Manifest.Pairs[i])
	}
	if err := files.inspect(ctx, opts); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	files.report(found, p.warnings)
	if err := found.err(); err != nil {
		return nil, err
	}

	for i := range p.Manifest.Pairs {
		job, err := p.job(p.Manifest.Pairs[i], files)
		if err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		p.jobs = append(p.jobs, job)
	}
	p.warn()
	return p, nil
}

// warn gathers what is odd about the plan.
func (p *Plan) warn() {
	seen := map[string]string{}
	unknown := 0
	for i := range p.jobs {
		j := &p.jobs[i]
		if first, twice := seen[j.Key]; twice {
			p.warnings.add("repeated", fmt.Sprintf("%s is the same work as %s and would be paid again", j.ID, first))
		} else {
			seen[j.Key] = j.ID
		}
		if !j.Length.Valid {
			unknown++
		}
		p.warnJob(j)
	}
	p.warnWhole(unknown)
}

// job resolves one pair. Its files have been inspected and found good.
func (p *Plan) job(pair Pair, files *fileSet) (Job, error) {
	m := &p.Manifest
	mode := cmp.Or(pair.Mode, m.Mode)
	price, err := pricing.Lookup(m.Lane.Region, m.Model, string(mode))
	if err != nil {
		return Job{}, fmt.Errorf("job %s: %w", pair.ID, err)
	}
	p.Currency = price.Currency
	length := files.of(pair.Video).length
	return Job{
		ID:        pair.ID,
		Key:       contentKey(m, mode, files.identity(pair.Image), files.identity(pair.Video)),
		Image:     m.resolve(pair.Image),
		Video:     m.resolve(pair.Video),
		ImageName: withoutQuery(pair.Image),
		VideoName: withoutQuery(pair.Video),
		Mode:      mode,
		Labels:    mergeLabels(m.Labels, pair.Labels),
		Length:    length,
		UnitPrice: price.Unit,
		Estimated: money(price.Unit, secondsOf(length)),
		Hold:      pricing.Hold(price.Unit, length),
		File:      expand(m.Output.File, pair, mode),
	}, nil
}

// secondsOf returns the seconds of output to expect: the driving video's length,
// or all that the provider accepts.
func secondsOf(length decimal.NullDecimal) Range {
	if length.Valid {
		return Range{Low: length.Decimal, High: length.Decimal}
	}
	return Range{Low: decimal.NewFromInt(shortestSeconds), High: decimal.NewFromInt(pricing.LongestSeconds)}
}

func money(unit decimal.Decimal, seconds Range) Range {
	return Range{Low: unit.Mul(seconds.Low), High: unit.Mul(seconds.High)}
}

// Jobs yields the jobs in manifest order. The error is nil as long as plans are
// held in memory; a caller checks it all the same and stops at the first.
func (p *Plan) Jobs() iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		for _, j := range p.jobs {
			j.Labels = maps.Clone(j.Labels)
			if !yield(j, nil) {
				return
			}
		}
	}
}

// Len returns the number of jobs.
func (p *Plan) Len() int { return len(p.jobs) }

// clone returns a copy that shares nothing that can be changed.
func (m *Manifest) clone() Manifest {
	c := *m
	c.Labels = maps.Clone(m.Labels)
	c.Pairs = slices.Clone(m.Pairs)
	for i := range c.Pairs {
		c.Pairs[i].Labels = maps.Clone(c.Pairs[i].Labels)
	}
	return c
}

// messageName is how problems name the manifest's file.
func (m *Manifest) messageName() string {
	if m.File == StdinName {
		return "stdin"
	}
	return m.File
}

// resolve returns the path or URL under which a medium is read.
func (m *Manifest) resolve(media string) string {
	switch {
	case isRemote(media):
		return media
	case filepath.IsAbs(media):
		return filepath.Clean(media)
	}
	return filepath.Join(m.Dir, media)
}

func mergeLabels(batch, pair map[string]string) map[string]string {
	if len(batch)+len(pair) == 0 {
		return nil
	}
	merged := maps.Clone(batch)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, pair)
	return merged
}

// contentKey returns the identity of a job's work: whatever changes the video
// that comes back, and nothing else. The journal holds these keys, so what goes
// into them can never change.
func contentKey(m *Manifest, mode Mode, image, video string) string {
	text, err := json.Marshal([]any{"wanbatch job 1", m.Model, mode, m.Watermark, m.CheckImage, image, video})
	if err != nil {
		panic("pipeline: content key: " + err.Error()) // unreachable: strings and booleans always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// withoutSignature drops the parameters of a URL that change each time it is
// signed, and its fragment, so that the same object keeps its identity. The rest
// of the query keeps its order and spelling.
func withoutSignature(media string) string {
	base, _, _ := strings.Cut(media, "#")
	base, query, found := strings.Cut(base, "?")
	if !found {
		return base
	}
	kept := slices.DeleteFunc(strings.Split(query, "&"), isSignature)
	if len(kept) == 0 {
		return base
	}
	return base + "?" + strings.Join(kept, "&")
}

func isSignature(parameter string) bool {
	name, _, _ := strings.Cut(parameter, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.ToLower(name)
	switch name {
	case "", "ossaccesskeyid", "expires", "signature":
		return true
	}
	return strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-oss-")
}

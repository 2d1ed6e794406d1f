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
	// Remote, if not nil, lets NewPlan look into files behind http(s) URLs. Nil
	// means no network: their lengths are unknown.
	Remote *Remote
	// Cache is the path of a file that remembers what local files hold, by path,
	// size and time of change, so that the next plan need not read them again. It
	// is written if its folder exists, and ignored when it is damaged; "" means
	// none.
	Cache string
	// Prices replaces the built-in price table; nil means that.
	Prices *Prices
}

// Job is a pair with all settings resolved: what would be sent, what it is
// likely to cost, what is reserved for it, and where its video goes.
type Job struct {
	ID         string              // the pair's, unique ignoring case
	ContentKey string              // content key, 64 hex digits: equal keys are the same work
	Image      string              // what to send: a path, joined with the manifest's folder, or a URL, whose query is a secret
	Video      string              // likewise
	ImageName  string              // what may be shown, logged and stored: as in the manifest, URLs without query and fragment
	VideoName  string              // likewise
	Mode       Mode                // never ""
	Labels     map[string]string   // the manifest's, overridden by the pair's; nil when there are none
	Length     decimal.NullDecimal // seconds of the driving video; not valid when unknown
	UnitPrice  decimal.Decimal     // list price per second of output, in the plan's currency
	Estimated  Range               // money; unit price times length, or times 2 to 30 s when that is unknown
	Hold       decimal.Decimal     // money reserved until the outcome is known; see the package's promise about the cap
	File       string              // the video's path below videos/, with forward slashes

	ReusedFrom  string // the work of another batch that is taken instead, "" if none; see [Plan.Under]
	ImageSHA256 string // of a local file's bytes, hex; "" for a URL. A run uploads local files
	VideoSHA256 string // likewise
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
// [NewPlan] and is safe for concurrent use. It does not hold its jobs: they are
// resolved as they are asked for, so that a plan of a million rows stays small.
type Plan struct {
	Manifest Manifest // what was planned, every default filled in; not to be changed
	Currency string   // of all money in the plan: CNY or USD

	prices   pricing.List
	units    map[Mode]decimal.Decimal // list price per second of output
	pairs    *listing
	files    *fileSet
	keep     func(*Job) bool // of the pairs' jobs; nil keeps all
	work     workload
	warnings warnings
	runTerms runTerms
	reuse    reusables
	bound    bool // to a configuration, by [Plan.Under]
}

// NewPlan resolves a manifest into jobs: it expands its matrix, reads the file of
// pairs_from and every local medium once, measures and checks them, and prices what would
// be sent. It spends nothing and needs no key. A remote file is looked into if
// [PlanOptions] say so, and otherwise taken as it is, its length unknown. The
// manifest is not changed, nor retained.
//
// Everything that would stop the provider from accepting a job is reported at
// once, in a [*ManifestError]. A manifest that has problems already costs no more
// than the headers of its local media. Other errors are the context's, or say that the
// file of pairs_from can't be read.
func NewPlan(ctx context.Context, m *Manifest, opts PlanOptions) (*Plan, error) {
	p := &Plan{Manifest: m.clone(), prices: pricing.BuiltIn(), warnings: warnings{}}
	p.Manifest.complete()
	p.files = newFileSet(&p.Manifest, opts)
	if opts.Prices != nil {
		p.prices = opts.Prices.list
	}

	found := problemsOf(&p.Manifest)
	p.Manifest.check(found)
	if p.Manifest.Name == "" {
		found.add(position{}, "the batch's output folder is named after it", "name is missing")
	}
	p.pairs = p.Manifest.list(found)
	if err := p.pairs.check(ctx, found, p.files); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p.files.doomed = len(found.list) > 0
	if err := p.files.inspect(ctx, opts); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p.files.report(found, p.warnings)
	if err := found.err(); err != nil {
		return nil, err
	}

	if err := p.price(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := p.survey(ctx); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

// survey goes through all jobs once, to sum them up and to look for what is odd.
func (p *Plan) survey(ctx context.Context) error {
	keys := newTally()
	p.work = newWorkload()
	n := 0
	for j, err := range p.Jobs() {
		if err == nil && n%1024 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		n++
		p.work.add(&j)
		keys.add(j.ContentKey)
		p.warnJob(&j)
	}
	if keys := keys.repeated(); !keys.none() {
		if err := p.warnRepeated(keys); err != nil {
			return err
		}
	}
	p.warnWhole(p.work.unknown)
	return nil
}

// warnRepeated tells of jobs that are the same work, given the keys that several
// have: of the first such job by name, of the others by their number.
func (p *Plan) warnRepeated(keys *duplicates) error {
	names := map[pairRef]string{} // of jobs that may turn out to be repeated
	n := int32(0)
	for j, err := range p.Jobs() {
		if err != nil {
			return err
		}
		n++
		first, twice := keys.claim(j.ContentKey, pairRef{index: n})
		if twice {
			text := fmt.Sprintf("%s is the same work as %s and would be paid again", j.ID, cmp.Or(names[first], "an earlier job"))
			p.warnings["repeated"] = &warning{first: text, count: keys.more}
			return nil
		}
		if len(names) < maxProblems && keys.has(j.ContentKey) {
			names[pairRef{index: n}] = j.ID
		}
	}
	return nil
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

// Jobs yields the jobs in manifest order: explicit pairs, the matrix, then the
// rows of pairs_from, which are read from their file each time. An error says that
// they can't be read, or are no longer what was planned; it is the last thing
// yielded, and no job that came before it may be trusted.
func (p *Plan) Jobs() iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		if p.pairs == nil {
			return
		}
		for pair, err := range p.pairs.each(&problems{}) {
			if err == nil && !p.inspected(pair) {
				err = p.pairs.rows.changed()
			}
			if err != nil {
				yield(Job{}, err)
				return
			}
			if j := p.job(pair); p.keep == nil || p.keep(&j) {
				if !yield(j, nil) {
					return
				}
			}
		}
	}
}

// inspected reports whether a pair has media that were looked at. One that was
// read from a file may not, if that changed meanwhile.
func (p *Plan) inspected(pair *Pair) bool {
	for _, key := range []mediumKey{{p.Manifest.resolve(pair.Image), false}, {p.Manifest.resolve(pair.Video), true}} {
		if _, known := p.files.byKey[key]; !known && !isRemote(key.place) && pair.from == fromRows {
			return false
		}
	}
	return true
}

// job resolves one pair. Its files have been inspected and found good.
func (p *Plan) job(pair *Pair) Job {
	m := &p.Manifest
	mode := cmp.Or(pair.Mode, m.Mode)
	unit, length := p.units[mode], p.files.of(pair.Video).length
	key := contentKey(m, mode, p.files.identity(pair.Image), p.files.identity(pair.Video))
	return Job{
		ID:         pair.ID,
		ContentKey: key,
		Image:      m.resolve(pair.Image),
		Video:      m.resolve(pair.Video),
		ImageName:  withoutQuery(pair.Image),
		VideoName:  withoutQuery(pair.Video),
		Mode:       mode,
		Labels:     mergeLabels(m.Labels, pair.Labels),
		Length:     length,
		UnitPrice:  unit,
		Estimated:  money(unit, secondsOf(length)),
		Hold:       pricing.Hold(unit, length),
		File:       expand(m.Output.File, pair, mode),

		ReusedFrom:  p.reuse[key].origin,
		ImageSHA256: p.files.digest(pair.Image),
		VideoSHA256: p.files.digest(pair.Video),
	}
}

// Len returns the number of jobs.
func (p *Plan) Len() int { return p.work.jobs() }

// Part returns the plan of those jobs alone that keep wants, with an estimate of
// their own; all else is shared, warnings too. The error is that of [Plan.Jobs].
func (p *Plan) Part(keep func(Job) bool) (*Plan, error) {
	part := *p
	part.keep = func(j *Job) bool { return (p.keep == nil || p.keep(j)) && keep(*j) }
	part.work = newWorkload()
	for j, err := range part.Jobs() {
		if err != nil {
			return nil, err
		}
		part.work.add(&j)
	}
	return &part, nil
}

// clone returns a copy that shares nothing that can be changed.
func (m *Manifest) clone() Manifest {
	c := *m
	c.Labels = maps.Clone(m.Labels)
	c.Matrix.Images, c.Matrix.Videos = slices.Clone(m.Matrix.Images), slices.Clone(m.Matrix.Videos)
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

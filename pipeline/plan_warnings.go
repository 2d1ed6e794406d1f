package pipeline

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// warnings gathers what a person should know before paying. Of many alike the
// first is shown, with the number of the others.
type warnings map[string]*warning

type warning struct {
	first string
	count int
}

func (w warnings) add(kind, text string) {
	if w[kind] == nil {
		w[kind] = &warning{first: text}
	}
	w[kind].count++
}

// Warnings returns one sentence for each thing that is allowed but looks like a
// mistake, sorted; none when there is nothing to say. Kinds of which there are
// many are summed up in one sentence.
func (p *Plan) Warnings() []string {
	var sentences []string
	for _, kind := range slices.Sorted(maps.Keys(p.warnings)) {
		w := p.warnings[kind]
		text := w.first
		if w.count > 1 {
			text += fmt.Sprintf(" (and %d more like this)", w.count-1)
		}
		sentences = append(sentences, text)
	}
	return sentences
}

// warnJob looks for what is odd about one job by itself.
func (p *Plan) warnJob(j *Job) {
	p.warnExtension(j.ID, j.Image, imageExtensions())
	p.warnExtension(j.ID, j.Video, videoExtensions())
	p.warnURL(j.ID, j.Image)
	p.warnURL(j.ID, j.Video)
	if text := p.files.proportions(j); text != "" {
		p.warnings.add("proportions", text)
	}
}

// warnWhole looks for what is odd about the whole plan, of whose jobs so many have
// no known length.
func (p *Plan) warnWhole(unknown int) {
	if unknown > 0 {
		p.warnings.add("unknown", fmt.Sprintf("the length of %d of %d videos is not known; 2 to 30 s are estimated and 30 s reserved for each",
			unknown, p.Len()))
	}
	if lane := p.Manifest.Lane; lane.Workspace != "" && lane.Endpoint != "" {
		p.warnings.add("workspace", "lane.workspace "+lane.Workspace+" only chooses the region's own host; beside lane.endpoint it has no effect")
	}
	p.warnBudget()
	p.warnLimits()
}

// warnExtension speaks about URLs whose path does not end like a medium: the
// provider was seen to take such a file for an unsupported type.
func (p *Plan) warnExtension(id, media string, extensions []string) {
	ext := "." + formatOf(mediaPath(media))
	if ext == ".jpeg" {
		ext = ".jpg"
	}
	if isRemote(media) && !slices.Contains(extensions, ext) {
		p.warnings.add("extension", fmt.Sprintf("%s: the path of %s does not end in %s; the provider may refuse it",
			id, shown(withoutQuery(media)), strings.Join(extensions, ", ")))
	}
}

// warnURL speaks about URLs that parse, yet are likely to fail when the provider
// fetches them: it asks for everything but plain ASCII to be percent-encoded, and
// fetches over the public network, where hosts of a region's own network fail.
func (p *Plan) warnURL(id, media string) {
	u, err := url.Parse(media)
	if err != nil || !isRemote(media) {
		return
	}
	name := shown(withoutQuery(media))
	if strings.ContainsAny(media, "\"<>\\^`{|}") {
		p.warnings.add("url.encoding", fmt.Sprintf("%s: %s holds characters that should be percent-encoded", id, name))
	}
	decoded := strings.ToLower(u.Path)
	if strings.Contains(decoded, "%20") || strings.Contains(decoded, "%25") || strings.Contains(decoded, "%2f") {
		p.warnings.add("url.twice", fmt.Sprintf("%s: %s looks percent-encoded twice", id, name))
	}
	if strings.HasSuffix(strings.ToLower(u.Hostname()), "-internal.aliyuncs.com") {
		p.warnings.add("url.internal", fmt.Sprintf("%s: %s is on the provider's internal network, where it does not fetch; use the public host", id, name))
	}
}

func (p *Plan) warnBudget() {
	budget := p.Manifest.Budget.MaxCost
	estimate := p.Estimate()
	switch {
	case !budget.Valid:
	case budget.Decimal.LessThan(estimate.Money.Low):
		p.warnings.add("budget", fmt.Sprintf("max_cost %s %s is below the estimate of at least %s: the run will stop before the end",
			budget.Decimal, p.Currency, estimate.Money.Low))
	case budget.Decimal.LessThan(estimate.Money.High):
		p.warnings.add("budget", fmt.Sprintf("max_cost %s %s is below the estimate of up to %s: the run may stop before the end",
			budget.Decimal, p.Currency, estimate.Money.High))
	}
}

// warnLimits compares with the limits that the provider documents for an ordinary
// account.
func (p *Plan) warnLimits() {
	l := p.Manifest.Limits
	for _, limit := range []struct {
		name       string
		set        float64
		documented int64
	}{
		{"create_per_second", l.CreatePerSecond, 5},
		{"query_per_second", l.QueryPerSecond, 20},
		{"running", float64(l.Running), 1},
	} {
		if limit.set > float64(limit.documented) {
			p.warnings.add("limits."+limit.name, fmt.Sprintf("limits.%s is %s; the provider documents %d for an ordinary account",
				limit.name, decimal.NewFromFloat(limit.set), limit.documented))
		}
	}
}

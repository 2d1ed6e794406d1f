package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// complete fills in what the author left out and what can be told from the rest:
// the currency, the pairs' ids, and whole sections of a manifest built in code.
// Ids and names are brought to NFC.
func (m *Manifest) complete() {
	fallback := NewManifest()
	m.Version = cmp.Or(m.Version, fallback.Version)
	m.Model = cmp.Or(m.Model, fallback.Model)
	m.Mode = cmp.Or(m.Mode, fallback.Mode)
	m.Limits = cmp.Or(m.Limits, fallback.Limits)
	m.Output.File = cmp.Or(m.Output.File, fallback.Output.File)
	m.Lane.Exclusive = cmp.Or(m.Lane.Exclusive, fallback.Lane.Exclusive)
	if currency, err := pricing.Currency(m.Lane.Region); err == nil {
		m.Budget.Currency = cmp.Or(m.Budget.Currency, currency)
	}
	m.Name = norm.NFC.String(m.Name)
	m.Output.File = norm.NFC.String(m.Output.File)
	for i := range m.Pairs {
		p := &m.Pairs[i]
		p.index = int32(i)
		if p.id == (position{}) {
			p.identify()
		}
		p.ID = norm.NFC.String(p.ID)
	}
}

// identify gives a pair an id if it has none and there is something to derive it
// from.
func (p *Pair) identify() {
	if p.ID == "" && p.Image != "" && p.Video != "" {
		p.ID = derivedID(p.Image, p.Video)
	}
}

// check reports everything that is wrong with a completed manifest's settings.
// What the schema has refused already is skipped; a manifest built in code never
// met the schema. The pairs are checked by [listing.check].
func (m *Manifest) check(found *problems) {
	bad := func(path, hint, format string, args ...any) {
		found.addNew(m.placeOf(path), hint, path+": "+format, args...)
	}
	if m.Version != 1 {
		bad("version", "", "must be 1")
	}
	if problem := nameProblem(m.Name, maxIDBytes); problem != "" && m.Name != "" {
		bad("name", "", "%s", problem)
	}
	if _, err := pricing.Currency(m.Lane.Region); err != nil {
		bad("lane.region", "", "must be beijing or singapore")
	} else if _, err := pricing.Lookup(m.Lane.Region, m.Model, string(ModeStd)); err != nil {
		bad("model", "", "must be %s or %s", ModelMove, ModelMix)
	}
	if !m.Mode.valid() {
		bad("mode", "", "must be %s or %s", ModeStd, ModePro)
	}
	if !slices.Contains([]Exclusive{ExclusiveNo, ExclusiveYes, ExclusiveKey}, m.Lane.Exclusive) {
		bad("lane.exclusive", "", "must be true, false or key")
	}
	if problem := endpointProblem(m.Lane.Endpoint); problem != "" {
		bad("lane.endpoint", "", "%s", problem)
	}
	if currency, err := pricing.Currency(m.Lane.Region); err == nil && m.Budget.Currency != currency {
		bad("budget.currency", "write "+currency+", or leave it out", "%s is billed in %s", m.Lane.Region, currency)
	}
	if m.Budget.MaxCost.Valid && m.Budget.MaxCost.Decimal.IsNegative() {
		bad("budget.max_cost", "", "must not be negative")
	}
	m.Limits.check(bad)
	checkLabels(found, m.placeOf("labels"), "", m.Labels)
	if len(m.Pairs) == 0 && m.Matrix.empty() && m.PairsFrom == "" {
		bad("pairs", "", "must be a list of pairs, at least one")
	}
	if problem, hint := templateProblem(m.Output.File); problem != "" {
		bad("output.file", hint, "%s", problem)
	}
	m.checkStores(bad)
}

// placeOf returns the place of a setting, or of the nearest thing around it when
// the file leaves it out.
func (m *Manifest) placeOf(path string) position {
	for {
		if place, found := m.given[path]; found || path == "" {
			return place
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
}

func (m Mode) valid() bool { return m == ModeStd || m == ModePro }

// check speaks about the limits one by one, then about those that depend on each
// other.
func (l Limits) check(bad func(path, hint, format string, args ...any)) {
	for _, rule := range []struct {
		broken        bool
		path, message string
	}{
		{l.Running < 1 || l.Running > 1000, "running", "must be a whole number from 1 to 1000"},
		{l.QueueAhead < 0 || l.QueueAhead > 1000, "queue_ahead", "must be a whole number from 0 to 1000"},
		{!(l.CreatePerSecond >= 0.001 && l.CreatePerSecond <= 1e6), "create_per_second", "must be a number from 0.001"},
		{!(l.QueryPerSecond >= 0.001 && l.QueryPerSecond <= 1e6), "query_per_second", "must be a number from 0.001"},
		{l.PollMin <= 0, "poll_min", "must be above 0"},
		{l.Settle < 0, "settle", "must not be negative"},
		{l.BurstWait < 0, "burst_wait", "must not be negative"},
		{l.Tries < 1 || l.Tries > 10, "tries", "must be a whole number from 1 to 10"},
		{l.PollMax < l.PollMin, "poll_max", fmt.Sprintf("must be at least poll_min (%v)", l.PollMin)},
		{l.TaskLife <= l.Settle, "task_life", fmt.Sprintf("must be longer than settle (%v), or no doubt could ever be settled", l.Settle)},
		{l.TaskLife > dashscope.UploadLife-time.Hour, "task_life", fmt.Sprintf("must be at most %v: the provider keeps an upload for %v", dashscope.UploadLife-time.Hour, dashscope.UploadLife)},
	} {
		if rule.broken {
			bad("limits."+rule.path, "", "%s", rule.message)
		}
	}
}

// endpointProblem says why a base URL can't be used; "" when it can, or is "".
// The key travels to it, so nothing but https leaves the machine. The text is
// not repeated: somebody may have written a password into it.
func endpointProblem(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "must be a base URL such as https://host or http://127.0.0.1:8080"
	case u.User != nil:
		return "must not carry a user name or a password"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "must not carry a query or a fragment"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "must be https, because the API key is sent to it; plain http is for loopback only"
	}
	return ""
}

// checkLabels refuses labels that a table can't show.
func checkLabels(found *problems, at position, prefix string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if key == "" || strings.ContainsFunc(key+labels[key], unicode.IsControl) {
			found.addNew(at, "", "%slabels: %s is empty or holds a control character", prefix, quote(key))
		}
	}
}

// imageExtensions and videoExtensions list what the provider accepts; it judges
// by the end of the URL's path too.
func imageExtensions() []string { return []string{".jpg", ".jpeg", ".png", ".bmp", ".webp"} }
func videoExtensions() []string { return []string{".mp4", ".mov", ".avi"} }

// mediaProblem says what is wrong with the text of an image or video, without
// opening it and without repeating a URL; "" when nothing is.
func mediaProblem(media string, extensions []string) (problem, hint string) {
	switch {
	case media == "":
		return "is missing", ""
	case strings.HasPrefix(strings.ToLower(media), "data:"):
		return "data: URIs are accepted by the provider and then fail", "name a file or a URL"
	case strings.ContainsFunc(media, unicode.IsControl):
		return "holds a control character", ""
	case isRemote(media):
		return urlProblem(media)
	case !slices.Contains(extensions, strings.ToLower(path.Ext(media))):
		return fmt.Sprintf("%s does not end in %s", quote(media), strings.Join(extensions, ", ")), ""
	}
	return "", ""
}

func urlProblem(media string) (problem, hint string) {
	u, err := url.Parse(media)
	switch {
	case strings.ContainsFunc(media, func(c rune) bool { return c > unicode.MaxASCII || c == ' ' }):
		return "a URL must be ASCII without spaces", "percent-encode everything else"
	case err != nil || u.Opaque != "":
		return "is not a valid URL", ""
	case u.Scheme == "file":
		return "file: URLs are not read", "write the path itself"
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "oss":
		return fmt.Sprintf("scheme %s is not supported", quote(u.Scheme)), "use http, https or oss, or a local path"
	case u.Hostname() == "":
		return "the URL names no host", ""
	case u.User != nil:
		return "the URL carries a user name or a password", "sign the URL instead"
	case strings.Trim(u.Path, "/") == "":
		return "the URL names no file", ""
	}
	return "", ""
}

func (at position) or(other position) position { return cmp.Or(at, other) }

package dashscope

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Lengths, in runes, of what an answer may put into an error or a report.
const (
	maxMessage = 300
	maxExcerpt = 120
	maxWord    = 100 // codes, request ids, status words
)

var (
	// A URL up to its query, and the query. The user part goes with it.
	urlQuery = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)([^\s"'<>/?#@]*@)?([^\s"'<>?#]*)([?#][^\s"'<>]*)?`)
	// A signature parameter that stands alone, or inside an escaped URL.
	signature = regexp.MustCompile(`(?i)((?:signature|accesskeyid|credential|security-?token|expires)(?:=|%3d))[^\s"'<>]+`)
)

// scrubber frees foreign text of the key and of URL queries. It holds the key
// inside a function, where fmt cannot print it.
type scrubber struct{ mask func(string) string }

// newScrubber prepares the spellings in which secrets may come back.
func newScrubber(secrets ...Secret) scrubber {
	var pairs []string
	for _, s := range secrets {
		for _, form := range spellings(s.reveal()) {
			pairs = append(pairs, form, masked)
		}
	}
	return scrubber{mask: strings.NewReplacer(pairs...).Replace}
}

func spellings(k string) []string {
	if k == "" {
		return nil
	}
	quoted, _ := json.Marshal(k) // unreachable error: a string always encodes
	return []string{
		k, url.QueryEscape(k), url.PathEscape(k),
		base64.StdEncoding.EncodeToString([]byte(k)), base64.URLEncoding.EncodeToString([]byte(k)),
		base64.RawStdEncoding.EncodeToString([]byte(k)), base64.RawURLEncoding.EncodeToString([]byte(k)),
		hex.EncodeToString([]byte(k)), strings.ToUpper(hex.EncodeToString([]byte(k))),
		strings.Trim(string(quoted), `"`),
	}
}

// clean returns s fit for a terminal, a log and a report: no key, no URL query
// and no control or direction character, in at most limit runes.
func (s scrubber) clean(text string, limit int) string {
	text = s.mask(strings.ToValidUTF8(text, "\uFFFD"))
	text = urlQuery.ReplaceAllString(text, "$1$3")
	text = signature.ReplaceAllString(text, "${1}"+masked)
	text = strings.Join(strings.Fields(strings.Map(visible, text)), " ")
	runes := []rune(text)
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// visible replaces what a terminal would act upon: C0, C1, direction and other
// format characters.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsPrint(r):
		return unicode.ReplacementChar
	}
	return r
}

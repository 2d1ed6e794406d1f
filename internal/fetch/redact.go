package fetch

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Redact returns scheme, host and path of a URL: what may be shown of a signed
// one. Of a text that is not such a URL nothing is shown.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "(not a URL)"
	}
	return printable(u.Scheme + "://" + u.Host + u.EscapedPath())
}

// Expires returns when a signed URL stops working, which is what its Expires
// parameter says (seconds since 1970), and whether it says so. The provider's
// URLs carry it (signature version 1, seen in published samples).
func Expires(rawURL string) (time.Time, bool) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return time.Time{}, false
	}
	sec, err := strconv.ParseInt(u.Query().Get("Expires"), 10, 64)
	if err != nil || sec <= 0 || sec >= 253402300800 { // the year 10000
		return time.Time{}, false
	}
	return time.Unix(sec, 0).UTC(), true
}

// quiet shows an error of the network without what it may repeat: the query of
// a URL, a proxy's password, bytes of an answer. errors.Is and As see through.
type quiet struct{ err error }

func (q quiet) Error() string {
	text := urlSecrets.ReplaceAllString(q.err.Error(), "$1$3")
	return printable(signature.ReplaceAllString(text, "$1***"))
}
func (q quiet) Is(target error) bool { return errors.Is(q.err, target) }
func (q quiet) As(target any) bool   { return errors.As(q.err, target) }

// urlSecrets finds a URL's scheme, user, host with path, and query.
var urlSecrets = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)([^\s"'<>/?#@]*@)?([^\s"'<>?#]*)([?#][^\s"'<>]*)?`)

// signature finds a parameter of a signed URL that stands alone, or in an escaped one.
var signature = regexp.MustCompile(`(?i)((?:signature|credential|accesskeyid|security-?token|expires)(?:=|%3d))[^\s,&"'<>]+`)

// printable bounds a text and replaces what a terminal would obey.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if runes := []rune(s); len(runes) > 300 {
		return string(runes[:299]) + "…"
	}
	return s
}

package pipeline

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pageFrame is the review page without its report: one static document, made
// whole by filling its marks.
//
//go:embed report_page.html
var pageFrame string

const (
	policyMark = "{{policy}}" // value of the content security policy
	againMark  = "{{again}}"  // the command that does what is left
	reportMark = "{{report}}" // the report as JSON, in a script element that nothing runs
)

// HTML writes the report as one web page for people who look at videos and
// bills. It is meant to lie in the batch folder, where it finds the videos, and
// shows the inputs where it can reach them. It works offline and from a file:
// nothing is asked of any network until somebody presses the button that does so.
func (r *Report) HTML(w io.Writer) error {
	before, after := pageAround(r)
	if _, err := io.WriteString(w, before); err != nil {
		return err
	}
	// The encoder escapes <, > and &, so that no text can end the element it stands in.
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return err
	}
	_, err := io.WriteString(w, after)
	return err
}

// pageAround is what stands before and after the JSON of a report in its page.
func pageAround(r *Report) (before, after string) {
	frame := strings.ReplaceAll(pageFrame, "\r\n", "\n") // as a browser reads it before it hashes a script
	before, after, _ = strings.Cut(frame, reportMark)
	before = strings.Replace(before, policyMark, pagePolicy(frame, mediaOrigins(r)), 1)
	return strings.Replace(before, againMark, html.EscapeString(r.Again(AnyManifest)), 1), after
}

// pagePolicy lets the page run its own script and style, by their hashes, and show
// pictures and videos of its own place and of the origins given. Nothing else is
// allowed: no other script, no connection, no form, no frame, no markup out of text.
func pagePolicy(frame string, origins []string) string {
	media := strings.Join(append([]string{"'self'", "file:"}, origins...), " ")
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + sourceHash(frame, "script"),
		"style-src " + sourceHash(frame, "style"),
		"img-src " + media,
		"media-src " + media,
		"base-uri 'none'",
		"form-action 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}

// sourceHash is the source expression of the frame's one inline element of that name.
func sourceHash(frame, element string) string {
	_, rest, _ := strings.Cut(frame, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// mostOrigins bounds the policy: inputs from further hosts stay links.
const mostOrigins = 50

// plainHost is a host as a policy can name it; nothing else may get into one.
var plainHost = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?$`)

// mediaOrigins are the places that inputs and stored videos have by http(s), in order.
func mediaOrigins(r *Report) []string {
	found := map[string]bool{}
	for _, j := range r.Jobs {
		names := []string{j.Image, j.Video}
		if j.File != nil && j.File.URL != nil {
			names = append(names, *j.File.URL)
		}
		for _, name := range names {
			u, err := url.Parse(name)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" {
				continue
			}
			if host := strings.ToLower(u.Host); plainHost.MatchString(host) {
				found[u.Scheme+"://"+host] = true
			}
		}
	}
	origins := slices.Sorted(maps.Keys(found))
	return origins[:min(len(origins), mostOrigins)]
}

// pageReport takes the report's JSON out of a page; nil if there is none.
func pageReport(page []byte) []byte {
	_, rest, found := bytes.Cut(page, []byte(`<script type="application/json" id="report">`))
	text, _, closed := bytes.Cut(rest, []byte("</script>"))
	if !found || !closed {
		return nil
	}
	return text
}

// inputsSetting is the setting of a run that says where its local inputs lay.
const inputsSetting = "inputs"

// inputsFolder is the folder that the manifest's media paths are relative to, as
// seen from the batch folder and with forward slashes; "" if there is no way from
// one to the other. It makes no name of this machine durable.
func inputsFolder(m *Manifest, folder string) string {
	from, err := filepath.Abs(folder)
	if err != nil {
		return ""
	}
	to, err := filepath.Abs(m.Dir)
	if err != nil {
		return ""
	}
	way, err := filepath.Rel(from, to)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(way)
}

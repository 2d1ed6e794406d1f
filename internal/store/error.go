package store

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// What a caller may test for. Any other error passes by itself.
var (
	// ErrNotFound: the store has nothing under that key.
	ErrNotFound = errors.New("not in the store")
	// ErrExists: there is something under that key already.
	ErrExists = errors.New("already in the store")
	// ErrSetup: a person must act: credentials, rights, bucket, region or endpoint.
	ErrSetup = errors.New("store refuses")
	// ErrSource: the file cannot be read, or is not what it should be.
	ErrSource = errors.New("local file")
)

// refusal is an answer of a store, whichever SDK brought it.
type refusal struct {
	status                   int
	code, message, requestID string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("HTTP %d", r.status)
	if r.code != "" {
		text += " " + r.code
	}
	if r.message != "" && r.message != r.code {
		text += ": " + r.message
	}
	if r.requestID != "" {
		text += " (request " + r.requestID + ")"
	}
	return text
}

// Code is the store's word for why it refused, such as "AccessDenied": "" if the error
// is no refusal, and if the store gave none.
func Code(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// refused finds the code in the text of an [ErrSetup].
var refused = regexp.MustCompile(`: ` + ErrSetup.Error() + `: HTTP [0-9]+ ([A-Za-z][A-Za-z0-9.]*)`)

// CodeIn is the same of an [ErrSetup] of which only the text was kept. What stands in
// a name or in the store's message is no code.
func CodeIn(text string) string {
	if m := refused.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// unknown reports whether the store does not know what it was asked to do.
func (r *refusal) unknown() bool {
	return r.status == http.StatusNotImplemented || r.code == "NotImplemented"
}

// setup lists codes that no waiting will cure, whatever their status.
var setup = []string{"NoSuchBucket", "InvalidBucketName", "AuthorizationHeaderMalformed", "InvalidRegion",
	"InvalidAccessKeyId", "SignatureDoesNotMatch", "UserDisable", "InvalidArgument", "NotImplemented"}

// Is tells the refusals apart by what a caller can do.
func (r *refusal) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return r.status == http.StatusNotFound && r.code != "NoSuchBucket"
	case ErrExists:
		return r.status == http.StatusPreconditionFailed || r.status == http.StatusNotModified || r.code == "FileAlreadyExists"
	case ErrSetup:
		switch r.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
			http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed:
			return true
		}
		return slices.Contains(setup, r.code)
	}
	return false
}

// judge turns an SDK's error into a refusal if the store answered.
func judge(err error) error {
	if err == nil {
		return nil
	}
	if r := ossRefusal(err); r != nil {
		return r
	}
	if r := s3Refusal(err); r != nil {
		return r
	}
	return err
}

// explain says what failed and where, without secrets.
func (s *Store) explain(op, key string, err error) error {
	if err == nil {
		return nil
	}
	err = judge(err)
	return &explained{err: err, text: fmt.Sprintf("%s %s/%s: %s", op, s.loc.Name(), key, s.clean(err))}
}

func (s *Store) clean(err error) string {
	text := err.Error()
	if e := (*url.Error)(nil); errors.As(err, &e) && !errors.Is(err, ErrSource) {
		text = e.Err.Error() // the SDKs say the rest, and more than once
	}
	text = s.scrub(text)
	text = urlSecrets.ReplaceAllString(text, "$1$3")
	text = signature.ReplaceAllString(text, "$1***")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if errors.Is(err, ErrSetup) {
		text = ErrSetup.Error() + ": " + text
	}
	if runes := []rune(text); len(runes) > 300 {
		return string(runes[:299]) + "…"
	}
	return text
}

// signature finds what a store repeats of a signed request, also inside an escaped URL.
var signature = regexp.MustCompile(`(?i)((?:signature|credential|accesskeyid|security-?token|expires)(?:=|%3d))[^\s,&"'<>]+`)

// urlSecrets finds a URL's scheme, user, host with path, and query.
var urlSecrets = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)([^\s"'<>/?#@]*@)?([^\s"'<>?#]*)([?#][^\s"'<>]*)?`)

// explained shows a cleaned text; errors.Is and As see through it.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string        { return e.text }
func (e *explained) Is(target error) bool { return errors.Is(e.err, target) }
func (e *explained) As(target any) bool   { return errors.As(e.err, target) }

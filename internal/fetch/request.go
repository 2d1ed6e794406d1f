package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
)

// secure upgrades http to https, except at the trusted endpoint, and checks
// what comes out.
func (f *Fetcher) secure(u *url.URL) (*url.URL, error) {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	if v.Scheme == "http" && originOf(&v) != f.guard.trusted {
		v.Scheme = "https"
		if v.Port() == "80" {
			v.Host = v.Host[:len(v.Host)-len(":80")]
		}
	}
	return &v, f.guard.Check(&v)
}

// open asks for what the part lacks and prepares the part for the answer,
// which starts over when it must.
func (f *Fetcher) open(ctx context.Context, u *url.URL, p *part) (io.ReadCloser, error) {
	resp, err := f.get(ctx, u, p)
	if err != nil {
		return nil, err
	}
	if p.size > 0 && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable) {
		if p.continues(resp) {
			if err := p.resume(); err != nil {
				_ = resp.Body.Close()
				return nil, onDisk(err)
			}
			return resp.Body, nil
		}
		// The object is not what the part came from.
		_ = resp.Body.Close()
		if err := p.restart(); err != nil {
			return nil, onDisk(err)
		}
		if resp, err = f.get(ctx, u, p); err != nil {
			return nil, err
		}
	}
	if err := f.begin(p, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// begin accepts an answer that brings the whole object.
func (f *Fetcher) begin(p *part, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: HTTP %d%s", ErrForbidden, resp.StatusCode, storeCode(resp))
	default:
		return fmt.Errorf("store answers HTTP %d%s", resp.StatusCode, storeCode(resp))
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return errors.New("store encodes the file though asked not to")
	}
	if resp.ContentLength > f.max {
		return fmt.Errorf("%w: %d bytes announced, at most %d allowed", ErrCorrupt, resp.ContentLength, f.max)
	}
	t := tag{ETag: strongETag(resp), Length: resp.ContentLength, CRC: objectCRC(resp)}
	if err := p.expect(t); err != nil {
		return onDisk(err)
	}
	return nil
}

// get sends one GET, for the rest of the part if it has a beginning, and
// follows at most three redirects. The signature of a URL covers a method and
// a content type, so there is no HEAD and no Content-Type.
func (f *Fetcher) get(ctx context.Context, u *url.URL, p *part) (*http.Response, error) {
	for hop := 0; ; hop++ {
		req := (&http.Request{
			Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{},
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}).WithContext(ctx)
		req.Header.Set("Accept-Encoding", "identity")
		req.Header.Set("User-Agent", f.agent)
		if p.size > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
			req.Header.Set("If-Range", p.tag.ETag)
		}
		resp, err := f.guard.RoundTrip(req)
		if err != nil {
			return nil, quiet{err}
		}
		if !isRedirect(resp.StatusCode) {
			return settled(resp)
		}
		_ = resp.Body.Close()
		if hop == maxHops {
			return nil, fmt.Errorf("more than %d redirects", maxHops)
		}
		if u, err = f.next(u, resp.Header.Get("Location")); err != nil {
			return nil, fmt.Errorf("redirect: %w", err)
		}
	}
}

func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// settled refuses an answer that hands the connection over, since no deadline
// would end reading from it.
func settled(resp *http.Response) (*http.Response, error) {
	if resp.StatusCode < 200 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("store answers HTTP %d", resp.StatusCode)
	}
	return resp, nil
}

func (f *Fetcher) next(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return nil, fmt.Errorf("%w: not a URL", ErrRefused)
	}
	return f.secure(to)
}

var contentRange = regexp.MustCompile(`^bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})$`)

// continues reports whether an answer brings the bytes that follow the part, of
// the same object.
func (p *part) continues(resp *http.Response) bool {
	m := contentRange.FindStringSubmatch(resp.Header.Get("Content-Range"))
	if resp.StatusCode != http.StatusPartialContent || m == nil {
		return false
	}
	first, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits always fit
	last, _ := strconv.ParseInt(m[2], 10, 64)
	total, _ := strconv.ParseInt(m[3], 10, 64)
	if first != p.size || last < first || last >= total || total != p.tag.Length {
		return false
	}
	etag, crc := resp.Header.Get("ETag"), objectCRC(resp)
	return (etag == "" || etag == p.tag.ETag) && (crc == "" || crc == p.tag.CRC)
}

var strong = regexp.MustCompile(`^"[\x21\x23-\x7e]{1,128}"$`)

func strongETag(resp *http.Response) string {
	if etag := resp.Header.Get("ETag"); strong.MatchString(etag) {
		return etag
	}
	return ""
}

// objectCRC returns the CRC-64 of the whole object, which OSS sends with
// ranges too, in the decimal form that strconv gives it.
func objectCRC(resp *http.Response) string {
	n, err := strconv.ParseUint(resp.Header.Get("X-Oss-Hash-Crc64ecma"), 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

var xmlCode = regexp.MustCompile(`<Code>([0-9A-Za-z.]{1,64})</Code>`)

// storeCode finds the code in an XML error. The rest of it may hold the string
// that was signed, and is not shown.
func storeCode(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	if m := xmlCode.FindSubmatch(body); m != nil {
		return " " + string(m[1])
	}
	return ""
}

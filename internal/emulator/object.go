package emulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// accessKey is the id in signed URLs; the secret behind it is the server's own.
const accessKey = "EMULATORRESULTS"

// result serves a stored video under its signed URL, as OSS would.
func (c *call) result() {
	c.mu.Lock()
	c.count.requests["result"]++
	if c.r.Header.Get("Authorization") != "" {
		c.count.authAtResults++
	}
	t := c.byPath[c.r.URL.Path]
	stored := t != nil && t.status == statusSucceeded // from here on its bill never changes
	c.mu.Unlock()

	if !c.signed() {
		c.deny(ossError{status: 403, Code: "SignatureDoesNotMatch", Message: "The request signature we calculated " +
			"does not match the signature you provided. Check your key and signing method."})
		return
	}
	if expires := c.expiry(); c.at.After(expires) {
		c.deny(ossError{status: 403, Code: "AccessDenied", Message: "Request has expired.",
			Expires: expires.UTC().Format(ossTime), ServerTime: c.at.UTC().Format(ossTime)})
		return
	}
	if !stored {
		c.deny(ossError{status: 404, Code: "NoSuchKey", Message: "The specified key does not exist."})
		return
	}
	c.mu.Lock()
	hits := c.strike(atResult)
	if c.r.Header.Get("Range") != "" {
		hits = append(hits, c.strike(atRange)...)
	}
	if hits.has("etag-changed") {
		t.edition++
		t.coverage = span{}
	}
	edition := t.edition
	c.mu.Unlock()

	if !c.spoilResult(hits) {
		c.serve(t, edition, hits)
	}
}

// signedQuery is the query string of a task's result URL, in OSS V1 form.
func (s *Server) signedQuery(t *task, expires time.Time) string {
	q := url.Values{}
	q.Set("Expires", strconv.FormatInt(expires.Unix(), 10))
	q.Set("OSSAccessKeyId", accessKey)
	q.Set("Signature", s.sign(http.MethodGet, "", "", q.Get("Expires"), t.path))
	return q.Encode()
}

// sign computes an OSS V1 signature. It covers the method and the two content headers, but
// neither scheme, host nor range.
func (s *Server) sign(method, contentMD5, contentType, expires, path string) string {
	mac := hmac.New(sha1.New, s.secret)
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n%s", method, contentMD5, contentType, expires, path)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signed checks the signature of the request: exactly the three parameters, and the right one
// for this method and these headers. A HEAD under a GET's signature fails.
func (c *call) signed() bool {
	q := c.r.URL.Query()
	if len(q) != 3 || q.Get("OSSAccessKeyId") != accessKey {
		return false
	}
	h := c.r.Header
	want := c.sign(c.r.Method, h.Get("Content-MD5"), h.Get("Content-Type"), q.Get("Expires"), c.r.URL.Path)
	return hmac.Equal([]byte(want), []byte(q.Get("Signature")))
}

// expiry is the end of the URL's life; the signature vouches for it.
func (c *call) expiry() time.Time {
	seconds, _ := strconv.ParseInt(c.r.URL.Query().Get("Expires"), 10, 64)
	return time.Unix(seconds, 0)
}

const ossTime = "2006-01-02T15:04:05.000Z"

// An ossError is an error answer of the object server.
type ossError struct {
	XMLName    xml.Name `xml:"Error"`
	status     int
	Code       string
	Message    string
	RequestID  string `xml:"RequestId"`
	HostID     string `xml:"HostId"`
	Expires    string `xml:",omitempty"`
	ServerTime string `xml:",omitempty"`
}

func (c *call) deny(e ossError) {
	e.RequestID, e.HostID = c.ossID(), c.r.Host
	body, _ := xml.MarshalIndent(e, "", "  ") // strings always marshal
	c.send(e.status, "application/xml", append([]byte(xml.Header), body...))
}

// ossID is the request id in the look of OSS.
func (c *call) ossID() string {
	return strings.ToUpper(strings.ReplaceAll(c.id, "-", "")[:24])
}

// serve sends the stored object, or the range of it that is asked for, and notes what went out
// undamaged.
func (c *call) serve(t *task, edition int, hits hits) {
	whole := movie(t.billed, t.fps(), fmt.Sprintf("task %s edition %d", t.id, edition), c.opt.Padding)
	body := c.damage(whole, hits)
	c.describeObject(whole, hits)
	if c.r.Header.Get("Range") != "" && (hits.has("range-ignored") || strings.Contains(c.r.Header.Get("Range"), ",")) {
		c.r.Header.Del("Range") // OSS does not serve several ranges at once either
	}
	out := &sender{ResponseWriter: c.w}
	if bytes.Equal(body, whole) {
		out.note = func(from, to int64) (undo func()) { return c.delivered(t, edition, int64(len(whole)), from, to) }
	}
	c.transfer(out, t, body, hits)
}

// describeObject sets the headers of a stored object.
func (c *call) describeObject(whole []byte, hits hits) {
	sum := md5.Sum(whole)
	crc := crc64.Checksum(whole, crc64.MakeTable(crc64.ECMA))
	if hits.has("wrong-crc") {
		crc ^= 1
	}
	h := c.w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("ETag", `"`+strings.ToUpper(hex.EncodeToString(sum[:]))+`"`)
	if c.r.Header.Get("Range") == "" {
		h.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	if !hits.has("no-crc") {
		h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(crc, 10))
	}
	h.Set("x-oss-object-type", "Normal")
	h.Set("x-oss-storage-class", "Standard")
	h.Set("x-oss-request-id", c.ossID())
	h.Set("x-oss-server-time", "3")
}

// delivered adds bytes to a task's coverage. Undo is for bytes that could not be sent after all.
func (c *call) delivered(t *task, edition int, size, from, to int64) (undo func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if edition != t.edition {
		return func() {}
	}
	coverage, fetched := t.coverage, t.fetched
	t.coverage = coverage.with(from, to)
	t.fetched = fetched || t.coverage.covers(size)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.coverage, t.fetched = coverage, fetched
	}
}

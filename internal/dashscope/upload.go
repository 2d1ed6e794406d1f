package dashscope

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// UploadLife is how long the provider keeps an uploaded file.
const UploadLife = 48 * time.Hour

const (
	uploadsPath  = "/api/v1/uploads"
	maxPermit    = 24 * time.Hour // a policy's life is believed up to this
	stallMinimum = 64 << 10       // bytes that each UploadStall must take
)

// What a caller of [Client.Upload] may test for.
var (
	// ErrPolicy: the store no longer honours the policy. Ask for another.
	ErrPolicy = errors.New("upload policy is not valid any more")
	// ErrExists: the store has a file of that name. Use another name.
	ErrExists = errors.New("name is taken in the upload store")
	// ErrSource: the reader failed, or did not give as many bytes as announced.
	// It wraps the reader's error. The network is not to blame.
	ErrSource = errors.New("file to upload")
)

var (
	uploadDir  = regexp.MustCompile(`^[0-9A-Za-z_.-]+(/[0-9A-Za-z_.-]+)*$`)
	objectName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}(\.[0-9A-Za-z]{1,8})?$`)
	extension  = regexp.MustCompile(`^\.[0-9A-Za-z]{1,8}$`)
)

// A Policy lets files be put into the provider's temporary store: any number
// of them, until it ends. What is put there can be used by tasks of its model
// and its account alone. It prints without its secrets.
type Policy struct {
	// Model is the only one whose tasks can read the files.
	Model string
	// Life is how long the policy holds, counted from before it was asked for.
	Life time.Duration
	// MaxBytes bounds one file; 0 when the provider does not say.
	MaxBytes int64

	host                *url.URL
	dir                 string
	acl, overwrite      string
	id, text, signature Secret
}

// ObjectName makes up a name that no upload had before, with the extension of
// source, by which the provider judges what a file is. source is a path.
func ObjectName(source string) string {
	ext := path.Ext(strings.ReplaceAll(source, `\`, "/"))
	if !extension.MatchString(ext) {
		ext = ""
	}
	return strings.ToLower(rand.Text() + ext)
}

// GetPolicy asks for leave to upload files for tasks of a model. It is limited
// to 100 per second, account and model. Errors are of type *[Error].
//
// Wire format: help.aliyun.com/zh/model-studio/get-temporary-file-url (2025-10).
func (c *Client) GetPolicy(ctx context.Context, model string) (Policy, error) {
	a, err := c.send(ctx, call{
		op: OpPolicy, method: http.MethodGet, path: uploadsPath, timeout: c.read,
		query: url.Values{"action": {"getPolicy"}, "model": {model}},
	})
	if err != nil {
		return Policy{}, err
	}
	var w wirePolicy
	if err := json.Unmarshal(a.body, &w); err != nil {
		return Policy{}, a.unreadable("answer is not the JSON of an upload policy")
	}
	p, bad := c.policy(model, w)
	if bad != nil {
		return Policy{}, a.unreadable(bad.Error())
	}
	return p, nil
}

// unreadable is unusable without an excerpt: the answer may hold a policy.
func (a answer) unreadable(why string) *Error {
	e := a.err
	e.Message = why
	return &e
}

type wirePolicy struct {
	Data struct {
		Policy    text `json:"policy"`
		Signature text `json:"signature"`
		Dir       text `json:"upload_dir"`
		Host      text `json:"upload_host"`
		Expires   text `json:"expire_in_seconds"` // a number or a string
		MaxMB     text `json:"max_file_size_mb"`  // likewise
		ID        text `json:"oss_access_key_id"`
		ACL       text `json:"x_oss_object_acl"`
		Overwrite text `json:"x_oss_forbid_overwrite"`
	} `json:"data"`
}

// policy checks an answer: what it says is used as an address and as a name.
func (c *Client) policy(model string, w wirePolicy) (Policy, error) {
	d := w.Data
	if d.Policy == "" || d.Signature == "" || d.ID == "" {
		return Policy{}, errors.New("answer lacks policy, signature or access key id")
	}
	if len(d.Dir) > 512 || !uploadDir.MatchString(string(d.Dir)) || strings.Contains(string(d.Dir), "..") {
		return Policy{}, errors.New("answer has no usable upload_dir")
	}
	seconds := count(d.Expires)
	if seconds == 0 {
		return Policy{}, errors.New("answer does not say how long the policy holds")
	}
	host, err := c.uploadHost(string(d.Host))
	if err != nil {
		return Policy{}, err
	}
	return Policy{
		Model: model, Life: min(time.Duration(seconds)*time.Second, maxPermit), MaxBytes: int64(count(d.MaxMB)) << 20,
		host: host, dir: string(d.Dir), acl: string(d.ACL), overwrite: string(d.Overwrite),
		id: NewSecret(string(d.ID)), text: NewSecret(string(d.Policy)), signature: NewSecret(string(d.Signature)),
	}, nil
}

// uploadHost accepts https anywhere, which [Config].Uploads checks when it
// dials, and the endpoint itself, which may be plain http on loopback.
func (c *Client) uploadHost(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("answer has no usable upload_host")
	case u.Scheme == "https", u.Scheme == c.base.Scheme && u.Host == c.base.Host:
		return u, nil
	}
	return nil, fmt.Errorf("upload_host %s://%s is neither https nor the endpoint itself", u.Scheme, c.scrub.clean(u.Host, maxWord))
}

// Upload puts size bytes of r under a name (see [ObjectName]) into the store and
// returns the oss:// URL that a create may name for [UploadLife]. Nothing else
// can be done with the file, so an upload whose answer was lost is simply made
// again under another name. The bytes are sent as they are read; r is not read
// any more when Upload returns. If the store tells a CRC-64 it is compared.
//
// The API key is not sent. Errors are of type *[Error] and match [ErrPolicy],
// [ErrExists], [ErrSource] or the context's error where it is one of these.
func (c *Client) Upload(ctx context.Context, p Policy, name, contentType string, size int64, r io.Reader) (string, error) {
	e := Error{Op: OpUpload}
	switch {
	case c.uploads == nil:
		e.cause = errors.New("this client has no way to the upload store")
	case p.host == nil:
		e.cause = ErrPolicy
	case !objectName.MatchString(name):
		e.cause = fmt.Errorf("%q is no name for an upload", c.scrub.clean(name, maxWord))
	case size <= 0:
		e.cause = fmt.Errorf("%w: it is empty", ErrSource)
	case p.MaxBytes > 0 && size > p.MaxBytes:
		e.Code, e.Message = "EntityTooLarge", fmt.Sprintf("%d bytes, and the store takes at most %d", size, p.MaxBytes)
	}
	if e.cause != nil || e.Code != "" {
		return "", &e
	}
	e.where = p.host.Scheme + "://" + p.host.Host
	if err := c.put(ctx, p, newForm(p, name, contentType, size, r), &e); err != nil {
		return "", err
	}
	return "oss://" + p.dir + "/" + name, nil
}

// put sends a form, once, and reads the answer into e.
func (c *Client) put(ctx context.Context, p Policy, f *form, e *Error) error {
	scrub := newScrubber(c.key, p.text, p.signature, p.id)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer f.detach() // the transport may go on reading for a moment
	stalled := time.AfterFunc(c.stall, func() { cancel(fmt.Errorf("no progress for %v", c.stall)) })
	defer stalled.Stop()
	f.moved = func() { stalled.Reset(c.stall) }
	var conn connection
	resp, err := c.uploads.RoundTrip(c.formRequest(conn.trace(ctx), p, f))
	if err == nil {
		defer resp.Body.Close()
		e.Sent, e.Status = true, resp.StatusCode
		e.RequestID = scrub.clean(resp.Header.Get("X-Oss-Request-Id"), maxWord)
		var body []byte
		if body, err = readBody(resp); err == nil {
			return f.judge(e, resp.Header, body, scrub)
		}
	}
	e.Sent = e.Sent || conn.mayHaveSent(false)
	switch cause := context.Cause(ctx); {
	case f.failure() != nil:
		e.cause = f.failure()
	case cause != nil:
		e.cause = cause
	default:
		e.cause = scrubbed{text: scrub.clean(err.Error(), maxMessage), err: err}
	}
	return e
}

func (c *Client) formRequest(ctx context.Context, p Policy, f *form) *http.Request {
	u := *p.host
	if u.Path == "" {
		u.Path = "/"
	}
	return (&http.Request{
		Method: http.MethodPost, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {f.contentType}, "Accept-Encoding": {"identity"}, "User-Agent": {c.agent},
		},
		Body: f, ContentLength: f.length,
	}).WithContext(ctx)
}

// judge reads the store's verdict. Nil is a file that is there and whole.
func (f *form) judge(e *Error, header http.Header, body []byte, scrub scrubber) error {
	switch {
	case e.Status == http.StatusOK || e.Status == http.StatusNoContent:
		return f.confirm(e, header, body, scrub)
	case f.failure() != nil:
		e.cause = f.failure()
		return e
	}
	var w struct {
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}
	if xml.Unmarshal(body, &w) == nil && w.Code != "" {
		e.Code, e.Message = scrub.clean(w.Code, maxWord), scrub.clean(w.Message, maxMessage)
		if id := scrub.clean(w.RequestID, maxWord); id != "" {
			e.RequestID = id
		}
	} else {
		e.Message = scrub.clean(string(body), maxExcerpt)
	}
	switch {
	case e.Status == http.StatusForbidden:
		e.cause = ErrPolicy
	case e.Status == http.StatusConflict && normalize(e.Code) == "filealreadyexists":
		e.cause = ErrExists
	}
	return e
}

// confirm takes no page of a proxy for a file that is stored.
func (f *form) confirm(e *Error, header http.Header, body []byte, scrub scrubber) error {
	if len(bytes.TrimSpace(body)) > 0 {
		e.Message = "answer does not confirm the upload: " + scrub.clean(string(body), maxExcerpt)
		return e
	}
	sum, whole := f.sum()
	if !whole {
		e.Message = "the store answered before it had the whole file"
		return e
	}
	told, err := strconv.ParseUint(header.Get("X-Oss-Hash-Crc64ecma"), 10, 64)
	if err == nil && told != sum {
		e.Message = "the store has other bytes than were sent (CRC-64)"
		return e
	}
	return nil
}

// newForm lays out the form of section "PostObject": the file is its last part,
// and its length is known before the first byte is sent.
func newForm(p Policy, name, contentType string, size int64, r io.Reader) *form {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	// The errors are unreachable: a buffer takes everything.
	for _, field := range [][2]string{
		{"OSSAccessKeyId", p.id.reveal()}, {"Signature", p.signature.reveal()}, {"policy", p.text.reveal()},
		{"key", p.dir + "/" + name}, {"x-oss-object-acl", p.acl}, {"x-oss-forbid-overwrite", p.overwrite},
		{"success_action_status", "200"}, {"x-oss-content-type", contentType},
	} {
		if field[1] != "" {
			_ = w.WriteField(field[0], field[1])
		}
	}
	_, _ = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`},
		"Content-Type":        {orOctets(contentType)},
	})
	tail := "\r\n--" + w.Boundary() + "--\r\n"
	f := &form{contentType: w.FormDataContentType(), length: int64(head.Len()) + size + int64(len(tail)), left: size, source: r}
	f.parts = io.MultiReader(&head, readerFunc(f.file), strings.NewReader(tail))
	f.crc = crc64.New(crc64.MakeTable(crc64.ECMA))
	return f
}

func orOctets(contentType string) string {
	if contentType == "" {
		return "application/octet-stream"
	}
	return contentType
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

package emulator

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"hash/crc64"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxField caps a form field that is not the file.
const maxField = 64 << 10

// An upload is a file in the temporary store. It can be used by tasks and by nothing else.
type upload struct {
	grant   *grant
	path    string // on our disk; "" once its life is over
	size    int64
	sha256  string
	md5     []byte
	crc64   uint64
	expires time.Time
}

// A form is what was posted: its fields, and the file if it is stored.
type form struct {
	fields map[string]string
	file   *upload
}

// isUpload tells a form for the temporary store, which is posted to the bare host.
func isUpload(r *http.Request, path string) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return path == "" && r.Method == http.MethodPost && kind == "multipart/form-data"
}

// upload stores a file, by the rules of OSS's PostObject.
func (c *call) upload() {
	c.mu.Lock()
	c.count.requests["upload"]++
	if c.r.Header.Get("Authorization") != "" {
		c.count.authAtResults++
	}
	hits := c.strike(atUpload)
	c.mu.Unlock()
	switch {
	case hits.has("slow-upload"):
		if _, err := io.Copy(io.Discard, c.r.Body); err == nil { // only behind the body is a client seen to leave
			c.hold()
		}
		panic(http.ErrAbortHandler)
	case hits.has("upload-cut"):
		_, _ = io.CopyN(io.Discard, c.r.Body, max(c.r.ContentLength/2, 1)) // half of it, or what comes
		panic(http.ErrAbortHandler)
	case hits.has("policy-expired"):
		c.refuseForm(policyFailed("Policy expired."))
		return
	}
	f, denied := c.takeForm()
	switch {
	case denied != nil:
		c.refuseForm(denied)
	case hits.has("upload-500"):
		c.deny(ossError{status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."})
	case hits.has("upload-lost"):
		panic(http.ErrAbortHandler)
	default:
		c.confirm(f)
	}
}

// refuseForm answers after the rest of the form has come, as a client that still sends would
// often not hear it.
func (c *call) refuseForm(e *ossError) {
	_, _ = io.Copy(io.Discard, io.LimitReader(c.r.Body, int64(c.opt.MaxUploadMB)<<20)) // or it hears nothing
	c.deny(*e)
}

// confirm answers as the form asked.
func (c *call) confirm(f form) {
	c.w.Header().Set("x-oss-request-id", c.ossID())
	c.w.Header().Set("x-oss-hash-crc64ecma", strconv.FormatUint(f.file.crc64, 10))
	c.w.Header().Set("ETag", `"`+strings.ToUpper(hex.EncodeToString(f.file.md5))+`"`)
	switch f.fields["success_action_status"] {
	case "200":
		c.w.WriteHeader(http.StatusOK)
	case "201":
		body, _ := xml.Marshal(struct {
			XMLName xml.Name `xml:"PostResponse"`
			Key     string
		}{Key: f.fields["key"]}) // strings always marshal
		c.send(http.StatusCreated, "application/xml", body)
	default:
		c.w.WriteHeader(http.StatusNoContent)
	}
}

// takeForm reads the fields, judges them, and stores the file, which must come last.
func (c *call) takeForm() (form, *ossError) {
	parts, err := c.r.MultipartReader()
	if err != nil {
		return form{}, unreadableForm
	}
	f := form{fields: map[string]string{}}
	for {
		part, err := parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return f, &ossError{status: 400, Code: "InvalidArgument", Message: "POST requires exactly one file upload per request."}
		case err != nil:
			return f, unreadableForm
		case part.FormName() == "file":
			return f, c.takeFile(parts, part, &f)
		}
		value, err := io.ReadAll(io.LimitReader(part, maxField+1))
		if err != nil || len(value) > maxField {
			return f, unreadableForm
		}
		f.fields[part.FormName()] = string(value)
	}
}

var unreadableForm = &ossError{status: 400, Code: "MalformedPOSTRequest",
	Message: "The body of your POST request is not well-formed multipart/form-data."}

func policyFailed(why string) *ossError {
	return &ossError{status: 403, Code: "AccessDenied", Message: "Invalid according to Policy: " + why}
}

// takeFile stores the file of a form whose fields are known.
func (c *call) takeFile(parts *multipart.Reader, part io.Reader, f *form) *ossError {
	g, denied := c.checkForm(f.fields)
	if denied != nil {
		return denied
	}
	u, err := c.spool(part)
	if err != nil {
		return unreadableForm
	}
	u.grant = g
	_, after := parts.NextRawPart()
	switch {
	case u.size > int64(c.opt.MaxUploadMB)<<20:
		denied = &ossError{status: 400, Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed size."}
	case after == nil:
		denied = &ossError{status: 400, Code: "InvalidArgument", Message: "The file must be the last field of the form."}
	case !errors.Is(after, io.EOF):
		denied = unreadableForm
	default:
		denied = c.keep(u, f.fields["key"])
	}
	if denied != nil {
		_ = os.Remove(u.path) // Close removes the folder in any case
	}
	f.file = u
	return denied
}

// checkForm holds the fields against the policy they bring, which must be ours.
func (c *call) checkForm(fields map[string]string) (*grant, *ossError) {
	for _, name := range []string{"key", "policy", "OSSAccessKeyId", "Signature"} {
		if fields[name] == "" {
			return nil, &ossError{status: 400, Code: "InvalidArgument", Message: "Bucket POST must contain the specified '" + name +
				"'. If it is specified, please check the order of the fields."}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.grants[fields["policy"]]
	switch {
	case fields["OSSAccessKeyId"] != accessKey:
		return nil, &ossError{status: 403, Code: "InvalidAccessKeyId", Message: "The OSS Access Key Id you provided does not exist in our records."}
	case g == nil || fields["Signature"] != c.signPolicy(fields["policy"]):
		return nil, &ossError{status: 403, Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match " +
			"the signature you provided. Check your key and signing method."}
	case !c.at.Before(g.expires):
		return nil, policyFailed("Policy expired.")
	case !strings.HasPrefix(fields["key"], g.dir):
		return nil, policyFailed(`Policy Condition failed: ["starts-with", "$key", "` + g.dir + `"]`)
	case fields["x-oss-object-acl"] != "private":
		return nil, policyFailed(`Policy Condition failed: ["eq", "$x-oss-object-acl", "private"]`)
	case fields["x-oss-forbid-overwrite"] != "true":
		return nil, policyFailed(`Policy Condition failed: ["eq", "$x-oss-forbid-overwrite", "true"]`)
	}
	return g, nil
}

// spool writes a file to our disk. One that is too large is cut one byte past the cap.
func (c *call) spool(part io.Reader) (*upload, error) {
	f, err := c.spoolFile()
	if err != nil {
		return nil, err
	}
	sha, md, crc := sha256.New(), md5.New(), crc64.New(crc64.MakeTable(crc64.ECMA))
	size, err := io.Copy(io.MultiWriter(f, sha, md, crc), io.LimitReader(part, int64(c.opt.MaxUploadMB)<<20+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return &upload{path: f.Name(), size: size, sha256: hex.EncodeToString(sha.Sum(nil)), md5: md.Sum(nil), crc64: crc.Sum64(),
		expires: c.at.Add(c.opt.UploadLife)}, nil
}

// spoolFile makes a file in the folder of the uploads, which Close removes.
func (c *call) spoolFile() (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, c.ctx.Err()
	}
	if c.spooled == nil {
		s, err := newSpool(os.TempDir())
		if err != nil {
			return nil, err
		}
		c.spooled = s
	}
	return os.CreateTemp(c.spooled.dir, "*")
}

// keep enters a file into the store under its key, unless that is taken.
func (c *call) keep(u *upload, key string) *ossError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uploads[key] != nil {
		return &ossError{status: 409, Code: "FileAlreadyExists", Message: "The object you specified already exists and can not be overwritten."}
	}
	c.uploads[key] = u
	c.count.uploads.Files++
	c.count.uploads.Bytes += u.size
	c.count.uploads.Contents[u.sha256]++
	return nil
}

// forget removes the uploads whose life is over. The lock is held.
func (s *Server) forget(now time.Time) {
	for key, u := range s.uploads {
		if u.path != "" && !now.Before(u.expires) {
			_ = os.Remove(u.path) // Close removes the folder in any case
			s.uploads[key] = &upload{grant: u.grant, sha256: u.sha256, expires: u.expires}
		}
	}
}

// open finds an upload for a task: it must live, and be of the task's model and account.
func (s *Server) open(address string, t *task) (*input, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[strings.TrimPrefix(address, "oss://")]
	switch {
	case !t.order.resolve:
		return nil, time.Time{}, &flaw{unresolved.code, unresolved.message}
	case u == nil || u.path == "":
		return nil, time.Time{}, goneFlaw
	case u.grant.account != t.account || u.grant.model != t.order.Model:
		return nil, time.Time{}, statusFlaw(http.StatusForbidden, address)
	}
	in, err := openInput(u.path, address)
	return in, u.expires, err
}

// goneFlaw is the end of a task whose upload is not there, or not any more.
var goneFlaw = &flaw{"InvalidParameter.DataInspection", "Failed to find the requested media resource during the data inspection process."}

// unresolved and unresolvedURL are the two answers that are known for an oss:// input without the
// resolve header.
var (
	unresolved = refusal{http.StatusBadRequest, "InvalidParameter.DataInspection",
		"The media format is not supported or incorrect for the data inspection."}
	unresolvedURL = refusal{http.StatusBadRequest, "InvalidParameter",
		"The provided URL does not appear to be valid. Ensure it is correctly formatted."}
)

// Unresolved says how a create is refused that names an oss:// input without the resolve header.
// Which of the three the animate models do is not documented.
type Unresolved int

// The values of Unresolved.
const (
	UnresolvedTask    Unresolved = iota // accepted; the task FAILED InvalidParameter.DataInspection
	UnresolvedCreate                    // 400 InvalidParameter.DataInspection at once
	UnresolvedAddress                   // 400 InvalidParameter at once: not a valid URL
)

// checkResolve refuses a create at once, if that is how it is set.
func (c *call) checkResolve(o order) *refusal {
	if o.resolve || !strings.HasPrefix(o.Image, "oss://") && !strings.HasPrefix(o.Video, "oss://") {
		return nil
	}
	switch c.opt.Unresolved {
	case UnresolvedCreate:
		return &unresolved
	case UnresolvedAddress:
		return &unresolvedURL
	}
	return nil
}

// content is what an input is, however it is addressed: two uploads of one file are the same.
// The lock is held.
func (s *Server) content(address string) string {
	if u := s.uploads[strings.TrimPrefix(address, "oss://")]; u != nil {
		return "sha256:" + u.sha256
	}
	return unsigned(address)
}

// unsigned is a URL without its query, if it is signed: signed anew it is the same object.
func unsigned(address string) string {
	bare, query, _ := strings.Cut(address, "?")
	if strings.Contains(query, "Signature=") || strings.Contains(query, "-signature=") {
		return bare
	}
	return address
}

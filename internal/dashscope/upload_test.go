package dashscope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

const model = "wan2.2-animate-move"

// A depot is an endpoint whose upload_host is the endpoint itself.
type depot struct {
	*dashscope.Client
	answer func(w http.ResponseWriter, r *http.Request) // of the form POST
	posts  atomic.Int32
}

// storeSecret stands in the policy; it must never come back in a text.
const storeSecret = "policy-canary/+="

func newDepot(t *testing.T) *depot {
	t.Helper()
	d := &depot{answer: func(http.ResponseWriter, *http.Request) {}}
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/uploads" {
			text := strings.ReplaceAll(golden(t, "policy.json"), "https://dashscope-file-xxx.oss-cn-beijing.aliyuncs.com", srv.URL)
			io.WriteString(w, strings.ReplaceAll(text, "EXAMPLEsignature=", storeSecret))
			return
		}
		d.posts.Add(1)
		d.answer(w, r)
	}))
	t.Cleanup(srv.Close)
	uploads := &http.Transport{}
	t.Cleanup(uploads.CloseIdleConnections)
	d.Client = newClient(t, dashscope.Config{BaseURL: srv.URL, Uploads: uploads})
	return d
}

func (d *depot) policy(t *testing.T) dashscope.Policy {
	t.Helper()
	p, err := d.GetPolicy(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGetPolicyAsksAsDocumented(t *testing.T) {
	var got *http.Request
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, golden(t, "policy.json"))
	})
	p, err := c.GetPolicy(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	if p.Model != model || p.Life != 300*time.Second || p.MaxBytes != 200<<20 {
		t.Errorf("got %q %v %d", p.Model, p.Life, p.MaxBytes)
	}
	if got.Method != "GET" || got.URL.String() != "/api/v1/uploads?action=getPolicy&model="+model || got.Header.Get("Authorization") != "Bearer "+canary {
		t.Errorf("asked %s %s with %v", got.Method, got.URL, got.Header)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, secret := range []string{"eyJleGFtcGxlIjp0cnVlfQ==", "EXAMPLEsignature="} {
			if text := fmt.Sprintf(verb, p); strings.Contains(text, secret) {
				t.Errorf("%s shows %s", verb, secret)
			}
		}
	}
}

func TestGetPolicyReadsTolerantlyAndChecksStrictly(t *testing.T) {
	good := golden(t, "policy.json")
	tests := []struct{ name, from, to, wrong string }{
		{"as documented", "", "", ""},
		{"numbers as strings", `300`, `"300"`, ""},
		{"size as string", `200,`, `"200",`, ""},
		{"no size", `"max_file_size_mb": 200,`, ``, ""},
		{"no life", `300`, `0`, "how long"},
		{"no policy", `"policy": "eyJleGFtcGxlIjp0cnVlfQ==",`, ``, "lacks policy"},
		{"no signature", `"signature"`, `"signatur"`, "lacks policy, signature"},
		{"folder climbs", `dashscope-instant/`, `../`, "upload_dir"},
		{"folder is absolute", `dashscope-instant/`, `/etc/`, "upload_dir"},
		{"folder breaks a header", `00aa11bb/`, `00\r\nX: y/`, "upload_dir"},
		{"plain http", `https://dashscope`, `http://dashscope`, "neither https"},
		{"loopback that is not the endpoint", `https://dashscope-file-xxx.oss-cn-beijing.aliyuncs.com`, `http://127.0.0.1:1`, "neither https"},
		{"a user name", `https://dashscope`, `https://a:b@dashscope`, "upload_host"},
		{"no host", `https://dashscope-file-xxx.oss-cn-beijing.aliyuncs.com`, `file:///tmp`, "upload_host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := strings.Replace(good, tt.from, tt.to, 1)
			_, err := answering(t, canned{status: 200, body: body}).GetPolicy(t.Context(), model)
			if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
			if err != nil && (strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "EXAMPLE")) {
				t.Errorf("%v holds the policy", err)
			}
		})
	}
	_, err := answering(t, canned{status: 429, body: `{"code":"Throttling.RateQuota","message":"slow"}`}).GetPolicy(t.Context(), model)
	if e := asError(t, err); e.Class() != dashscope.ClassThrottle || e.MayHaveExecuted() {
		t.Errorf("429: class %v", e.Class())
	}
}

func asError(t *testing.T, err error) *dashscope.Error {
	t.Helper()
	var e *dashscope.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is %T, want *dashscope.Error", err, err)
	}
	return e
}

// readForm returns the names of the parts in order, and their values.
func readForm(t *testing.T, r *http.Request) (names []string, values map[string]string, file *multipart.Part) {
	t.Helper()
	m, err := r.MultipartReader()
	if err != nil {
		t.Fatal(err)
	}
	values = map[string]string{}
	for {
		part, err := m.NextRawPart()
		if err == io.EOF {
			return names, values, file
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, part.FormName())
		values[part.FormName()] = string(b)
		if part.FormName() == "file" {
			file = part
		}
	}
}

func TestUploadSendsTheDocumentedForm(t *testing.T) {
	d := newDepot(t)
	data := make([]byte, 3<<20+17)
	rand.Read(data)
	var names []string
	var values map[string]string
	var header http.Header
	var length int64
	d.answer = func(w http.ResponseWriter, r *http.Request) {
		header, length = r.Header, r.ContentLength
		names, values, _ = readForm(t, r)
		w.Header().Set("x-oss-hash-crc64ecma", strconv.FormatUint(crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)), 10))
	}
	p := d.policy(t)
	for range 2 { // a policy serves several files
		address, err := d.Upload(t.Context(), p, "abc.mp4", "video/mp4", int64(len(data)), iotest.HalfReader(bytes.NewReader(data)))
		if want := "oss://dashscope-instant/00aa11bb/2026-05-04/22cc33dd/abc.mp4"; err != nil || address != want {
			t.Fatalf("got %q, %v; want %q", address, err, want)
		}
	}
	wantNames := []string{"OSSAccessKeyId", "Signature", "policy", "key", "x-oss-object-acl", "x-oss-forbid-overwrite", "success_action_status", "x-oss-content-type", "file"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if values["file"] != string(data) {
		t.Error("the file did not arrive as it was")
	}
	delete(values, "file")
	wantValues := map[string]string{
		"OSSAccessKeyId": "EXAMPLE", "Signature": storeSecret, "policy": "eyJleGFtcGxlIjp0cnVlfQ==",
		"key":              "dashscope-instant/00aa11bb/2026-05-04/22cc33dd/abc.mp4",
		"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true", "success_action_status": "200", "x-oss-content-type": "video/mp4",
	}
	if diff := cmp.Diff(wantValues, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if length <= int64(len(data)) || header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(header), canary) {
		t.Errorf("length %d, header %v", length, header)
	}
}

func ossXML(status int, code, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>6A00</RequestId><StringToSign>%s</StringToSign></Error>`, code, message, storeSecret)
	}
}

func TestUploadErrors(t *testing.T) {
	d := newDepot(t)
	p := d.policy(t)
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		is     error
		class  dashscope.Class
		says   string
	}{
		{"policy expired", ossXML(403, "AccessDenied", "Invalid according to Policy: Policy expired."), dashscope.ErrPolicy, dashscope.ClassRetry, "Policy expired"},
		{"bad signature", ossXML(403, "SignatureDoesNotMatch", "you sent "+storeSecret), dashscope.ErrPolicy, dashscope.ClassRetry, "SignatureDoesNotMatch"},
		{"name taken", ossXML(409, "FileAlreadyExists", "exists"), dashscope.ErrExists, dashscope.ClassRetry, "FileAlreadyExists"},
		{"too large", ossXML(400, "EntityTooLarge", "too large"), nil, dashscope.ClassInput, "EntityTooLarge"},
		{"server", ossXML(500, "InternalError", "sorry"), nil, dashscope.ClassRetry, "(request 6A00)"},
		{"gateway", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(502)
			io.WriteString(w, "<html>"+storeSecret)
		}, nil, dashscope.ClassRetry, "HTTP 502"},
		{"a page", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "<html>please log in "+storeSecret)
		}, nil, dashscope.ClassRetry, "does not confirm"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, "/elsewhere?x="+storeSecret, http.StatusTemporaryRedirect)
		}, nil, dashscope.ClassConfig, "HTTP 307"},
		{"other bytes", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("x-oss-hash-crc64ecma", "1")
		}, nil, dashscope.ClassRetry, "other bytes"},
		{"cut", func(_ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 10)
			panic(http.ErrAbortHandler)
		}, nil, dashscope.ClassRetry, "upload http://127"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.answer = tt.answer
			d.posts.Store(0)
			_, err := d.Upload(t.Context(), p, "abc.png", "image/png", 6, strings.NewReader("abcdef"))
			e := asError(t, err)
			if tt.is != nil && !errors.Is(err, tt.is) || e.Class() != tt.class || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v of class %v, want %v, %v and %q", err, e.Class(), tt.is, tt.class, tt.says)
			}
			for _, form := range []string{storeSecret, canary} {
				if strings.Contains(err.Error()+e.Message, form) {
					t.Errorf("%v leaks %s", err, form)
				}
			}
			if n := d.posts.Load(); n != 1 || e.MayHaveExecuted() {
				t.Errorf("%d posts", n)
			}
		})
	}
}

func TestUploadRefusesBeforeItSends(t *testing.T) {
	d := newDepot(t)
	p := d.policy(t)
	none := newClient(t, dashscope.Config{BaseURL: "https://h"})
	tests := []struct {
		client *dashscope.Client
		policy dashscope.Policy
		name   string
		size   int64
		is     error
		class  dashscope.Class
	}{
		{d.Client, p, "../a.png", 1, nil, dashscope.ClassRetry},
		{d.Client, p, "a\".png", 1, nil, dashscope.ClassRetry},
		{d.Client, p, "täst.png", 1, nil, dashscope.ClassRetry},
		{d.Client, p, "a.png", 0, dashscope.ErrSource, dashscope.ClassRetry},
		{d.Client, p, "a.png", 200<<20 + 1, nil, dashscope.ClassInput},
		{d.Client, dashscope.Policy{}, "a.png", 1, dashscope.ErrPolicy, dashscope.ClassRetry},
		{none, p, "a.png", 1, nil, dashscope.ClassRetry},
	}
	for _, tt := range tests {
		_, err := tt.client.Upload(t.Context(), tt.policy, tt.name, "", tt.size, strings.NewReader("a"))
		if e := asError(t, err); e.Sent || tt.is != nil && !errors.Is(err, tt.is) || e.Class() != tt.class {
			t.Errorf("%q of %d bytes: %v of class %v", tt.name, tt.size, err, e.Class())
		}
	}
	if n := d.posts.Load(); n != 0 {
		t.Errorf("%d posts were sent", n)
	}
}

func TestUploadOfABadSource(t *testing.T) {
	d := newDepot(t)
	d.answer = func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	p := d.policy(t)
	broken := errors.New("disk on fire")
	for name, r := range map[string]io.Reader{
		"shorter": strings.NewReader("abc"),
		"broken":  io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)),
	} {
		_, err := d.Upload(t.Context(), p, "a.png", "", 6, r)
		if !errors.Is(err, dashscope.ErrSource) || name == "broken" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A file that grew is sent as long as it was announced.
	if _, err := d.Upload(t.Context(), p, "a.png", "", 6, strings.NewReader("abcdefgh")); err != nil {
		t.Error(err)
	}
}

// TestUploadEnds: neither a store that takes nothing nor one that never answers
// holds an upload for longer than the stall; one that is slow does.
func TestUploadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := canned{status: 200, body: golden(t, "policy.json")}
		for _, tt := range []struct {
			name  string
			store sluggish
			lasts time.Duration
			fails bool
		}{
			{"takes nothing", sluggish{taken: 0}, time.Minute, true},
			{"never answers", sluggish{taken: 100, silent: true}, time.Minute, true},
			{"slow", sluggish{taken: 100, pause: 50 * time.Second}, 100 * 50 * time.Second, false},
		} {
			c := newClient(t, dashscope.Config{BaseURL: "https://h", Transport: policy, Uploads: tt.store})
			p, err := c.GetPolicy(t.Context(), model)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = c.Upload(t.Context(), p, "a.mp4", "", 100*64<<10, zeros{})
			if took := time.Since(began); took < tt.lasts || took > tt.lasts+2*time.Minute || (err != nil) != tt.fails ||
				tt.fails && !strings.Contains(err.Error(), "no progress") {
				t.Errorf("%s: ended after %v with %v", tt.name, took, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		c := newClient(t, dashscope.Config{BaseURL: "https://h", Transport: policy, Uploads: sluggish{silent: true}})
		p, _ := c.GetPolicy(t.Context(), model)
		if _, err := c.Upload(ctx, p, "a.mp4", "", 1, zeros{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// sluggish is a store that takes so many blocks of 64 KiB, each after a pause.
type sluggish struct {
	taken  int
	pause  time.Duration
	silent bool
}

func (s sluggish) RoundTrip(req *http.Request) (*http.Response, error) {
	for range s.taken {
		time.Sleep(s.pause)
		if _, err := io.CopyN(io.Discard, req.Body, 64<<10); err != nil {
			return nil, err
		}
	}
	if s.silent || s.taken == 0 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return nil, err
	}
	return canned{status: 200}.RoundTrip(req)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestObjectName(t *testing.T) {
	seen := map[string]bool{}
	for source, ext := range map[string]string{
		"a.PNG": ".png", "dir/b.mp4": ".mp4", `c:\x\d.MOV`: ".mov", "täst.jpeg": ".jpeg", "none": "", "odd.p n": "", "x.tar.gz": ".gz", "a.d/b": "",
	} {
		name := dashscope.ObjectName(source)
		base := strings.TrimSuffix(name, ext)
		if len(base) != 26 || strings.Contains(base, ".") || seen[name] {
			t.Errorf("%s: %s", source, name)
		}
		seen[name] = true
	}
}

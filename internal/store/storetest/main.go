// Command storetest is an object store for tests: one bucket in memory, served on a
// loopback port until its standard input ends. The first line of its output is its
// base URL. It is a module of its own so that the main one need not know gofakes3.
//
// gofakes3 speaks S3 and checks no signature. In front of it this program refuses
// whoever shows no key, another key than the one it was given, or a signed URL
// whose time is over, or whose clock is off, and speaks so much OSS as its SDK needs:
// x-oss-meta-* headers, x-oss-forbid-overwrite and the CRC-64 of what was put. Flags
// make it a store that is set up wrongly.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	bucket := flag.String("bucket", "bucket", "its `name`")
	d := &door{}
	flag.StringVar(&d.id, "id", "AKTEST", "the only access key `id`")
	flag.DurationVar(&d.ahead, "ahead", 0, "how far its clock is ahead")
	flag.StringVar(&d.denied, "deny", "", "a `method` that nobody may use")
	flag.BoolVar(&d.hangs, "hang", false, "take requests and never answer")
	flag.Parse()
	if err := run(*bucket, d); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		os.Exit(1)
	}
}

func run(bucket string, d *door) error {
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	d.behind = gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = listener.Close()
	}()
	err = http.Serve(listener, d) //nolint:gosec // a test's server
	if strings.Contains(err.Error(), "use of closed") {
		return nil
	}
	return err
}

// A door stands before the store.
type door struct {
	id     string
	ahead  time.Duration
	denied string
	hangs  bool
	behind http.Handler

	fresh sync.Mutex // held while something is put only if it is not there
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.hangs {
		<-r.Context().Done()
		return
	}
	q := r.URL.Query()
	switch shown := r.Header.Get("Authorization") + q.Get("X-Amz-Credential") + q.Get("x-oss-credential"); {
	case shown == "":
		refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied.")
		return
	case !strings.Contains(shown, d.id+"/"):
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The access key id does not exist: "+shown)
		return
	case over(q.Get("X-Amz-Date"), q.Get("X-Amz-Expires")), over(q.Get("x-oss-date"), q.Get("x-oss-expires")):
		refuse(w, http.StatusForbidden, "AccessDenied", "Request has expired")
		return
	case d.skewed(r.Header.Get("X-Amz-Date")), d.skewed(r.Header.Get("X-Oss-Date")):
		refuse(w, http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
		return
	case r.Method == d.denied:
		refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied.")
		return
	}
	for name := range r.Header {
		if rest, ok := strings.CutPrefix(name, "X-Oss-Meta-"); ok {
			r.Header["X-Amz-Meta-"+rest] = r.Header[name]
		}
	}
	if r.Header.Get("X-Oss-Forbid-Overwrite") == "true" {
		d.fresh.Lock()
		defer d.fresh.Unlock()
		if d.holds(r) {
			refuse(w, http.StatusConflict, "FileAlreadyExists", "The object you specified already exists and can not be overwritten.")
			return
		}
	}
	crc := crc64.New(crc64.MakeTable(crc64.ECMA))
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(io.TeeReader(r.Body, crc))
		if err != nil {
			panic(http.ErrAbortHandler) // half a body is stored by no store
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.Header().Set("X-Oss-Hash-Crc64ecma", strconv.FormatUint(crc.Sum64(), 10))
	}
	t := &translator{ResponseWriter: w}
	d.behind.ServeHTTP(t, r)
	if !t.begun {
		t.WriteHeader(http.StatusOK)
	}
}

// holds tells whether there is something where r wants to put something.
func (d *door) holds(r *http.Request) bool {
	look := httptest.NewRequest(http.MethodHead, r.URL.String(), nil)
	look.Host = r.Host
	answer := httptest.NewRecorder()
	d.behind.ServeHTTP(answer, look)
	return answer.Code == http.StatusOK
}

// skewed tells a request whose time is too far from ours.
func (d *door) skewed(date string) bool {
	at, err := time.Parse(dateForm, date)
	return err == nil && time.Now().Add(d.ahead).Sub(at).Abs() > 15*time.Minute
}

const dateForm = "20060102T150405Z"

// over tells a signed URL whose time is past.
func over(date, seconds string) bool {
	if date == "" {
		return false
	}
	at, err := time.Parse(dateForm, date)
	n, err2 := strconv.Atoi(seconds)
	return err != nil || err2 != nil || n > 7*24*60*60 || time.Now().After(at.Add(time.Duration(n)*time.Second))
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

// A translator answers in both tongues.
type translator struct {
	http.ResponseWriter
	begun bool
}

func (t *translator) WriteHeader(status int) {
	t.begun = true
	for name, values := range t.Header() {
		if rest, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			t.Header()["X-Oss-Meta-"+rest] = values
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *translator) Write(b []byte) (int, error) {
	if !t.begun {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(b)
}

package pipeline

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// A bucket is as much of S3 as a put and a look need, without signatures.
type bucket struct {
	mu      sync.Mutex // guards all below
	objects map[string][]byte
	meta    map[string]http.Header
	puts    map[string]int // objects that were stored, by path
	failing time.Time      // it answers 503 from here on
	up      time.Time      // and before this
	loose   bool           // it knows no conditions
}

const bucketEndpoint = "http://127.0.0.1:8"

var bucketKeys = map[string]StoreKey{"s3": {ID: "AKWORLD", Secret: "bucket-canary"}}

func newBucket() *bucket {
	return &bucket{objects: map[string][]byte{}, meta: map[string]http.Header{}, puts: map[string]int{}}
}

// down lets the bucket fail for so long from now on.
func (b *bucket) down(d time.Duration) { b.downAfter(0, d) }

// downAfter lets the bucket fail for so long after a while.
func (b *bucket) downAfter(while, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = time.Now().Add(while)
	b.up = b.failing.Add(d)
}

// fails tells whether the bucket is down now.
func (b *bucket) fails() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.failing) && time.Now().Before(b.up)
}

// sum is the SHA-256 of the object at a URL; "" if there is none.
func (b *bucket) sum(url string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, found := b.objects[strings.TrimPrefix(url, bucketEndpoint)]
	if !found {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	down := b.fails()
	b.mu.Lock()
	defer b.mu.Unlock()
	data, found := b.objects[r.URL.Path]
	signed := r.Method == http.MethodGet && r.URL.Query().Get("X-Amz-Signature") != "" && r.URL.Query().Get("X-Amz-Expires") == "90000" // 25 h
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case !strings.Contains(r.Header.Get("Authorization"), "AKWORLD/") && !signed:
		w.WriteHeader(http.StatusForbidden)
	case r.Header.Get("If-None-Match") == "*" && found && !b.loose:
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPut:
		data, _ := io.ReadAll(r.Body)
		if sum := md5.Sum(data); r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		b.puts[r.URL.Path]++
		b.objects[r.URL.Path], b.meta[r.URL.Path] = data, r.Header.Clone()
	case !found:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(b.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		for name, values := range b.meta[r.URL.Path] {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				w.Header()[name] = values
			}
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		if r.Method == http.MethodGet {
			w.Write(data)
		}
	}
}

// RoundTrip is the network between the provider and the bucket.
func (b *bucket) RoundTrip(r *http.Request) (*http.Response, error) { return answer(b, r) }

// toBucket is the network between the machine and the bucket.
type toBucket struct{ *world }

func (w toBucket) RoundTrip(r *http.Request) (*http.Response, error) {
	what := r.Method + " of the bucket"
	if err := w.tick("send " + what); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.calls++
	w.mu.Unlock()
	resp, err := answer(w.bucket, r)
	if dead := w.tick("hear of " + what); dead != nil {
		return nil, dead
	}
	return resp, err
}

// intoBucket lets the videos of a plan be put into the bucket.
func intoBucket(only bool) func(*Plan, *emulator.Options) {
	return func(p *Plan, _ *emulator.Options) {
		p.Manifest.Output.Store = "s3://bucket/prefix?endpoint=" + bucketEndpoint
		p.Manifest.Output.StoreOnly = only
	}
}

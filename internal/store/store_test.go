package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/store"
)

// A dealer is a store of ours whose every request passes the test first.
type dealer struct {
	*store.Store
	t    *testing.T
	cfg  store.Config
	spy  *spy
	name string // a prefix of its own
}

func newDealer(t *testing.T, kind string) *dealer {
	t.Helper()
	d := &dealer{t: t, spy: &spy{under: &http.Transport{}}, name: rand.Text()}
	d.open("bucket", kind, "AKTEST")
	return d
}

func (d *dealer) open(bucket, kind, id string) {
	d.t.Helper()
	loc, err := store.Parse(kind + "://" + bucket + "/" + d.name + "?region=here&endpoint=" + depot)
	if err != nil {
		d.t.Fatal(err)
	}
	d.cfg = store.Config{Location: loc, Credentials: store.NewCredentials(id, secret, ""), Transport: d.spy}
	d.Store, err = store.Open(d.cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.spy.under.CloseIdleConnections)
}

// A spy counts requests, and may answer a put in place of the store.
type spy struct {
	under *http.Transport
	mu    sync.Mutex // guards puts
	puts  int
	spoil func(r *http.Request, pass func(*http.Request) (*http.Response, error)) (*http.Response, error)
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut {
		return s.under.RoundTrip(r)
	}
	s.mu.Lock()
	s.puts++
	s.mu.Unlock()
	if s.spoil == nil {
		return s.under.RoundTrip(r)
	}
	return s.spoil(r, s.under.RoundTrip)
}

func file(data []byte) store.File {
	sum := sha256.Sum256(data)
	return store.File{Body: bytes.NewReader(data), Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), ContentType: "video/mp4"}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// get reads a URL without credentials.
func (d *dealer) get(url string) (status int, contentType string, body []byte) {
	d.t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := d.spy.under.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), body
}

func TestPutAndSign(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		data := random(6<<20 + 3)
		const key = "spring/täst 1.mp4"
		if _, err := d.Stat(t.Context(), key); !errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrSetup) {
			t.Errorf("before: %v", err)
		}
		address, err := d.Put(t.Context(), key, file(data))
		if want := depot + "/bucket/" + d.name + "/spring/t%C3%A4st%201.mp4"; err != nil || address != want || d.Address(key) != want {
			t.Fatalf("put: %q, %v, want %s", address, err, want)
		}
		if got, err := d.Stat(t.Context(), key); err != nil || got.Bytes != int64(len(data)) || got.SHA256 != file(data).SHA256 {
			t.Errorf("stat: %+v, %v", got, err)
		}
		signed, expires, err := d.Sign(t.Context(), key, 25*time.Hour)
		if life := time.Until(expires); err != nil || life > 25*time.Hour || life < 25*time.Hour-time.Minute {
			t.Fatalf("signed for %v, %v", life, err)
		}
		if bare, _, _ := strings.Cut(signed, "?"); bare != address || !strings.Contains(signed, "xpires=90000") {
			t.Errorf("signed as %s", signed)
		}
		if status, kind, body := d.get(signed); status != 200 || kind != "video/mp4" || !bytes.Equal(body, data) {
			t.Errorf("signed URL: %d %s, %d bytes", status, kind, len(body))
		}
		if status, _, _ := d.get(address); status != 403 {
			t.Errorf("without a signature: %d", status)
		}
		if signed, _, err = d.Sign(t.Context(), key, 1000*time.Hour); err != nil || !strings.Contains(signed, "xpires=604800") {
			t.Errorf("at most seven days: %s, %v", signed, err)
		}
		if status, _, _ := d.get(signed); status != 200 {
			t.Errorf("seven days: %d", status)
		}
		if _, _, err := d.Sign(t.Context(), key, 0); err == nil {
			t.Error("signed for no time")
		}
	})
}

// TestPutAgain: what the store holds is not sent again, by whatever crash; what is
// something else is replaced.
func TestPutAgain(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		one, two := random(1000), random(1000)
		for i, step := range []struct {
			data []byte
			puts int
		}{{one, 1}, {one, 1}, {two, 2}, {two, 2}, {one[:999], 3}} {
			if _, err := d.Put(t.Context(), "a.mp4", file(step.data)); err != nil || d.spy.puts != step.puts {
				t.Fatalf("step %d: %d puts, want %d; %v", i, d.spy.puts, step.puts, err)
			}
			signed, _, _ := d.Sign(t.Context(), "a.mp4", time.Hour)
			if _, _, body := d.get(signed); !bytes.Equal(body, step.data) {
				t.Fatalf("step %d: the store holds other bytes", i)
			}
		}
	})
}

// TestPutKeepsWhatIsAnothers: only an owner's own object is replaced.
func TestPutKeepsWhatIsAnothers(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		one, two := random(1000), random(1000)
		for i, step := range []struct {
			owner string
			data  []byte
			fine  bool
			holds []byte
		}{
			{"", one, true, one}, {"ann", two, false, one}, {"ann", one, true, one}, {"", two, true, two},
			{"gone", nil, true, nil}, {"ann", one, true, one}, {"ann", two, true, two}, {"bob", one, false, two}, {"", one, false, two},
		} {
			if step.owner == "gone" {
				if err := d.Remove(t.Context(), "a.mp4"); err != nil {
					t.Fatal(err)
				}
				continue
			}
			f := file(step.data)
			f.Owner = step.owner
			if _, err := d.Put(t.Context(), "a.mp4", f); step.fine != (err == nil) || !step.fine && !errors.Is(err, store.ErrExists) {
				t.Errorf("step %d: %v", i, err)
			}
			if got, err := d.Get(t.Context(), "a.mp4", 2000); err != nil || !bytes.Equal(got, step.holds) {
				t.Errorf("step %d: the store holds other bytes; %v", i, err)
			}
		}
	})
}

// TestPutNew: of many at once one wins, and nobody writes over it. Where the store
// knows no such condition the text is put all the same.
func TestPutNew(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		const key = "spring/README.txt"
		if _, err := d.Get(t.Context(), key, 100); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		var won, lost atomic.Int32
		var winner atomic.Value
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				text := fmt.Sprint("batch ", i)
				switch err := d.PutNew(t.Context(), key, []byte(text)); {
				case err == nil:
					won.Add(1)
					winner.Store(text)
				case errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrSetup):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		text, err := d.Get(t.Context(), key, 100)
		if won.Load() != 1 || lost.Load() != 7 || err != nil || string(text) != winner.Load() {
			t.Errorf("%d won, %d lost; %q is there, %v won, %v", won.Load(), lost.Load(), text, winner.Load(), err)
		}
		if text, err = d.Get(t.Context(), key, 3); string(text) != "bat" || err != nil {
			t.Errorf("the beginning: %q, %v", text, err)
		}
		for range 2 {
			if err := d.Remove(t.Context(), key); err != nil {
				t.Errorf("remove: %v", err)
			}
		}
		if _, err := d.Stat(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removed: %v", err)
		}
		d.spy.spoil = func(r *http.Request, pass func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if r.Header.Get("If-None-Match")+r.Header.Get("X-Oss-Forbid-Overwrite") == "" {
				return pass(r)
			}
			const body = "<Error><Code>NotImplemented</Code><Message>A header you provided</Message></Error>"
			io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: 501, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
		if err := d.PutNew(t.Context(), key, []byte("plain")); err != nil {
			t.Errorf("a store without conditions: %v", err)
		}
		if text, err := d.Get(t.Context(), key, 100); string(text) != "plain" || err != nil {
			t.Errorf("a store without conditions holds %q, %v", text, err)
		}
	})
}

// TestPutLosesNothing: after a lost reply the next put finds that the file is there.
func TestPutLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		d.spy.spoil = func(r *http.Request, pass func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			resp, err := pass(r)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		data := random(1000)
		_, err := d.Put(t.Context(), "a.mp4", file(data))
		if err == nil || errors.Is(err, store.ErrSetup) || errors.Is(err, store.ErrSource) || d.spy.puts != 1 {
			t.Errorf("reply lost: %v after %d puts", err, d.spy.puts)
		}
		wantClean(t, err)
		if _, err := d.Put(t.Context(), "a.mp4", file(data)); err != nil || d.spy.puts != 1 {
			t.Errorf("after that: %v, %d puts", err, d.spy.puts)
		}
	})
}

func TestPutIsProven(t *testing.T) {
	answer := func(status int, body string) func(*http.Request, func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		return func(r *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	damage := func(r *http.Request, pass func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		body[len(body)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
		return pass(r)
	}
	cut := func(r *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		io.CopyN(io.Discard, r.Body, 100)
		return nil, io.ErrUnexpectedEOF
	}
	each(t, func(t *testing.T, d *dealer) {
		for name, tt := range map[string]struct {
			spoil func(*http.Request, func(*http.Request) (*http.Response, error)) (*http.Response, error)
			is    error
		}{
			"a proxy's 200": {answer(200, "<html>"), store.ErrNotFound},
			"damaged":       {damage, nil},
			"cut":           {cut, nil},
			"redirected":    {answer(307, ""), store.ErrSetup},
			"forbidden":     {answer(403, "<Error><Code>AccessDenied</Code><Message>no "+secret+" https%3A%2F%2Fh%3FSignature%3DY2FuYXJ5 Expires=1790000000</Message></Error>"), store.ErrSetup},
			"busy":          {answer(503, "<Error><Code>SlowDown</Code></Error>"), nil},
		} {
			d.spy.spoil = tt.spoil
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := d.Put(ctx, "a.mp4", file(random(1000)))
			cancel()
			if err == nil || errors.Is(err, context.DeadlineExceeded) || tt.is != nil && !errors.Is(err, tt.is) ||
				tt.is == nil && (errors.Is(err, store.ErrSetup) || errors.Is(err, store.ErrSource)) {
				t.Errorf("%s: %v", name, err)
			}
			wantClean(t, err)
			if strings.Contains(err.Error(), "Y2FuYXJ5") || strings.Contains(err.Error(), "1790000000") {
				t.Errorf("%s: a signature is told: %v", name, err)
			}
			if _, err := d.Stat(t.Context(), "a.mp4"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: afterwards %v", name, err)
			}
		}
	})
}

// A put that somebody on the way confirms, and the store never saw, leaves what was
// there before: that is not what was put.
func TestPutOverAnotherIsProven(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		if _, err := d.Put(t.Context(), "a.mp4", file(random(1000))); err != nil {
			t.Fatal(err)
		}
		d.spy.spoil = func(r *http.Request, _ func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		}
		for _, n := range []int{1000, 999} {
			if address, err := d.Put(t.Context(), "a.mp4", file(random(n))); err == nil || errors.Is(err, store.ErrSetup) || errors.Is(err, store.ErrSource) {
				t.Errorf("%d other bytes are said to lie at %s, %v", n, address, err)
			}
		}
	})
}

// signed finds what a store repeats of a signed request.
var signed = regexp.MustCompile(`(?i)signature=[0-9a-f]`)

func wantClean(t *testing.T, err error) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v", err, errors.Unwrap(err)); strings.Contains(text, secret) || strings.Contains(text, "AKTEST") || strings.ContainsAny(text, "\n\r\x1b") ||
		signed.MatchString(text) {
		t.Errorf("%q is not fit to show", text)
	}
}

func TestPutOfAnotherFile(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		data := random(1000)
		changed, short, broken := file(data), file(data), file(data)
		changed.Body = bytes.NewReader(random(1000))
		short.Body = bytes.NewReader(data[:999])
		broken.Body = badReader{}
		for name, f := range map[string]store.File{"changed": changed, "short": short, "broken": broken} {
			if _, err := d.Put(t.Context(), name, f); !errors.Is(err, store.ErrSource) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if d.spy.puts != 0 {
			t.Errorf("%d puts", d.spy.puts)
		}
	})
}

type badReader struct{}

func (badReader) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk on fire") }

func TestSetupIsRefused(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		kind := d.Location().Kind
		for name, open := range map[string]func(){
			"wrong key":    func() { d.open("bucket", kind, "AKOTHER") },
			"wrong bucket": func() { d.open("no-bucket", kind, "AKTEST") },
		} {
			open()
			_, err := d.Put(t.Context(), "a.mp4", file(random(10)))
			if code := store.Code(err); code == "" || store.CodeIn(err.Error()) != code {
				t.Errorf("%s: code %q, %q in the text: %v", name, code, store.CodeIn(err.Error()), err)
			}
			if !errors.Is(err, store.ErrSetup) || !strings.Contains(err.Error(), "a.mp4") || strings.Contains(err.Error(), "AKOTHER") {
				t.Errorf("%s: %v", name, err)
			}
			wantClean(t, err)
		}
	})
	if _, err := store.Open(store.Config{}); err == nil {
		t.Error("no location")
	}
	loc, _ := store.Parse("s3://bucket?region=eu")
	if _, err := store.Open(store.Config{Location: loc, Credentials: store.NewCredentials("id", "", "")}); err == nil {
		t.Error("half of the credentials")
	}
}

// TestPutStreams: a file is never held in memory.
func TestPutStreams(t *testing.T) {
	each(t, func(t *testing.T, d *dealer) {
		const size = 16 << 20
		sum := sha256.New()
		io.CopyN(sum, zeros{}, size)
		f := store.File{Body: zeros{}, Bytes: size, SHA256: hex.EncodeToString(sum.Sum(nil))}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := d.Put(t.Context(), "large", f); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%d bytes were allocated for a file of %d", used, size)
		}
	})
}

type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }
func (zeros) Read(b []byte) (int, error)            { clear(b); return len(b), nil }

// TestPutEnds: a store that takes nothing holds a put for no longer than the stall,
// one that is slow for as long as it takes.
func TestPutEnds(t *testing.T) {
	for _, kind := range []string{store.OSS, store.S3} {
		synctest.Test(t, func(t *testing.T) {
			loc, err := store.Parse(kind + "://bucket?region=here&endpoint=http://127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			for _, pause := range []time.Duration{0, 50 * time.Second} {
				s, err := store.Open(store.Config{Location: loc, Credentials: store.NewCredentials("id", secret, ""), Transport: slow(pause)})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err = s.Put(t.Context(), "a.mp4", file(make([]byte, 20*64<<10)))
				took := time.Since(began)
				if pause == 0 && (!strings.Contains(fmt.Sprint(err), "no progress") || took > 3*time.Minute) {
					t.Errorf("%s, takes nothing: %v after %v", kind, err, took)
				}
				if pause > 0 && (!errors.Is(err, store.ErrNotFound) || took < 20*pause || took > 25*pause) {
					t.Errorf("%s, slow: %v after %v", kind, err, took)
				}
			}
		})
	}
}

// TestSilentStore: a store that never answers holds nobody for longer than the stall.
func TestSilentStore(t *testing.T) {
	for _, kind := range []string{store.OSS, store.S3} {
		synctest.Test(t, func(t *testing.T) {
			loc, err := store.Parse(kind + "://bucket?region=here&endpoint=http://127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(store.Config{Location: loc, Credentials: store.NewCredentials("id", secret, ""), Transport: silent{}})
			if err != nil {
				t.Fatal(err)
			}
			for name, call := range map[string]func() error{
				"stat":   func() error { _, err := s.Stat(t.Context(), "a"); return err },
				"get":    func() error { _, err := s.Get(t.Context(), "a", 10); return err },
				"put":    func() error { _, err := s.Put(t.Context(), "a", file([]byte("a"))); return err },
				"new":    func() error { return s.PutNew(t.Context(), "a", []byte("a")) },
				"remove": func() error { return s.Remove(t.Context(), "a") },
			} {
				began := time.Now()
				err := call()
				if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrSetup) || time.Since(began) > 61*time.Second {
					t.Errorf("%s: %s: %v after %v", kind, name, err, time.Since(began))
				}
			}
		})
	}
}

// silent is a store that takes requests and never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// slow is a store that takes 64 KiB after each pause, or nothing if that is 0, and
// holds nothing.
type slow time.Duration

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody, Request: r}
	if r.Method != http.MethodPut {
		return resp, nil
	}
	for {
		if s == 0 {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		time.Sleep(time.Duration(s))
		if _, err := io.CopyN(io.Discard, r.Body, 64<<10); err == io.EOF {
			resp.StatusCode = http.StatusOK
			return resp, nil
		} else if err != nil {
			return nil, err
		}
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	c := store.NewCredentials("AKTEST", secret+"\n", "token-canary")
	type holder struct{ c store.Credentials }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, &c, holder{c}, store.Config{Credentials: c}, []any{c}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "canary") || strings.Contains(text, "AKTEST") {
				t.Errorf("%s shows %s", verb, text)
			}
		}
	}
	if b, err := json.Marshal(map[string]any{"c": c}); err != nil || strings.Contains(string(b), "canary") {
		t.Errorf("json: %s, %v", b, err)
	}
}

func TestInputKey(t *testing.T) {
	for name, want := range map[string]string{"a/b.PNG": "ff.png", "c.mp4": "ff.mp4", "none": "ff", "odd.p n": "ff", "d.d/e": "ff"} {
		if got := store.InputKey("ff", name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/wanbatch/wanbatch/pipeline"
)

// receiver answers the n-th request with the n-th code and keeps what it got.
func receiver(t *testing.T, codes ...int) (address string, got *atomic.Int64) {
	got = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := got.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || string(body) != `{"a":1}` || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %q", r.Method, r.Header, body)
		}
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "auth") || strings.Contains(fmt.Sprint(r.Header[name]), testKey) {
				t.Errorf("header %s is sent", name)
			}
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(codes[min(int(n), len(codes))-1])
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hook?token=canary", got
}

func post(t *testing.T, address string) error {
	t.Helper()
	n, err := pipeline.NewNotifier(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n.Post(t.Context(), []byte(`{"a":1}`))
}

func TestNotify(t *testing.T) {
	address, got := receiver(t, 204)
	if err := post(t, address); err != nil || got.Load() != 1 {
		t.Errorf("%d requests: %v", got.Load(), err)
	}
}

func TestNotifyTriesAgainWhatMayPass(t *testing.T) {
	address, got := receiver(t, 503, 429, 200)
	synctest.Test(t, func(t *testing.T) {
		if err := post(t, address); err != nil || got.Load() != 3 {
			t.Errorf("%d requests: %v", got.Load(), err)
		}
	})
}

// Refusals are final, redirects are not followed, and the URL stays secret.
func TestNotifyGivesUp(t *testing.T) {
	for _, code := range []int{400, 404, 302, 307} {
		address, got := receiver(t, code)
		err := post(t, address)
		if err == nil || got.Load() != 1 || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "hook") {
			t.Errorf("%d: %d requests: %v", code, got.Load(), err)
		}
	}
}

// The tries are bounded, in number and in time, also where nobody answers.
func TestNotifyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, err := pipeline.NewNotifier("http://127.0.0.1:1/x?token=canary", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Post(ctx, nil); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("nobody listens: %v", err)
		}
		cancel()
		if err := n.Post(ctx, nil); err == nil {
			t.Error("cancelled, and no error")
		}
	})
}

func TestNotifyAddresses(t *testing.T) {
	for _, address := range []string{
		"", "hook", "ftp://example.com/", "http://example.com/", "https://10.0.0.1/", "https://192.168.1.1/", "http://10.0.0.1/",
		"https://169.254.169.254/latest", "https://[fe80::1]/", "https://0x7f.1/", "https://user:canary@example.com/", "https://2130706433/",
	} {
		if _, err := pipeline.NewNotifier(address, nil); !errors.Is(err, pipeline.ErrUsage) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"https://hooks.example.com/x", "http://127.0.0.1:9/x", "https://localhost/x", "http://[::1]:9/"} {
		if _, err := pipeline.NewNotifier(address, nil); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

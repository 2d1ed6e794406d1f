package dashscope_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/dashscope"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is the key of every test; it must never come back in a text.
const canary = "sk-canary+/=&7f3a9c"

const goodID = "5b1c0e7a-40d2-4e6f-9a83-1f2d3c4b5a69"

var pair = dashscope.CreateRequest{
	Model:      "wan2.2-animate-move",
	ImageURL:   "https://media.example.com/chars/heroine-01.png",
	VideoURL:   "https://media.example.com/refs/walk-07.mp4",
	Mode:       "wan-std",
	CheckImage: true,
}

// newClient returns a client for base that is closed with the test.
func newClient(t testing.TB, cfg dashscope.Config) *dashscope.Client {
	t.Helper()
	if cfg.Key.IsZero() {
		cfg.Key = dashscope.NewSecret(canary)
	}
	c, err := dashscope.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve returns a client of a server that answers with h.
func serve(t *testing.T, h http.HandlerFunc) *dashscope.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newClient(t, dashscope.Config{BaseURL: srv.URL})
}

// canned is a transport that answers without a network.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	header := c.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(strings.NewReader(c.body)), Request: req}, nil
}

// answering returns a client that gets this answer to every call.
func answering(t testing.TB, a canned) *dashscope.Client {
	return newClient(t, dashscope.Config{BaseURL: "https://dashscope.aliyuncs.com", Transport: a})
}

func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

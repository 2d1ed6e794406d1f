package fetch_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

type broken struct{ text string }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New(b.text) }

// What a network's error repeats of a signed URL is hidden, whole or in pieces.
func TestErrorsTellNoSignature(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"URL", "proxy: https://h/a?Signature=Y2FuYXJ5 is refused"},
		{"alone", "proxy: bad header Signature=Y2FuYXJ5&Expires=1"},
		{"escaped", "proxy: https%3A%2F%2Fh%2Fa%3FSignature%3DY2FuYXJ5"},
		{"version 4", "proxy: Credential=Y2FuYXJ5/20261126, X-Amz-Security-Token=Y2FuYXJ5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, fetch.Config{Transport: broken{tt.text}})
			_, err := p.Fetch(t.Context(), disk.Dir(p.root), target, "https://h.example/a.mp4", nil)
			if err == nil || strings.Contains(err.Error(), "Y2FuYXJ5") || !strings.Contains(err.Error(), "proxy: ") {
				t.Errorf("%v", err)
			}
		})
	}
}

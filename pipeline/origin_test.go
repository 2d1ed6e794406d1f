package pipeline

import (
	"net/url"
	"testing"
)

func TestOriginHasOneSpelling(t *testing.T) {
	for spelled, want := range map[string]string{
		"https://Host.example:443/api/v1": "https://host.example",
		"https://host.example.":           "https://host.example",
		"https://host.example.:443":       "https://host.example",
		"https://host.example:80":         "https://host.example:80",
		"https://host.example:8443":       "https://host.example:8443",
		"http://127.0.0.1:80":             "http://127.0.0.1",
		"http://127.0.0.1:443":            "http://127.0.0.1:443",
		"http://[::1]:80":                 "http://[::1]",
		"http://[::1]:8080/":              "http://[::1]:8080",
	} {
		u, err := url.Parse(spelled)
		if err != nil {
			t.Fatal(err)
		}
		if got := originOf(u); got != want {
			t.Errorf("%s: got %s, want %s", spelled, got, want)
		}
	}
}

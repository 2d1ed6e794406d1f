package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// startReceiver serves a place to notify, keeps what it got last in notice.json, and
// puts its address into NOTIFY: receiver. Whatever asks for /away gets a 404.
func startReceiver(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.MkAbs("notice.json")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file, body, 0o600)
		}
		if err != nil || strings.Contains(fmt.Sprint(r.Header), "sk-") || r.URL.Path == "/away" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("NOTIFY", s.URL)
}

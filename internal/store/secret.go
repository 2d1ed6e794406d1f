package store

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Credentials open a bucket. They print as "***" under every verb and encoding.
type Credentials struct {
	// A function, because fmt prints what it finds in unexported fields.
	reveal func() (id, secret, token string)
}

// NewCredentials returns the credentials; token is for temporary ones, else "".
func NewCredentials(id, secret, token string) Credentials {
	id, secret, token = strings.TrimSpace(id), strings.TrimSpace(secret), strings.TrimSpace(token)
	if id == "" || secret == "" {
		return Credentials{}
	}
	return Credentials{func() (string, string, string) { return id, secret, token }}
}

// IsZero reports whether there are none: an id and a secret are needed.
func (c Credentials) IsZero() bool { return c.reveal == nil }

// Format writes "***" for every verb and flag.
func (c Credentials) Format(f fmt.State, _ rune) { io.WriteString(f, "***") }

// MarshalJSON returns "***".
func (c Credentials) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// scrubber returns a function that frees a text of the credentials.
func (c Credentials) scrubber() func(string) string {
	var pairs []string
	id, secret, token := c.reveal()
	for _, s := range []string{secret, token, id} {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			pairs = append(pairs, form, "***")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

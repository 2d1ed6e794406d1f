package dashscope

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// masked is what every way of printing a Secret shows.
const masked = "***"

// Secret is an API key that does not print: every fmt verb, JSON and text
// encoding show "***". The zero Secret is empty. Copies are cheap and a Secret
// is safe for concurrent use.
type Secret struct {
	// A pointer, because fmt cannot call methods on the unexported field of
	// another struct and would print a string that it finds there.
	text *string
}

// NewSecret returns the key, freed of surrounding white space (key files end
// in a newline).
func NewSecret(key string) Secret {
	key = strings.TrimSpace(key)
	return Secret{text: &key}
}

// IsZero reports whether there is no key.
func (s Secret) IsZero() bool { return s.reveal() == "" }

// Check refuses a key that is empty or could not stand in a header, without
// repeating it.
func (s Secret) Check() error {
	if s.IsZero() {
		return errors.New("the API key is empty")
	}
	for _, r := range s.reveal() {
		if r <= ' ' || r > '~' {
			return errors.New("the API key holds a character that no key has: white space, control or non-ASCII")
		}
	}
	return nil
}

// Fingerprint returns the first 8 hexadecimal digits of the key's SHA-256, which
// names the key in locks, journals and reports without giving it away. It is ""
// for the zero Secret.
func (s Secret) Fingerprint() string {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(s.reveal()))
	return hex.EncodeToString(sum[:4])
}

// String returns "***".
func (s Secret) String() string { return masked }

// GoString returns "***".
func (s Secret) GoString() string { return masked }

// Format writes "***" for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, masked) }

// MarshalText returns "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalJSON returns "***" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

func (s Secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

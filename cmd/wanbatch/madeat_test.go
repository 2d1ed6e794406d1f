package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var emulated = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// madeAt writes a journal as if the emulator of its runs had been another endpoint,
// such as the provider, whom no test may ask: madeat FOLDER ENDPOINT
func madeAt(ts *testscript.TestScript, neg bool, args []string) {
	name := filepath.Join(ts.MkAbs(args[0]), "journal.jsonl")
	text, err := os.ReadFile(name)
	ts.Check(err)
	var b bytes.Buffer
	sum := strings.Repeat("0", 64)
	for n, line := range bytes.Split(bytes.TrimSpace(emulated.ReplaceAll(text, []byte(args[1]))), []byte("\n")) {
		var record struct{ Data json.RawMessage }
		ts.Check(json.Unmarshal(line, &record))
		hash := sha256.Sum256(append([]byte(sum), record.Data...))
		sum = hex.EncodeToString(hash[:])
		fmt.Fprintf(&b, `{"seq":%d,"sum":"%s","data":%s}`+"\n", n+1, sum, record.Data)
	}
	ts.Check(os.WriteFile(name, b.Bytes(), 0o600))
}

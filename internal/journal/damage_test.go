package journal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/journal"
)

// wantCorrupt expects damage at the given line, after all records before it
// and none behind.
func wantCorrupt(t testing.TB, r io.Reader, line int) (reason string) {
	t.Helper()
	seen := 0
	head, torn, err := journal.Replay(r, func(int, json.RawMessage) error { seen++; return nil })
	var corrupt *journal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Line != line {
		t.Fatalf("got torn=%v err=%v, want damage at line %d", torn, err, line)
	}
	if seen != max(line-2, 0) || int(head.Records) != line-1 {
		t.Fatalf("line %d damaged, but %d records given and %d in the head", line, seen, head.Records)
	}
	return corrupt.Reason
}

func TestEveryBitFlipIsNamed(t *testing.T) {
	t.Parallel()
	data := build(t, sample(18)...)
	if len(data) < 7<<10 {
		t.Fatalf("the sample has only %d bytes", len(data))
	}
	line := 1
	for i, original := range data {
		for bit := range 8 {
			data[i] = original ^ 1<<bit
			wantCorrupt(t, bytes.NewReader(data), line)
		}
		data[i] = original
		if original == '\n' {
			line++
		}
	}
}

func TestEveryCut(t *testing.T) {
	t.Parallel()
	whole := build(t, sample(5)...)
	for cut := range len(whole) {
		disk := planted(whole[:cut])
		complete := bytes.Count(whole[:cut], []byte("\n"))
		keep := bytes.LastIndexByte(whole[:cut], '\n') + 1

		head, torn, err := journal.Replay(bytes.NewReader(content(disk)), nil)
		if err != nil || torn != (keep < cut) || int(head.Records) != complete {
			t.Fatalf("cut at %d: head %+v torn %v err %v, want %d records", cut, head, torn, err, complete)
		}
		if !bytes.Equal(content(disk), whole[:cut]) {
			t.Fatalf("cut at %d: replay changed the file", cut)
		}
		log, err := journal.Open(disk, name, nil)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if f := content(disk); !bytes.HasPrefix(whole, f) || len(f) != max(keep, bytes.IndexByte(whole, '\n')+1) {
			t.Fatalf("cut at %d: repaired to %q", cut, content(disk))
		}
		if err := log.Append("next"); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if _, torn, err := journal.Replay(bytes.NewReader(content(disk)), nil); err != nil || torn {
			t.Fatalf("cut at %d, then appended: torn %v, %v", cut, torn, err)
		}
	}
}

func TestEditedLinesAreNamed(t *testing.T) {
	lines := bytes.SplitAfter(build(t, sample(20)...), []byte("\n"))
	lines = lines[:len(lines)-1]
	edit := func(parts ...[][]byte) io.Reader {
		var out []byte
		for _, p := range parts {
			out = append(out, bytes.Join(p, nil)...)
		}
		return bytes.NewReader(out)
	}
	for i := range len(lines) - 1 {
		wantCorrupt(t, edit(lines[:i], lines[i+1:]), i+1)                                 // removed
		wantCorrupt(t, edit(lines[:i+1], lines[i:]), i+2)                                 // repeated
		wantCorrupt(t, edit(lines[:i], [][]byte{lines[i+1], lines[i]}, lines[i+2:]), i+1) // swapped
		wantCorrupt(t, edit(lines[:i], [][]byte{[]byte("\n")}, lines[i:]), i+1)           // inserted
	}
	want := `record "7" stands where record 6 belongs`
	if reason := wantCorrupt(t, edit(lines[:5], lines[6:]), 6); !strings.Contains(reason, want) {
		t.Errorf("reason %q, want %q", reason, want)
	}
	// A record of another journal fits by number and form, not by chain.
	other := bytes.SplitAfter(build(t, append([]string{`"other"`}, sample(20)[1:]...)...), []byte("\n"))
	wantCorrupt(t, edit(lines[:5], other[5:6], lines[6:]), 6)
}

func TestCutWholeLinesShowInTheHead(t *testing.T) {
	whole := build(t, sample(5)...)
	full, _, err := journal.Replay(bytes.NewReader(whole), nil)
	if err != nil {
		t.Fatal(err)
	}
	short := whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1]
	cut, torn, err := journal.Replay(bytes.NewReader(short), nil)
	if err != nil || torn || cut == full || cut.Records != full.Records-1 {
		t.Errorf("head %+v torn %v err %v, whole journal %+v", cut, torn, err, full)
	}
}

func TestStrangersFileIsNotTouched(t *testing.T) {
	for _, text := range []string{"hello", "{", "hello\n", "\x00x", "{}\n"} {
		disk := planted([]byte(text))
		log, err := journal.Open(disk, name, nil)
		if text == "{" { // the first byte of our own header, too
			if err != nil {
				t.Error(err)
			}
			log.Close()
			continue
		}
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Line != 1 || string(content(disk)) != text {
			t.Errorf("%q: err %v, file is now %q", text, err, content(disk))
		}
	}
}

func TestNewerVersionIsRefusedClearly(t *testing.T) {
	data, err := os.ReadFile("testdata/v2.jsonl") // version 2, made by hand with sha256sum
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = journal.Replay(bytes.NewReader(data), nil)
	if !errors.Is(err, journal.ErrVersion) || !strings.Contains(err.Error(), "newer wanbatch") {
		t.Errorf("got %v", err)
	}
}

// A first line with a true checksum but another content is no journal of ours.
func TestForgedHeaders(t *testing.T) {
	for _, header := range []string{`{"format":"other","version":1}`, `{"format":"wanbatch-journal","version":0}`, `[]`} {
		sum := sha256.Sum256([]byte(strings.Repeat("0", 64) + header))
		wantCorrupt(t, strings.NewReader(fmt.Sprintf(`{"seq":1,"sum":"%x","data":%s}`+"\n", sum, header)), 1)
	}
}

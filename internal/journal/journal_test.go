package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/journal"
)

const name = "journal.jsonl"

// openRoot is a real folder.
func openRoot(t testing.TB) (*os.Root, string) {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, path
}

// collect returns a replay callback and the payloads it was given.
func collect() (func(int, json.RawMessage) error, *[]string) {
	var got []string
	return func(line int, payload json.RawMessage) error {
		if want := len(got) + 2; line != want {
			return fmt.Errorf("line %d was announced as %d", want, line)
		}
		got = append(got, string(payload))
		return nil
	}, &got
}

// build makes a journal of the payloads in memory and returns its bytes.
func build(t testing.TB, payloads ...string) []byte {
	t.Helper()
	disk := disktest.New()
	log, err := journal.Create(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range payloads {
		if err := log.Append(json.RawMessage(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return content(disk)
}

// planted is a disk on which a journal of these bytes is durable.
func planted(data []byte) *disktest.Disk {
	disk := disktest.New()
	disk.Put(name, data, true)
	return disk
}

// content is the journal as processes see it, nil if there is none.
func content(disk *disktest.Disk) []byte {
	data, _ := disk.Bytes(name)
	return data
}

// sample is n payloads of many lengths.
func sample(n int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat("ab", i*37%400))
	}
	return payloads
}

func TestRoundTrip(t *testing.T) {
	root, path := openRoot(t)
	log, err := journal.Create(disk.Dir(root), name)
	if err != nil {
		t.Fatal(err)
	}
	type event struct {
		Type string `json:"type"`
		Job  string `json:"job"`
	}
	for _, err := range []error{
		log.Append(event{"planned", "alice <&> \u2028 bob"}),
		log.AppendAll([]any{event{"planned", "b"}, json.RawMessage("{\n \"x\": 1.50 }"), 7}),
		log.AppendAll(nil),
		log.AppendIntent(event{"intended", "b"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	head := log.Head()
	if err := errors.Join(log.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}

	fn, got := collect()
	again, err := journal.Open(disk.Dir(root), name, fn)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	want := []string{
		`{"type":"planned","job":"alice \u003c\u0026\u003e \u2028 bob"}`,
		`{"type":"planned","job":"b"}`, `{"x":1.50}`, `7`, `{"type":"intended","job":"b"}`,
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("payloads (-want +got):\n%s", diff)
	}
	if again.Head() != head || head.Records != 6 {
		t.Errorf("head is %+v after reopening, was %+v, want 6 records", again.Head(), head)
	}

	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the folder holds %v (%v), want the journal alone", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v (%v), want 0600", info.Mode(), err)
	}
	data, err := os.ReadFile(filepath.Join(path, name))
	if err != nil || bytes.Count(data, []byte("\n")) != int(head.Records) {
		t.Errorf("lines and records differ (%v):\n%s", err, data)
	}
}

func TestCreateAndOpenDoNotStandInForEachOther(t *testing.T) {
	root, _ := openRoot(t)
	on := disk.Dir(root)
	if _, err := journal.Open(on, name, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
	log, err := journal.Create(on, name)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := journal.Create(on, name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
}

func TestPlantedLinkIsNotFollowed(t *testing.T) {
	root, path := openRoot(t)
	victim := filepath.Join(path, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("victim", filepath.Join(path, name)); err != nil {
		t.Skip(err)
	}
	if _, err := journal.Open(disk.Dir(root), name, nil); err == nil {
		t.Error("a symbolic link was opened as the journal")
	}
	if data, err := os.ReadFile(victim); err != nil || len(data) > 0 {
		t.Errorf("the link's target was written: %q, %v", data, err)
	}
}

func TestUnencodableRecordsHaveNoEffect(t *testing.T) {
	disk := disktest.New()
	log, err := journal.Create(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	before := content(disk)
	for _, payload := range []any{func() {}, json.RawMessage(`{`), strings.Repeat("x", journal.MaxLine)} {
		if err := log.AppendAll([]any{1, payload}); err == nil || errors.Is(err, journal.ErrDead) {
			t.Errorf("payload of type %T: %v", payload, err)
		}
	}
	if !bytes.Equal(before, content(disk)) {
		t.Error("a refused record left bytes behind")
	}
	if err := log.Append("fine"); err != nil {
		t.Error(err)
	}
}

func TestLongestLineCanBeReadBack(t *testing.T) {
	payload := `"` + strings.Repeat("x", journal.MaxLine-1-len(`{"seq":2,"sum":"","data":}`)-64-2) + `"`
	data := build(t, payload)
	fn, got := collect()
	if _, _, err := journal.Replay(bytes.NewReader(data), fn); err != nil {
		t.Fatal(err)
	}
	if len(*got) != 1 || (*got)[0] != payload {
		t.Error("the longest record came back changed")
	}
	endless := io.MultiReader(bytes.NewReader(data), bytes.NewReader(make([]byte, 2*journal.MaxLine)))
	wantCorrupt(t, endless, 3)
}

func TestCallbackErrorLeavesTheFileAlone(t *testing.T) {
	data := append(build(t, sample(3)...), "{torn"...)
	disk := planted(data)
	stop := errors.New("stop")
	_, err := journal.Open(disk, name, func(line int, _ json.RawMessage) error {
		if line == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), "line 3") || !bytes.Equal(content(disk), data) {
		t.Errorf("err %v, file changed: %v", err, !bytes.Equal(content(disk), data))
	}
}

func TestReadErrorIsNotDamage(t *testing.T) {
	bad := errors.New("bad sector")
	_, _, err := journal.Replay(io.MultiReader(bytes.NewReader(build(t, sample(3)...)), errReader{bad}), nil)
	var corrupt *journal.CorruptError
	if !errors.Is(err, bad) || errors.As(err, &corrupt) {
		t.Errorf("got %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// The golden file is what version 1 wrote on its first day. It is never
// regenerated: a failure here means that users' journals have become unreadable.
func TestGoldenVersion1(t *testing.T) {
	data, err := os.ReadFile("testdata/v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	fn, got := collect()
	head, torn, err := journal.Replay(bytes.NewReader(data), fn)
	if err != nil || torn {
		t.Fatalf("torn %v, %v", torn, err)
	}
	want := journal.Head{Records: 4, Hash: "171ce27af80c26e8abe3653e6cb27657b583cbde534d09f1dc749433f43c34d4"}
	if head != want {
		t.Errorf("head %+v, want %+v", head, want)
	}
	payloads := []string{`{"type":"begun","batch":"golden"}`, `{"type":"planned","job":"alice-salsa"}`, `{"type":"closed"}`}
	if diff := cmp.Diff(payloads, *got); diff != "" {
		t.Errorf("payloads (-want +got):\n%s", diff)
	}
	if !bytes.Equal(build(t, payloads...), data) {
		t.Error("this program no longer writes version 1 as it did")
	}
}

func FuzzReplay(f *testing.F) {
	good := build(f, sample(4)...)
	for _, seed := range [][]byte{good, good[:len(good)-1], good[:60], nil, []byte("\n"), []byte(`{"seq":1,"sum":"`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var payloads []string
		head, torn, err := journal.Replay(bytes.NewReader(data), func(_ int, p json.RawMessage) error {
			payloads = append(payloads, string(p))
			return nil
		})
		if err != nil || head.Records == 0 {
			return
		}
		for _, p := range payloads {
			if !json.Valid([]byte(p)) {
				t.Skip("a forged sum over bytes that no writer makes")
			}
		}
		// What is accepted is exactly what a writer of these payloads writes.
		want := build(t, payloads...)
		if !bytes.HasPrefix(data, want) || torn != (len(data) > len(want)) {
			t.Errorf("accepted %q, a writer makes %q", data, want)
		}
	})
}

func BenchmarkReplay(b *testing.B) {
	data := build(b, sample(1000)...)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := journal.Replay(bytes.NewReader(data), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	root, _ := openRoot(b)
	log, err := journal.Create(disk.Dir(root), name)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	for b.Loop() {
		if err := log.Append(json.RawMessage(sample(1)[0])); err != nil {
			b.Fatal(err)
		}
	}
}

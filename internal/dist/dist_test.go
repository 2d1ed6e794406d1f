package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var fresh = flag.Bool("fresh", false, "build the second program without the cache of the first: takes minutes")

const tree = "../.."

// TestReproducible: the same source makes the same program, wherever it lies.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program twice")
	}
	var programs [2][]byte
	for i := range programs {
		folder := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i), "wanbatch")
		copyTree(t, folder)
		var env []string
		if *fresh && i > 0 {
			env = append(env, "GOCACHE="+t.TempDir())
		}
		out := filepath.Join(folder, "program")
		build(t, folder, out, env...)
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(folder)) {
			t.Errorf("the program tells that it was built in %s", folder)
		}
		programs[i] = data
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Errorf("two builds differ: %x and %x", sha256.Sum256(programs[0]), sha256.Sum256(programs[1]))
	}
}

// copyTree copies what a build needs.
func copyTree(t *testing.T, to string) {
	t.Helper()
	from := os.DirFS(tree)
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || name == "output"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// build does what make build does.
func build(t *testing.T, folder, out string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", out, "./cmd/wanbatch")
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
}

// packed is a folder with what pack made of this very test program, for two
// platforms.
func packed(t *testing.T) string {
	t.Helper()
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "dist")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		runtime.GOOS + "-" + runtime.GOARCH + "/wanbatch": string(program),
		"man/wanbatch.1":            "page",
		"completions/wanbatch.bash": "script",
	} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	src := here(t)
	if err := pack("1.2.3", from, to, src); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(to, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pack("1.2.3", from, to, src); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(filepath.Join(to, "SHA256SUMS")); err != nil || !bytes.Equal(first, second) {
		t.Errorf("packing twice differs (%v):\n%s%s", err, first, second)
	}
	return to
}

func TestPack(t *testing.T) {
	to := packed(t)
	t.Run("archive", func(t *testing.T) { checkArchive(t, to) })
	t.Run("bill", func(t *testing.T) { checkBill(t, to) })
}

func checkArchive(t *testing.T, to string) {
	name := "wanbatch-1.2.3-" + runtime.GOOS + "-" + runtime.GOARCH
	sums, err := os.ReadFile(filepath.Join(to, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 2 {
		t.Fatalf("sums:\n%s", sums)
	}
	for _, line := range lines {
		sum, file, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(filepath.Join(to, file))
		if got := sha256.Sum256(data); err != nil || hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s: %v", line, err)
		}
	}
	archive, err := os.Open(filepath.Join(to, name+".tar.gz"))
	if err != nil {
		t.Skip("no tarball on this platform: ", err)
	}
	defer archive.Close()
	gz, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
		if strings.HasSuffix(h.Name, thirdParty) {
			checkLicenses(t, r)
		}
	}
	want := []string{"-rwxr-xr-x " + name + "/wanbatch", "-rw-r--r-- " + name + "/THIRD_PARTY_LICENSES.txt", "-rw-r--r-- " + name + "/completions/wanbatch.bash", "-rw-r--r-- " + name + "/man/wanbatch.1"}
	if !slices.Equal(got, want) {
		t.Errorf("archive has %q, want %q", got, want)
	}
}

func TestZip(t *testing.T) {
	p := program{platform: "windows-amd64", version: "1"}
	data, err := zipped(p, []entry{{"wanbatch.exe", 0o755, []byte("program")}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(r.File) != 1 || r.File[0].Name != "wanbatch-1-windows-amd64/wanbatch.exe" {
		t.Errorf("zip: %+v, %v", r.File, err)
	}
}

// checkBill: the bill names what was linked, and is what the standard says a bill is.
func checkBill(t *testing.T, to string) {
	files, err := filepath.Glob(filepath.Join(to, "*.cdx.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("bills %q, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range *bom.Components {
		if seen[c.BOMRef] || !regexp.MustCompile(`^pkg:golang/\S+@\S+$`).MatchString(c.PackageURL) {
			t.Errorf("component %+v", c)
		}
		seen[c.BOMRef] = true
	}
	if !seen["std"] || !regexp.MustCompile(`"pkg:golang/github.com/CycloneDX/cyclonedx-go@v`).Match(text) {
		t.Errorf("what this program is made of is not in the bill: %v", seen)
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range *d.Dependencies {
			if !seen[ref] {
				t.Errorf("%s depends on %s, which is not in the bill", d.Ref, ref)
			}
		}
	}
	validate(t, text)
}

// validate checks a bill against the schema that comes with the library.
func validate(t *testing.T, text []byte) {
	t.Helper()
	where, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	schema := filepath.Join(strings.TrimSpace(string(where)), "schema", "bom-1.6.schema.json")
	if err != nil {
		t.Skip("no source of the library: ", err)
	}
	compiler := jsonschema.NewCompiler()
	for part, file := range map[string]string{ // one has another name there than in the standard
		"spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json", "bom-1.6.schema.json": "bom-1.6.schema.json",
	} {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(schema), file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+part, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Error(err)
	}
	delete(doc.(map[string]any), "bomFormat")
	if s.Validate(doc) == nil {
		t.Error("the schema takes a bill that is none")
	}
}

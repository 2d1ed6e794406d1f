package pipeline_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// matrixOf makes a plan of every image with every video, all of them local files
// that differ.
func (r *rig) matrixOf(images, videos int) *pipeline.Plan {
	r.t.Helper()
	repo := filepath.Join("..", "manifests", "media")
	for kind, n := range map[string]int{media.image: images, media.video: videos} {
		for i := range n {
			r.variant(filepath.Join(repo, kind), i)
		}
	}
	return r.planText("version: 1\nname: test\nlane: {region: singapore, exclusive: true}\n" +
		"matrix: {images: [in/*.png], videos: [in/*.mov]}\n")
}

func (r *rig) planText(text string) *pipeline.Plan {
	r.t.Helper()
	m, err := pipeline.ReadManifest(strings.NewReader(text), filepath.Join(r.dir, "test.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := pipeline.NewPlan(r.t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// Each content is uploaded once, however many pairs use it.
func TestUploadsOncePerContent(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	report := r.run(r.matrixOf(6, 3))
	r.settled(report, 18)
	meter := r.provider.Meter()
	if meter.Uploads.Files != 9 || len(meter.Uploads.Contents) != 9 {
		t.Errorf("%d uploads of %d contents, want 9 of 9", meter.Uploads.Files, len(meter.Uploads.Contents))
	}
	if n := meter.Requests["policy"]; n > 3 {
		t.Errorf("asked for %d policies for 9 files", n)
	}
}

// Whatever happens to an upload, only the upload is repeated.
func TestUploadFaults(t *testing.T) {
	for _, fault := range []string{"policy-expired:40%", "upload-cut:40%", "upload-500:40%", "upload-lost:40%"} {
		t.Run(strings.SplitN(fault, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, fault)
			report := r.run(r.matrixOf(5, 2))
			r.settled(report, 10)
			meter := r.provider.Meter()
			if meter.Creates != 10 || meter.Requests["create"] != 10 {
				t.Errorf("%d creates in %d calls for 10 pairs", meter.Creates, meter.Requests["create"])
			}
			if meter.AuthAtResults > 0 {
				t.Error("the key was sent to a store")
			}
		})
	}
}

// A file that is not what was planned is never sent in its place: its jobs fail
// free of charge, the others go on, and a later run takes it when it is back.
func TestChangedInput(t *testing.T) {
	changes := map[string]struct {
		do   func(path string) error
		code string
	}{
		"other bytes": {func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{9}, 100)
				err = errors.Join(err, f.Close())
			}
			return err
		}, "InputChanged"},
		"shorter": {func(path string) error { return os.Truncate(path, 500) }, "InputChanged"},
		"gone":    {os.Remove, "InputUnreadable"},
		"a folder": {func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
		}, "InputUnreadable"},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{})
			p := r.matrixOf(2, 2)
			victim := filepath.Join(r.dir, "in", "characters001.png")
			bytes, err := os.ReadFile(victim)
			if err != nil {
				t.Fatal(err)
			}
			if err := change.do(victim); err != nil {
				t.Fatal(err)
			}
			report := r.run(p)
			if report.Totals.Done != 2 || report.Totals.Failed != 2 || !report.Complete {
				t.Fatalf("totals %+v\n%s", report.Totals, r.trail())
			}
			for _, j := range report.Jobs {
				if f := j.Error; f != nil && (f.Code != change.code || f.Charged == nil || *f.Charged || f.Hint == "" || !strings.Contains(f.Message, "characters001.png")) {
					t.Errorf("%s: %+v", j.ID, f)
				}
			}
			if n := r.provider.Meter().Creates; n != 2 {
				t.Errorf("%d creates", n)
			}
			if err := errors.Join(os.RemoveAll(victim), os.WriteFile(victim, bytes, 0o644)); err != nil {
				t.Fatal(err)
			}
			r.settled(r.run(p), 4)
		})
	}
}

// Of two files with the same content one will do, whichever is the
// one that changes or goes after it was planned. Nothing that differs is sent.
func TestChangedTwin(t *testing.T) {
	changes := map[string]func(path string) error{
		"other bytes": func(path string) error { return os.WriteFile(path, []byte("other"), 0o644) },
		"gone":        os.Remove,
	}
	for name, change := range changes {
		for _, victims := range [][]string{{"one.png"}, {"two.png"}, {"one.png", "two.png"}} {
			t.Run(name+" "+strings.Join(victims, " and "), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, 600, emulator.Options{})
				p := r.twins()
				for _, victim := range victims {
					if err := change(filepath.Join(r.dir, "in", victim)); err != nil {
						t.Fatal(err)
					}
				}
				report := r.run(p)
				if len(victims) == 1 {
					r.settled(report, 2)
					return
				}
				if report.Totals.Failed != 2 || r.provider.Meter().Creates != 0 {
					t.Errorf("totals %+v\n%s", report.Totals, r.trail())
				}
				for _, j := range report.Jobs {
					if f := j.Error; f == nil || !strings.Contains(f.Message, "one.png") || !strings.Contains(f.Message, "two.png") {
						t.Errorf("%s: %+v", j.ID, f)
					}
				}
			})
		}
	}
}

// twins plans two jobs with images that are equal and videos that are not.
func (r *rig) twins() *pipeline.Plan {
	r.t.Helper()
	image, err := os.ReadFile(r.variant("../manifests/media/"+media.image, 0))
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprint(&b, "version: 1\nname: test\nlane: {region: singapore, exclusive: true}\npairs:\n")
	for i, name := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(r.dir, "in", name+".png"), image, 0o644); err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - {id: %s, image: in/%s.png, video: %s}\n", name, name, r.variant("../manifests/media/"+media.video, i))
	}
	return r.planText(b.String())
}

// What an interrupted run uploaded is used by the next; what it was uploading is
// dropped at once, because no create will follow.
func TestUploadsAcrossRuns(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	p := r.matrixOf(4, 1)
	stop := make(chan struct{})
	if _, err := r.try(t.Context(), p, func(c *pipeline.Config) {
		c.Stop = stop
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "accepted" && stop != nil {
				close(stop)
				stop = nil
			}
		}
	}); !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	r.settled(r.run(p), 4)
	if up := r.provider.Meter().Uploads; up.Files > len(up.Contents)+1 {
		t.Errorf("%d uploads of %d contents", up.Files, len(up.Contents))
	}
}

func TestInterruptedUpload(t *testing.T) {
	r := newRig(t, 1, emulator.Options{}, "slow-upload")
	stop := make(chan struct{})
	before := time.Now()
	_, err := r.try(t.Context(), r.matrixOf(1, 1), func(c *pipeline.Config) {
		c.Stop = stop
		c.Transport = seeing(func(req *http.Request) {
			if stop != nil && strings.HasSuffix(req.URL.Path, "/uploads") {
				time.AfterFunc(100*time.Millisecond, func() { close(stop) })
			}
		})
	})
	if !errors.Is(err, pipeline.ErrInterrupted) || time.Since(before) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(before))
	}
}

// seeing lets a test see each call of the API before it is sent.
func seeing(see func(*http.Request)) http.RoundTripper {
	wire := &http.Transport{DisableKeepAlives: true}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		see(req)
		return wire.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// No secret of an upload is written anywhere.
func TestUploadSecrets(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "policy-expired:1", "upload-500:2")
	r.settled(r.run(r.matrixOf(2, 1)), 2)
	err := fs.WalkDir(os.DirFS(r.folder()), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(r.folder(), path))
		for _, secret := range []string{testKey, "Signature", "signature", "policy="} {
			if strings.Contains(string(text), secret) && !strings.HasSuffix(path, ".html") {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.events {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, testKey) || strings.Contains(text, "Signature") {
			t.Errorf("an event tells a secret: %s", text)
		}
	}
}

package emulator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

const policyPath = "/api/v1/uploads?action=getPolicy&model=wan2.2-animate-move"

// A sheet is the form of one upload, in order; the test spoils what it likes.
type sheet [][2]string

func (s sheet) with(name, value string) sheet {
	t := slices.Clone(s)
	for i := range t {
		if t[i][0] == name {
			t[i][1] = value
			return t
		}
	}
	return append(t, [2]string{name, value})
}

func (s sheet) without(name string) sheet {
	return slices.DeleteFunc(slices.Clone(s), func(f [2]string) bool { return f[0] == name })
}

func (s sheet) value(name string) string {
	i := slices.IndexFunc(s, func(f [2]string) bool { return f[0] == name })
	return s[i][1]
}

// permit asks for a policy and lays out the form for one file, as the documents say.
func (r *rig) permit(name string) sheet {
	r.t.Helper()
	got := r.call("GET", policyPath, "")
	if got.status != 200 || text(r.t, got, "data", "upload_host") != "http://provider.test" {
		r.t.Fatalf("getPolicy: %d %s", got.status, got.body)
	}
	data := func(name string) string { return text(r.t, got, "data", name) }
	return sheet{
		{"OSSAccessKeyId", data("oss_access_key_id")}, {"Signature", data("signature")}, {"policy", data("policy")},
		{"key", data("upload_dir") + "/" + name}, {"x-oss-object-acl", data("x_oss_object_acl")},
		{"x-oss-forbid-overwrite", data("x_oss_forbid_overwrite")}, {"success_action_status", "200"},
	}
}

// postForm sends a form with the file last, without a key.
func (r *rig) postForm(s sheet, file []byte) reply {
	r.t.Helper()
	return r.postParts(append(slices.Clone(s), [2]string{"file", string(file)}))
}

func (r *rig) postParts(s sheet) reply {
	r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range s {
		if f[0] == "file" {
			part, _ := w.CreateFormFile("file", "name")
			part.Write([]byte(f[1]))
			continue
		}
		w.WriteField(f[0], f[1])
	}
	w.Close()
	return r.call("POST", "http://provider.test", body.String(), "Content-Type", w.FormDataContentType())
}

// put uploads a file and returns its oss:// URL.
func (r *rig) put(name string, file []byte) string {
	r.t.Helper()
	s := r.permit(name)
	if got := r.postForm(s, file); got.status != 200 || got.body != "" {
		r.t.Fatalf("upload: %d %s", got.status, got.body)
	}
	return "oss://" + s.value("key")
}

// file reads what a file URL of the rig names.
func (r *rig) file(url string) []byte {
	r.t.Helper()
	b, err := os.ReadFile(strings.TrimPrefix(url, "file://"))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

const resolve = "X-DashScope-OssResourceResolve"

// verdict sends a create, with the resolve header, and returns how its task ended.
func (r *rig) verdict(image, video string, headers ...string) string {
	r.t.Helper()
	got := r.post(order(image, video, "wan-std"), append([]string{resolve, "enable"}, headers...)...)
	end := r.finish(text(r.t, got, "output", "task_id"))
	return strings.TrimSpace(text(r.t, end, "output", "task_status") + " " + text(r.t, end, "output", "code"))
}

func TestUploadedInputs(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		image, video := r.put("a.png", r.file(r.image)), r.put("v.mp4", r.file(r.video))
		again := r.put("w.mp4", r.file(r.video))
		if got := r.verdict(image, video) + r.verdict(image, again); got != "SUCCEEDEDSUCCEEDED" {
			t.Fatalf("tasks of uploads: %s", got)
		}
		m := r.server.Meter()
		sum := sha256.Sum256(r.file(r.video))
		size := int64(len(r.file(r.image)) + 2*len(r.file(r.video)))
		if m.Uploads.Files != 3 || m.Uploads.Bytes != size || m.Uploads.Contents[hex.EncodeToString(sum[:])] != 2 || m.Requests["policy"] != 3 || m.Requests["upload"] != 3 {
			t.Errorf("meter: %+v %v", m.Uploads, m.Requests)
		}
		if m.MaxLivePerPair != 2 {
			t.Errorf("the same content at two addresses is one pair, not %d live", m.MaxLivePerPair)
		}
		if m.BilledSeconds != "10.4" || m.AuthAtResults != 0 {
			t.Errorf("billed %s, keys at the store %d", m.BilledSeconds, m.AuthAtResults)
		}
		r.call("POST", "http://provider.test/", "x", "Content-Type", "multipart/form-data; boundary=x", "Authorization", "Bearer sk-one")
		if n := r.server.Meter().AuthAtResults; n != 1 {
			t.Errorf("a key at the store counted %d times", n)
		}
	})
}

func TestUploadRules(t *testing.T) {
	virtually(t, emulator.Options{MaxUploadMB: 1}, func(t *testing.T, r *rig) {
		good := r.permit("a.png")
		file := [2]string{"file", "abc"}
		tests := []struct {
			name   string
			form   sheet
			status int
			code   string
		}{
			{"file first", append(sheet{file}, good...), 400, "InvalidArgument"},
			{"a field after the file", append(slices.Clone(good), file, [2]string{"x", "y"}), 400, "InvalidArgument"},
			{"two files", append(slices.Clone(good), file, file), 400, "InvalidArgument"},
			{"no file", good, 400, "InvalidArgument"},
			{"no key", append(good.without("key"), file), 400, "InvalidArgument"},
			{"no policy", append(good.without("policy"), file), 400, "InvalidArgument"},
			{"other folder", append(good.with("key", "elsewhere/a.png"), file), 403, "AccessDenied"},
			{"other acl", append(good.with("x-oss-object-acl", "public-read"), file), 403, "AccessDenied"},
			{"may overwrite", append(good.without("x-oss-forbid-overwrite"), file), 403, "AccessDenied"},
			{"other policy", append(good.with("policy", "e30="), file), 403, "SignatureDoesNotMatch"},
			{"other signature", append(good.with("Signature", "x"), file), 403, "SignatureDoesNotMatch"},
			{"other id", append(good.with("OSSAccessKeyId", "x"), file), 403, "InvalidAccessKeyId"},
			{"too large", append(slices.Clone(good), [2]string{"file", strings.Repeat("x", 1<<20+1)}), 400, "EntityTooLarge"},
			{"largest", append(slices.Clone(good), [2]string{"file", strings.Repeat("x", 1<<20)}), 200, ""},
			{"same name again", append(slices.Clone(good), file), 409, "FileAlreadyExists"},
			{"policy serves another name", append(good.with("key", good.value("key")+"2").without("success_action_status"), file), 204, ""},
			{"status 201", append(good.with("key", good.value("key")+"3").with("success_action_status", "201"), file), 201, ""},
		}
		for _, tt := range tests {
			got := r.postParts(tt.form)
			if got.status != tt.status || tt.code != "" && !strings.Contains(got.body, "<Code>"+tt.code+"</Code>") {
				t.Errorf("%s: %d %s (%v), want %d %s", tt.name, got.status, got.body, got.err, tt.status, tt.code)
			}
		}
		time.Sleep(300 * time.Second)
		if got := r.postForm(good.with("key", good.value("key")+"4"), []byte("x")); got.status != 403 || !strings.Contains(got.body, "Policy expired.") {
			t.Errorf("after its life: %d %s", got.status, got.body)
		}
		if m := r.server.Meter(); m.Uploads.Files != 3 {
			t.Errorf("%d files are stored, want 3", m.Uploads.Files)
		}
	})
}

func TestGetPolicyRules(t *testing.T) {
	virtually(t, emulator.Options{TextNumbers: true}, func(t *testing.T, r *rig) {
		wantRefusal(t, r.call("GET", "/api/v1/uploads?model=wan2.2-animate-move", ""), 400, "InvalidParameter")
		wantRefusal(t, r.call("GET", "/api/v1/uploads?action=getPolicy&model=other", ""), 400, "InvalidParameter")
		wantRefusal(t, r.call("POST", policyPath, ""), 400, "InvalidParameter")
		wantRefusal(t, r.call("GET", policyPath, "", "Authorization", ""), 401, "InvalidApiKey")
		for range 100 {
			if got := r.call("GET", policyPath, ""); got.status != 200 || text(t, got, "data", "expire_in_seconds") != "300" {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		wantRefusal(t, r.call("GET", policyPath, ""), 429, "Throttling.RateQuota")
		if got := r.call("GET", strings.Replace(policyPath, "move", "mix", 1), ""); got.status != 200 {
			t.Errorf("the other model has a limit of its own: %d", got.status)
		}
		if n := r.server.Meter().OverLimit["policy"]; n != 1 {
			t.Errorf("%d over the limit, want 1", n)
		}
	})
}

func TestUploadsAreBound(t *testing.T) {
	opt := emulator.Options{Accounts: map[string]string{"sk-two": "two"}}
	virtually(t, opt, func(t *testing.T, r *rig) {
		image, video := r.put("a.png", r.file(r.image)), r.put("v.mp4", r.file(r.video))
		noExtension := r.put("v", r.file(r.video))
		const inspection = "FAILED InvalidParameter.DataInspection"
		if got := r.verdict(image, noExtension); got != "FAILED InvalidVideo.FileFormat" {
			t.Errorf("judged by its extension: %s", got)
		}
		if got := r.verdict(image, video, resolve, "no"); got != inspection {
			t.Errorf("without the header: %s", got)
		}
		if got := r.verdict(image, video+"x"); got != inspection {
			t.Errorf("what is not there: %s", got)
		}
		body := strings.Replace(order(image, video, "wan-std"), "move", "mix", 1)
		end := r.finish(text(t, r.post(body, resolve, "enable"), "output", "task_id"))
		if got := text(t, end, "output", "code"); got != "InvalidParameter.DataInspection" {
			t.Errorf("another model's: %s", end.body)
		}
		r.key = "sk-two"
		if got := r.verdict(image, video); got != inspection {
			t.Errorf("another account's: %s", got)
		}
		r.key = "sk-three" // another key of the first account
		if got := r.verdict(image, video); got != "SUCCEEDED" {
			t.Errorf("another key's: %s", got)
		}
	})
}

func TestUnresolved(t *testing.T) {
	for how, code := range map[emulator.Unresolved]string{
		emulator.UnresolvedCreate: "InvalidParameter.DataInspection", emulator.UnresolvedAddress: "InvalidParameter",
	} {
		virtually(t, emulator.Options{Unresolved: how}, func(t *testing.T, r *rig) {
			video := r.put("v.mp4", r.file(r.video))
			wantRefusal(t, r.post(order(r.image, video, "wan-std")), 400, code)
			if m := r.server.Meter(); m.Creates != 0 {
				t.Errorf("%d creates", m.Creates)
			}
			if got := r.verdict(r.image, video); got != "SUCCEEDED" {
				t.Errorf("with the header: %s", got)
			}
		})
	}
}

// TestUploadsEnd: an upload is gone after 48 hours, and for a task that leaves the queue later too.
func TestUploadsEnd(t *testing.T) {
	opt := emulator.Options{TaskLife: 90 * time.Hour, RunTime: func(string, float64) time.Duration { return 3 * time.Hour }}
	virtually(t, opt, func(t *testing.T, r *rig) {
		image, video := r.put("a.png", r.file(r.image)), r.put("v.mp4", r.file(r.video))
		time.Sleep(46 * time.Hour)
		created := func() string {
			return text(t, r.post(order(image, video, "wan-std"), resolve, "enable"), "output", "task_id")
		}
		soon, late := created(), created()
		time.Sleep(7 * time.Hour)
		if got := r.status(soon); got != "SUCCEEDED" {
			t.Errorf("a task that started within the 48 h: %s", got)
		}
		if got := text(t, r.query(late), "output", "code"); got != "InvalidParameter.DataInspection" {
			t.Errorf("a task that started after them: %s", got)
		}
		if got := r.verdict(image, video); got != "FAILED InvalidParameter.DataInspection" {
			t.Errorf("a create after them: %s", got)
		}
	})
}

var uploadChecks = map[string]check{
	"policy-429": func(t *testing.T, r *rig) {
		wantRefusal(t, r.call("GET", policyPath, ""), 429, "Throttling.RateQuota")
		r.permit("a.png")
	},
	"policy-500": func(t *testing.T, r *rig) {
		wantRefusal(t, r.call("GET", policyPath, ""), 500, "InternalError")
		r.permit("a.png")
	},
	"policy-expired": spoiltUpload(0, func(t *testing.T, got reply) {
		if got.status != 403 || !strings.Contains(got.body, "<Code>AccessDenied</Code>") || !strings.Contains(got.body, "Policy expired.") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}),
	"upload-cut":  spoiltUpload(0, wantCut),
	"upload-lost": spoiltUpload(1, wantCut),
	"upload-500": spoiltUpload(1, func(t *testing.T, got reply) {
		if got.status != 500 || !strings.Contains(got.body, "<Code>InternalError</Code>") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}),
	"slow-upload": func(t *testing.T, r *rig) {
		s := r.permit("a.png")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://provider.test/", strings.NewReader("--x\r\n"))
		req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if got := r.send(req); !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("got %d %v", got.status, got.err)
		}
		if got := r.postForm(s, []byte("x")); got.status != 200 {
			t.Errorf("then: %d %s", got.status, got.body)
		}
	},
}

// spoiltUpload checks an upload that fails, how much of it was stored all the same, and that the
// next one is sound.
func spoiltUpload(stored int, spoilt func(*testing.T, reply)) check {
	return func(t *testing.T, r *rig) {
		s := r.permit("a.png")
		spoilt(t, r.postForm(s, []byte("abc")))
		if m := r.server.Meter(); m.Uploads.Files != stored {
			t.Errorf("%d files stored, want %d", m.Uploads.Files, stored)
		}
		if got := r.postForm(s.with("key", s.value("key")+"2"), []byte("abc")); got.status != 200 {
			t.Errorf("then: %d %s", got.status, got.body)
		}
	}
}

package dashscope_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// spellings are the forms in which a leaked key could hide.
func spellings() []string {
	quoted, _ := json.Marshal(canary)
	return []string{
		canary, url.QueryEscape(canary), url.PathEscape(canary), hex.EncodeToString([]byte(canary)),
		base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary)),
		strings.Trim(string(quoted), `"`),
	}
}

// clean fails the test if text holds the key, a URL query or a character that
// a terminal obeys.
func clean(t *testing.T, text string) {
	t.Helper()
	for _, form := range append(spellings(), "SIGNED", "hunter2") {
		if strings.Contains(text, form) {
			t.Fatalf("%.300q leaks %q", text, form)
		}
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Fatalf("%.300q holds %U", text, r)
		}
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	key := dashscope.NewSecret(canary + "\n")
	client := newClient(t, dashscope.Config{BaseURL: "https://h", Key: key})
	type holder struct{ hidden dashscope.Secret }
	values := []any{key, &key, dashscope.Config{Key: key}, &dashscope.Config{Key: key}, holder{key}, []any{key}, map[string]any{"k": key}, client, *client}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s", "%T"} {
		for _, v := range values {
			clean(t, strings.ReplaceAll(fmt.Sprintf(verb, v), "\n", " "))
		}
	}
	for _, v := range []any{key, &key, map[string]any{"k": key}} {
		b, err := json.Marshal(v)
		if err != nil || !strings.Contains(string(b), "***") {
			t.Errorf("json: %s, %v", b, err)
		}
	}
	if text, _ := key.MarshalText(); string(text) != "***" {
		t.Errorf("text: %s", text)
	}
	if sum := sha256.Sum256([]byte(canary)); key.Fingerprint() != hex.EncodeToString(sum[:])[:8] {
		t.Errorf("fingerprint %q", key.Fingerprint())
	}
	var zero dashscope.Secret
	if !zero.IsZero() || zero.Fingerprint() != "" || key.IsZero() || zero.String() != "***" {
		t.Error("zero secret")
	}
}

func TestErrorsShareNoSecret(t *testing.T) {
	var texts []string
	for _, form := range spellings() {
		texts = append(texts, "you sent "+form+" to us")
	}
	texts = append(texts,
		"Download http://user:hunter2@h.com/a.mp4?Expires=1&Signature=SIGNED%3D refused",
		"Download oss://b/a.mp4?x=SIGNED, sorry", `see "https://h/a#SIGNED"`,
		"Signature=SIGNED", "OSSAccessKeyId=SIGNED&x", "u=https%3A%2F%2Fh%2Fa%3FSignature%3DSIGNED",
		"esc \x1b]8;;http://x\x07 bell\r\n fake: line\u0085\u009b31m \u202Eevil\u2066 \u200f\ufeff\x00", "bad utf8 \xff\xfe",
	)
	for _, text := range texts {
		body, _ := json.Marshal(map[string]string{"code": "C " + text, "message": text, "request_id": text})
		for _, a := range []canned{
			{status: 400, body: string(body)},
			{status: 502, body: text},
			{status: 200, body: text},
			{status: 429, body: text, header: http.Header{"X-Request-Id": {text}, "Retry-After": {text}}},
		} {
			for _, err := range everyCall(t, answering(t, a)) {
				clean(t, err.Error())
				var e *dashscope.Error
				if !errors.As(err, &e) {
					t.Fatalf("%T", err)
				}
				clean(t, e.Code+e.Message+e.RequestID+e.Class().Hint(e.Code))
				if cause := errors.Unwrap(err); cause != nil {
					clean(t, cause.Error())
				}
			}
		}
	}
}

func everyCall(t *testing.T, c *dashscope.Client) []error {
	_, create := c.Create(t.Context(), pair)
	_, query := c.Query(t.Context(), goodID)
	_, list := c.List(t.Context(), dashscope.ListRequest{})
	_, policy := c.GetPolicy(t.Context(), model)
	errs := []error{create, query, list, policy, c.Cancel(t.Context(), goodID)}
	for i, err := range errs {
		if err == nil {
			t.Fatalf("call %d succeeded", i)
		}
	}
	return errs
}

func TestProxyPasswordStaysSecret(t *testing.T) {
	c := newClient(t, dashscope.Config{BaseURL: "https://h.example", Proxy: func(*http.Request) (*url.URL, error) {
		return nil, &url.Error{Op: "parse", URL: "http://user:hunter2@proxy:80/?q=SIGNED", Err: errors.New("bad proxy")}
	}})
	_, err := c.Create(t.Context(), pair)
	clean(t, err.Error())
	var e *dashscope.Error
	if !errors.As(err, &e) || e.MayHaveExecuted() || !strings.Contains(err.Error(), "bad proxy") {
		t.Errorf("got %v", err)
	}
}

func TestMessagesAreShort(t *testing.T) {
	body, _ := json.Marshal(map[string]string{"code": strings.Repeat("c", 5000), "message": strings.Repeat("é", 5000)})
	_, err := answering(t, canned{status: 400, body: string(body)}).Create(t.Context(), pair)
	var e *dashscope.Error
	if !errors.As(err, &e) || len([]rune(e.Message)) != 300 || len([]rune(e.Code)) != 100 {
		t.Errorf("message of %d runes, code of %d", len([]rune(e.Message)), len([]rune(e.Code)))
	}
	chinese := "下载失败，请检查！ 重试"
	_, err = answering(t, canned{status: 400, body: `{"code":"c","message":"` + chinese + `"}`}).Create(t.Context(), pair)
	if !strings.Contains(err.Error(), chinese) {
		t.Errorf("lost ordinary text: %v", err)
	}
}

func TestTaskPrintsWithoutItsURL(t *testing.T) {
	task, err := answering(t, canned{status: 200, body: golden(t, "succeeded.json")}).Query(t.Context(), goodID)
	if err != nil || !strings.Contains(task.VideoURL, "Signature=") {
		t.Fatal(err)
	}
	b, _ := json.Marshal(task)
	for _, text := range []string{fmt.Sprint(task), fmt.Sprintf("%+v %#v", task, &task), string(b)} {
		if strings.Contains(text, "Signature") {
			t.Errorf("leaks: %s", text)
		}
	}
}

func TestHostileTaskTextIsCleaned(t *testing.T) {
	body, _ := json.Marshal(map[string]any{"output": map[string]string{
		"task_status": "FAILED\x1b[0m", "code": "X\x07", "message": "see https://h/v.mp4?sig=SIGNED \u202e and " + canary,
	}})
	task, err := answering(t, canned{status: 200, body: string(body)}).Query(t.Context(), goodID)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, task.Status+task.Code+task.Message)
}

package emulator

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// policyLife is how long a policy holds, as the documents' sample has it.
const policyLife = 300 * time.Second

// A grant is a policy that was given out: what is uploaded under it belongs to one model of one
// account.
type grant struct {
	account *account
	model   string
	dir     string
	expires time.Time
}

// getPolicy gives leave to upload files for the tasks of one model.
func (c *call) getPolicy() {
	q := c.r.URL.Query()
	model := q.Get("model")
	switch {
	case q.Get("action") != "getPolicy":
		c.refuse(*badRequest("InvalidParameter", "Required parameter(action) missing or invalid, please check the request parameters."))
		return
	case !slices.Contains([]string{modelMove, modelMix}, model):
		c.refuse(*badRequest("InvalidParameter", "Model not exist."))
		return
	}
	c.mu.Lock()
	lane := c.acc.lane(model, &c.opt)
	c.mu.Unlock()
	if !c.permit("policy", &lane.policies, c.opt.PoliciesPerSecond) {
		c.refuse(tooFast)
		return
	}
	c.mu.Lock()
	hits := c.strike(atPolicy)
	answer := c.grantPolicy(model)
	c.mu.Unlock()
	switch {
	case hits.has("policy-429"):
		c.refuse(tooFast)
	case hits.has("policy-500"):
		c.refuse(internalError)
	default:
		writeJSON(c.w, http.StatusOK, answer)
	}
}

type policyAnswer struct {
	RequestID string     `json:"request_id"`
	Data      policyData `json:"data"`
}

type policyData struct {
	Policy          string `json:"policy"`
	Signature       string `json:"signature"`
	UploadDir       string `json:"upload_dir"`
	UploadHost      string `json:"upload_host"`
	ExpireInSeconds any    `json:"expire_in_seconds"` // a number in the sample, a string in the table
	MaxFileSizeMB   any    `json:"max_file_size_mb"`
	CapacityLimitMB int    `json:"capacity_limit_mb"`
	OSSAccessKeyID  string `json:"oss_access_key_id"`
	XOSSObjectACL   string `json:"x_oss_object_acl"`
	XOSSForbidOver  string `json:"x_oss_forbid_overwrite"`
}

// grantPolicy makes a policy in the form of OSS: a signed list of conditions on the form. The
// lock is held.
func (c *call) grantPolicy(model string) policyAnswer {
	g := &grant{c.acc, model, "dashscope-instant/" + c.acc.number + c.at.In(east).Format("/2006-01-02/") + c.hex(16), c.at.Add(policyLife)}
	conditions := []any{
		[]any{"content-length-range", 0, c.opt.MaxUploadMB << 20},
		[]any{"starts-with", "$key", g.dir},
		map[string]string{"x-oss-object-acl": "private"},
		map[string]string{"x-oss-forbid-overwrite": "true"},
	}
	text, _ := json.Marshal(map[string]any{"expiration": g.expires.UTC().Format(ossTime), "conditions": conditions}) // always marshals
	policy := base64.StdEncoding.EncodeToString(text)
	c.grants[policy] = g
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	data := policyData{
		Policy: policy, Signature: c.signPolicy(policy), UploadDir: g.dir,
		UploadHost:      (&url.URL{Scheme: scheme, Host: c.r.Host}).String(),
		ExpireInSeconds: int(policyLife / time.Second), MaxFileSizeMB: c.opt.MaxUploadMB, CapacityLimitMB: 999999999,
		OSSAccessKeyID: accessKey, XOSSObjectACL: "private", XOSSForbidOver: "true",
	}
	if c.opt.TextNumbers {
		data.ExpireInSeconds, data.MaxFileSizeMB = strconv.Itoa(int(policyLife/time.Second)), strconv.Itoa(c.opt.MaxUploadMB)
	}
	return policyAnswer{c.id, data}
}

func (s *Server) signPolicy(policy string) string {
	mac := hmac.New(sha1.New, s.secret)
	_, _ = mac.Write([]byte(policy)) // a hash takes everything
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

package dashscope_test

import (
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/dashscope"
)

const (
	input    = dashscope.ClassInput
	config   = dashscope.ClassConfig
	throttle = dashscope.ClassThrottle
	burst    = dashscope.ClassBurst
	quota    = dashscope.ClassQuota
	retry    = dashscope.ClassRetry
	account  = dashscope.ClassAccount
	key      = dashscope.ClassKey
)

func TestClassify(t *testing.T) {
	tests := []struct {
		status        int
		code, message string
		want          dashscope.Class
	}{
		// Account, permission, routing.
		{401, "InvalidApiKey", "No API-key provided.", key},
		{401, "invalid_api_key", "", key},
		{401, "NOT AUTHORIZED", "", account},
		{400, "Arrearage", "Access denied, please make sure your account is in good standing.", account},
		{403, "AccessDenied", "current user api does not support synchronous calls.", config},
		{403, "AccessDenied", "Access denied.", account},
		{403, "access_denied", "", account},
		{403, "AccessDenied.Unpurchased", "", account},
		{403, "Model.AccessDenied", "", account},
		{403, "Workspace.AccessDenied", "", account},
		{403, "App.AccessDenied", "", account},
		{403, "Endpoint.AccessDenied", "", account},
		{403, "AllocationQuota.FreeTierOnly", "", account},
		{404, "WorkSpaceNotFound", "", config},
		{404, "ModelNotFound", "", config},
		{404, "model_not_found", "", config},
		{400, "InvalidParameter", "Model not exist.", config},
		{400, "InvalidParameter", "url error, please check url！", config},
		{404, "NotFound", "Not found!", config},
		{429, "CommodityNotPurchased", "", account},
		{429, "PrepaidBillOverdue", "", account},
		{429, "PostpaidBillOverdue", "", account},
		// Throttling.
		{429, "Throttling", "Requests throttling triggered.", throttle},
		{429, "Throttling.RateQuota", "", throttle},
		{429, "LimitRequests", "", throttle},
		{429, "limit_requests", "", throttle},
		{429, "Throttling.BurstRate", "Request rate increased too quickly.", burst},
		{429, "limit_burst_rate", "", burst},
		{429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit.", quota},
		{429, "insufficient_quota", "", quota},
		{429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", account},
		{400, "Throttling.AllocationQuota", "Free allocated quota exceeded.", account},
		{429, "Throttling.Concurrency", "", throttle},
		// Request shape.
		{400, "InvalidParameter", "Field required: mode", config},
		{200, "InvalidParameter", "the parameters must conform to the specification: xxx.", config},
		{400, "BadRequest.EmptyInput", "", config},
		{400, "BadRequest.EmptyParameters", "", config},
		{400, "BadRequest.EmptyModel", "", config},
		{400, "BadRequest.IllegalInput", "", config},
		{400, "BadRequest.TooLarge", "", config},
		{400, "UnsupportedOperation", "", input},
		// Fetching.
		{400, "InvalidURL", "", input},
		{200, "InvalidURL.ConnectionRefused", "", retry},
		{200, "InvalidURL.Timeout", "", retry},
		{400, "InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process.", retry},
		{200, "InvalidParameter.DataInspection", "Download the media resource timed out during it.", retry},
		{200, "InvalidParameter.DataInspection", "Failed to find the requested media resource during it.", retry},
		{200, "InvalidParameter.DataInspection", "Don't have authorization to access the media resource", input},
		{200, "InvalidParameter.DataInspection", "The media format is not supported or incorrect for the data inspection.", input},
		{400, "BadRequest.InputDownloadFailed", "", retry},
		{400, "InvalidParameter.InputDownloadFailed", "", retry},
		{400, "InvalidFile.DownloadFailed", "", retry},
		// Moderation.
		{400, "DataInspectionFailed", "Output data may contain inappropriate content.", input},
		{400, "data_inspection_failed", "", input},
		{400, "IPInfringementSuspect", "", input},
		{400, "CustomRoleBlocked", "", input},
		// The provider's side.
		{500, "InternalError", "", retry},
		{500, "internal_error", "", retry},
		{200, "InternalError.Algo", "inference internal error.", retry},
		{200, "InternalError.Timeout", "", retry},
		{200, "InternalError.FileUpload", "", retry},
		{200, "InternalError.Upload", "", retry},
		{500, "SystemError", "", retry},
		{500, "ModelServiceFailed", "", retry},
		{500, "RequestTimeOut", "", retry},
		{500, "ResponseTimeout", "", retry},
		{500, "ModelServingError", "", throttle},
		{503, "ModelUnavailable", "", retry},
		{503, "ServiceUnavailable", "", retry},
		{502, "", "<html>", retry},
		{504, "", "", retry},
		{200, "", "", retry},
		// Never seen.
		{200, "SomethingNew", "", retry},
		{400, "SomethingNew", "", input},
		{400, "InvalidImage.Fancy", "", input},
		{400, "Throttling.Fancy", "", throttle},
		{429, "SomethingNew", "", throttle},
		{401, "", "", key},
		{403, "SomethingNew", "", account},
		{404, "", "", config},
		{307, "", "", config},
		{0, "", "", retry},
	}
	for _, code := range contentCodes {
		tests = append(tests, struct {
			status        int
			code, message string
			want          dashscope.Class
		}{200, code, "", input})
	}
	for _, tt := range tests {
		for _, code := range []string{tt.code, strings.ToLower(tt.code), strings.ToUpper(tt.code)} {
			got := dashscope.Classify(tt.status, code, tt.message)
			if got != tt.want {
				t.Errorf("Classify(%d, %q, %q) = %s, want %s", tt.status, code, tt.message, got, tt.want)
			}
			if hint := got.Hint(code); len(hint) < 20 || strings.HasSuffix(hint, ".") || hint[0] < 'a' || hint[0] > 'z' {
				t.Errorf("%s %s: hint %q", got, code, hint)
			}
		}
	}
}

var contentCodes = strings.Fields(`
	InvalidImage.NoHuman InvalidImage.FullFace InvalidImage.FrontBody InvalidImage.Resolution InvalidImage.FileFormat
	InvalidVideo.NoHuman InvalidVideo.FullFace InvalidVideo.FrontBody InvalidVideo.Resolution InvalidVideo.Duration
	InvalidVideo.FileFormat InvalidFile.Size InvalidFile.Duration InvalidFile.Resolution InvalidFile.FPS
	InvalidFile.AspectRatio InvalidFile.Format InvalidFile.Openerror InvalidFile.Value InvalidFile.NoHuman
	InvalidFile.MultiHuman InvalidFile.FullFace InvalidFile.FacePose InvalidFile.FrontBody InvalidFile.BodyPose
	InvalidFile.BodyProportion InvalidFile.FullBody InvalidFile.Content InvalidPerson InvalidImage.ImageSize
	InvalidImage.NoHumanFace InvalidImageResolution InvalidImageFormat`)

func TestHintsFollowTheClass(t *testing.T) {
	if a, b := config.Hint("AccessDenied"), account.Hint("AccessDenied"); a == b || !strings.Contains(a, "asynchronous") {
		t.Errorf("hints %q and %q", a, b)
	}
	if got := input.Hint("InvalidVideo.Duration"); !strings.Contains(got, "30 seconds") {
		t.Errorf("hint %q", got)
	}
	seen := map[string]bool{}
	for c := dashscope.Class(0); c <= key; c++ {
		if hint := c.Hint(""); hint == "" || seen[hint] || seen[c.String()] {
			t.Errorf("class %s: hint %q", c, hint)
		}
		seen[c.Hint("")], seen[c.String()] = true, true
	}
}

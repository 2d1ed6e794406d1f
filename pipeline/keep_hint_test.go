package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// What a bucket's refusal is told to be is the store's word for it, not what names or
// messages happen to hold. A record has only the text.
func TestBucketHint(t *testing.T) {
	for _, tt := range []struct{ name, said, want string }{
		{"code", "put oss://b/p/a.mp4: store refuses: HTTP 403 AccessDenied: no (request 1)", "allow the credentials to put"},
		{"name of a file", "put oss://b/p/Token--salsa.mp4: store refuses: HTTP 403 AccessDenied: no", "allow the credentials to put"},
		{"message", "put oss://b/p/a.mp4: store refuses: HTTP 403 AccessDenied: NoSuchBucket is not for you", "allow the credentials to put"},
		{"token", "inputs.store: put s3://b/p/a.mp4: store refuses: HTTP 400 ExpiredToken: over", "the temporary credentials"},
		{"no code", "get s3://b/another batch/AccessDenied.mp4: store refuses: HTTP 403", "check the bucket"},
		{"claim", (&claimedError{folder: "oss://b/AccessDenied", begun: time.Unix(1, 0)}).Error(), claimHint},
		{"file of others", (&claimedError{folder: "oss://b/p", file: "a.mp4"}).Error(), claimHint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hint("", batch.CodeStoreRefuses, tt.said); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s:\n%s, want %s", tt.said, got, tt.want)
			}
		})
	}
}

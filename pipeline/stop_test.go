package pipeline

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// What a person is told to do fits what happened, also where the code is ours, unknown or
// missing: then how the failure was judged decides.
func TestHint(t *testing.T) {
	const passes = "a temporary fault"
	for _, tt := range []struct {
		name          string
		class         batch.Class
		code, message string
		want          string
	}{
		{"unknown task", batch.ClassConfig, batch.CodeUnknownTask, "", "if it was adopted by hand, it may be the wrong task"},
		{"lists miss", batch.ClassConfig, batch.CodeListsMiss, "", "run again later; if lists stay incomplete"},
		{"key without code", batch.ClassKey, "", "", "set a valid API key"},
		{"key with unknown code", batch.ClassKey, "TokenGone", "", "set a valid API key"},
		{"account without code", batch.ClassAccount, "", "", "check permissions"},
		{"setup without code", batch.ClassConfig, "", "", "correct the manifest or the endpoint"},
		{"input without code", batch.ClassInput, "", "", "replace the image or the video"},
		{"upload refused", batch.ClassInput, "UploadRefused", "", "replace the image or the video"},
		{"quota that is the account's", batch.ClassAccount, "Throttling.AllocationQuota", "", "the allocated quota is used up"},
		{"a code that speaks for itself", batch.ClassAccount, "Arrearage", "", "the account is overdue"},
		{"not judged", "", "", "", passes},
		{"temporary", batch.ClassRetry, "InternalError", "", passes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := hint(tt.class, tt.code, tt.message)
			if !strings.HasPrefix(got, tt.want) || strings.HasSuffix(got, ".") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Only a full disk speaks of space.
func TestDiskHint(t *testing.T) {
	link := &os.LinkError{Op: "rename", Old: "a.mp4.part", New: "a.mp4", Err: syscall.EEXIST}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, "free some space and run again"},
		{&fs.PathError{Op: "write", Path: "a", Err: syscall.EDQUOT}, "free some space and run again"},
		{fmt.Errorf("%w for journal record 3", journal.ErrFull), "free some space and run again"},
		{link, "move what is there away and run again"},
		{&fs.PathError{Op: "open", Path: "a", Err: syscall.EISDIR}, "move what is there away and run again"},
		{&fs.PathError{Op: "open", Path: "a", Err: syscall.ENOTDIR}, "move what is there away and run again"},
		{&fs.PathError{Op: "open", Path: "a", Err: syscall.EACCES}, "give this user the right to write there and run again"},
		{&fs.PathError{Op: "open", Path: "a", Err: syscall.EROFS}, "give this user the right to write there and run again"},
		{&fs.PathError{Op: "write", Path: "a", Err: syscall.EIO}, "mend that and run again"},
	} {
		if got := diskHint(tt.err.Error()); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// A person who gave a job up looks for its task where it can be found.
func TestAbandonedHint(t *testing.T) {
	for _, tt := range []struct {
		candidates []string
		want       string
	}{
		{[]string{"t1", "t2"}, "look at the provider's bill for the candidates: t1, t2"},
		{nil, "look at the provider's bill for a task made about 0001-01-01 00:00 UTC that is no other job's"},
	} {
		job := batch.Job{ID: "one", State: batch.StateFailed, Attempts: []batch.Attempt{
			{N: 1, Outcome: batch.Quarantined, Money: batch.MoneyPossible, Hold: decimal.NewFromInt(1), Candidates: tt.candidates}}}
		if got := newFailure(job, "out/one").Hint; got != tt.want {
			t.Errorf("%v: %q, want %q", tt.candidates, got, tt.want)
		}
	}
}

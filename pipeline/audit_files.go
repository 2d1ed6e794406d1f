package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// auditVideos proves every artifact, and that nothing else stands beside them.
func (a *auditor) auditVideos() {
	expected := map[string]bool{} // by a job that is on its way there, now or since the journal was read
	moved := map[string]bool{}    // to a bucket, and to be removed here
	for job := range a.core.Jobs() {
		if !job.State.AtRest() && (a.held || job.State != batch.StatePending) {
			expected[videosName+"/"+job.Plan.File] = true
		}
		switch {
		case job.Artifact == nil:
		case job.Artifact.Path == "":
			a.found.Elsewhere++
			moved[videosName+"/"+job.Plan.File] = true
		default:
			a.auditVideo(job.ID, *job.Artifact)
		}
	}
	if a.damaged {
		return // which files belong there is not known
	}
	err := fs.WalkDir(a.root.FS(), videosName, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case expected[path] || a.stored[path]:
		case moved[path]:
			a.note(path, "nothing: the next run removes it", "a video that was put into the bucket since")
		case strings.HasSuffix(path, ".part"):
			name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(path, ".part"), ".tag"), ".put")
			if !expected[name] {
				a.note(path, "delete it if you like; no run needs it", "what is left of a download that was not finished")
			}
		default:
			a.problem(path, "move it out of the batch folder", "the journal does not know this file")
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.problem(videosName, "make the folder readable", "%v", err)
	}
}

const fetchAgain = "put a copy back; wanbatch does not pay for it again unless its job is planned anew"

// auditVideo compares a file with what was verified when it was fetched.
func (a *auditor) auditVideo(job string, want batch.Artifact) {
	size, sum, err := a.measure(want.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.problem(want.Path, fetchAgain, "the artifact of job %s is missing", job)
	case err != nil:
		a.problem(want.Path, "make it a readable file", "the artifact of job %s cannot be read: %v", job, err)
	case size != want.Bytes:
		a.problem(want.Path, fetchAgain, "the artifact of job %s has %d bytes, not %d", job, size, want.Bytes)
	case sum != want.SHA256:
		a.problem(want.Path, fetchAgain, "the artifact of job %s has other bytes: SHA-256 %s, not %s", job, sum, want.SHA256)
	default:
		a.found.Artifacts++
		a.found.Bytes += size
	}
}

// measure reads a file once and returns its length and SHA-256. Only a regular
// file is an artifact: what a link leads to can change.
func (a *auditor) measure(path string) (int64, string, error) {
	info, err := a.root.Lstat(path)
	if err != nil {
		return 0, "", err
	}
	if !info.Mode().IsRegular() {
		return 0, "", fmt.Errorf("it is not a regular file (%v)", info.Mode().Type())
	}
	f, err := a.root.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close() // read only: nothing can be lost
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n, hex.EncodeToString(sum.Sum(nil)), err
}

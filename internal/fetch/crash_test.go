package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

// shelf is a result store without a network. It sends its object in small pieces,
// and breaks off the first answers after as many bytes as cuts says.
type shelf struct {
	object []byte
	crc    bool
	cuts   []int
}

const shelfPiece = 1000 // bytes

func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"0A1B"`}}, Request: r}
	if s.crc {
		resp.Header.Set("X-Oss-Hash-Crc64ecma", fmt.Sprint(crc64.Checksum(s.object, crc64.MakeTable(crc64.ECMA))))
	}
	first := 0
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first); n > 0 {
		resp.StatusCode = 206
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(s.object)-1, len(s.object)))
	}
	body := s.object[first:]
	resp.ContentLength = int64(len(body))
	end := io.EOF
	if len(s.cuts) > 0 {
		body, end = body[:min(s.cuts[0], len(body))], io.ErrUnexpectedEOF
		s.cuts = s.cuts[1:]
	}
	resp.Body = io.NopCloser(&pieces{body, end})
	return resp, nil
}

// pieces is a body that comes bit by bit and ends in an error.
type pieces struct {
	rest []byte
	end  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, p.end
	}
	n := copy(b[:min(len(b), shelfPiece)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

const shelfURL = "https://results.example.com/clip.mp4?Expires=1777946539&Signature=" + secret

// download fetches from the shelf until the file is there, as a run does.
func download(t *testing.T, s *shelf, on *disktest.Disk) (fetch.Artifact, error) {
	t.Helper()
	f := fetch.New(fetch.Config{Transport: s})
	defer f.Close()
	var a fetch.Artifact
	err := errors.New("never asked")
	for range 4 {
		if a, err = f.Fetch(t.Context(), on, target, shelfURL, nil); err == nil {
			break
		}
	}
	return a, err
}

// wantObject checks that a disk holds the whole object, or no file of that name.
func wantObject(t *testing.T, where string, on *disktest.Disk, object []byte, must bool) {
	t.Helper()
	got, found := on.Bytes(target)
	if found && !bytes.Equal(got, object) || must && !found {
		t.Fatalf("%s: under the final name stand %d bytes, found %v, want the object's %d", where, len(got), found, len(object))
	}
}

// The process dies before every operation of a download that is cut twice, and the
// machine with it in every way that the model knows. The file is whole or not
// there, and the next process completes it; with no checksum from the store, too.
func TestEveryCrashOfADownload(t *testing.T) {
	object := movie(4*shelfPiece, 1)
	for _, crc := range []bool{true, false} {
		states := 0
		for k := 1; ; k++ {
			disk, died := disktest.New(), false
			n := 0
			disk.Before = func(op disktest.Op) error {
				if n++; n >= k {
					died = true
					return disktest.ErrDead
				}
				return nil
			}
			s := &shelf{object: object, crc: crc, cuts: []int{1500, 1500}}
			_, err := download(t, s, disk)
			if !died {
				if err != nil {
					t.Fatalf("without a crash: %v", err)
				}
				break
			}
			next := []*disktest.Disk{disk.Kill()}
			names := []string{"killed"}
			for _, cut := range disk.Cuts(4) {
				next, names = append(next, disk.PowerCut(cut)), append(names, cut.Name)
			}
			for i, after := range next {
				states++
				where := fmt.Sprintf("crc %v, operation %d, %s", crc, k, names[i])
				wantObject(t, where, after, object, false)
				if _, err := download(t, &shelf{object: object, crc: crc}, after); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
				wantObject(t, where, after, object, true)
				if left := after.Names(); len(left) > 1 {
					t.Errorf("%s: left behind %v", where, left)
				}
				if got, _ := after.Durable(target); !bytes.Equal(got, object) {
					t.Errorf("%s: %d bytes are certain to survive", where, len(got))
				}
			}
		}
		t.Logf("crc %v: %d states of the disk", crc, states)
	}
}

// Each operation of each kind fails, once or from then on. The file is whole or not
// there, no sync is tried again, the error is one of the disk, and once the disk is
// well the file comes.
func TestEveryFaultOfADownload(t *testing.T) {
	object := movie(4*shelfPiece, 1)
	kinds := []disktest.Kind{disktest.Open, disktest.Create, disktest.Read, disktest.Write, disktest.Truncate, disktest.Sync,
		disktest.Close, disktest.Mkdir, disktest.Remove, disktest.Rename, disktest.SyncDir}
	faults := []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, disktest.Half{Err: syscall.ENOSPC}, disktest.Half{}}
	points := 0
	for _, kind := range kinds {
		for _, fault := range faults {
			if _, half := fault.(disktest.Half); half && kind != disktest.Write {
				continue
			}
			for _, lasting := range []bool{false, true} {
				for k := 1; ; k++ {
					disk, seen := disktest.New(), 0
					disk.Before = func(op disktest.Op) error {
						if op.Kind != kind {
							return nil
						}
						if seen++; seen == k || lasting && seen > k {
							return fault
						}
						return nil
					}
					where := fmt.Sprintf("%s %d: %v, lasting %v", kind, k, fault, lasting)
					_, err := download(t, &shelf{object: object, crc: k%2 == 0, cuts: []int{1500}}, disk)
					if seen < k {
						break
					}
					points++
					if err != nil && !errors.Is(err, fetch.ErrDisk) {
						t.Errorf("%s: %v is no error of the disk", where, err)
					}
					wantObject(t, where, disk, object, err == nil)
					disk.Before = nil
					if _, err := download(t, &shelf{object: object, crc: true}, disk); err != nil {
						t.Errorf("%s: with a sound disk: %v", where, err)
					}
					wantObject(t, where, disk, object, true)
					if sins := disk.Sins(); sins != nil {
						t.Errorf("%s: %v", where, sins)
					}
				}
			}
		}
	}
	t.Logf("%d faults", points)
}

package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

var (
	// ErrNoRange reports a server that does not give parts of a file, or not the ones asked for.
	ErrNoRange = errors.New("server does not answer range requests")

	// ErrTooMuch reports a file that cannot be understood within the bytes and requests allowed.
	ErrTooMuch = errors.New("more of the file would have to be fetched than is allowed")

	// ErrChanged reports a file that became another one between two requests.
	ErrChanged = errors.New("file changed while it was read")
)

// A StatusError reports an answer other than the file: its HTTP status.
type StatusError int

func (e StatusError) Error() string { return "HTTP " + strconv.Itoa(int(e)) }

const (
	firstPart    = 64 << 10  // asked for at once: all headers, when they stand first
	nextPart     = 8 << 10   // least asked for later: a few box headers
	tailPart     = 64 << 10  // so close to the end the rest is fetched whole: a moov that stands last
	maxFetched   = 512 << 10 // of one file, all requests together
	maxRequests  = 40        // for one file
	maxRedirects = 3
)

// A RemoteFile reads parts of a file behind a URL, by GET requests with a Range header. What it
// fetched once it keeps, so that the small reads of a walk cost few requests. It fetches at most
// 512 KiB in 40 requests, however much a server sends. It is not safe for concurrent use and
// needs no closing.
//
// No error of it contains the URL: queries are signatures.
type RemoteFile struct {
	ctx     context.Context // of the one probe this file is opened for; [io.ReaderAt] has no place for it
	client  http.Client
	url     string
	size    int64
	tag     string // entity tag, "" when the server gives none
	parts   []part
	fetched int64
	asked   int
}

// part is a stretch of the file.
type part struct {
	start int64
	data  []byte
}

// OpenRemote asks for the beginning of a file. The client says how addresses are reached and
// which are refused; it is not changed, and its redirects are followed by rules of our own: three
// at most, and without a Referer, which would hand the first URL's signature to the second host.
// The context bounds all reading of the file.
//
// Errors are [StatusError], [ErrNoRange] or the client's own, without the URL.
func OpenRemote(ctx context.Context, client *http.Client, rawURL string) (*RemoteFile, error) {
	f := &RemoteFile{ctx: ctx, client: *client, url: rawURL, size: -1}
	f.client.Jar = nil
	f.client.CheckRedirect = func(next *http.Request, before []*http.Request) error {
		next.Header.Del("Referer")
		if len(before) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return nil
	}
	if err := f.fetch(0, firstPart); err != nil {
		return nil, err
	}
	return f, nil
}

// Size is the file's length in bytes.
func (f *RemoteFile) Size() int64 { return f.size }

// Fetched is how many bytes of the file were received so far.
func (f *RemoteFile) Fetched() int64 { return f.fetched }

// ReadAt reads from what was fetched, and fetches what is missing. Errors are [io.EOF] behind the
// end, [ErrTooMuch], [ErrChanged] and those of [OpenRemote].
func (f *RemoteFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at < 0 || at >= f.size {
			return done, io.EOF
		}
		if n := f.copyKnown(p[done:], at); n > 0 {
			done += n
			continue
		}
		if err := f.fetch(at, f.stretch(at, int64(len(p)-done))); err != nil {
			return done, err
		}
	}
	return done, nil
}

// stretch is how much to ask for where length bytes are wanted.
func (f *RemoteFile) stretch(at, length int64) int64 {
	if rest := f.size - at; rest <= tailPart {
		return rest
	}
	return max(length, nextPart)
}

// copyKnown copies what is known from offset at on, and returns how much that was.
func (f *RemoteFile) copyKnown(p []byte, at int64) int {
	for _, part := range f.parts {
		if at >= part.start && at < part.start+int64(len(part.data)) {
			return copy(p, part.data[at-part.start:])
		}
	}
	return 0
}

// fetch asks for length bytes at an offset inside the file and keeps them.
func (f *RemoteFile) fetch(at, length int64) error {
	if f.asked == maxRequests || f.fetched+length > maxFetched {
		return ErrTooMuch
	}
	f.asked++
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return errors.New("not a valid URL")
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+length-1))
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close() // without reading on: an endless body is cut off here
	length, err = f.accept(resp, at, length)
	if err != nil {
		return err
	}
	data := make([]byte, length)
	n, err := io.ReadFull(resp.Body, data)
	f.fetched += int64(n)
	if err != nil {
		return fmt.Errorf("answer ends after %d of %d bytes: %w", n, length, bare(err))
	}
	f.parts = append(f.parts, part{at, data})
	return nil
}

// accept judges the head of an answer and returns how many bytes of its body are the part that
// was asked for. The first answer tells the size of the file.
func (f *RemoteFile) accept(resp *http.Response, at, length int64) (int64, error) {
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return 0, fmt.Errorf("%w: it encodes them", ErrNoRange)
	}
	var start, end, total int64
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		var ok bool
		if start, end, total, ok = contentRange(resp.Header.Get("Content-Range")); !ok {
			return 0, fmt.Errorf("%w: it does not say which part it gives", ErrNoRange)
		}
	case resp.StatusCode == http.StatusOK && at == 0 && resp.ContentLength >= 0 && resp.ContentLength <= length:
		end, total = resp.ContentLength-1, resp.ContentLength // small enough to be had whole
	case resp.StatusCode == http.StatusOK:
		return 0, ErrNoRange
	default:
		return 0, StatusError(resp.StatusCode)
	}
	tag := resp.Header.Get("Etag")
	if f.size < 0 {
		f.size, f.tag = total, tag
	}
	wanted := min(length, total-at)
	switch {
	case total != f.size || tag != "" && f.tag != "" && tag != f.tag:
		return 0, ErrChanged
	case start != at || end-start+1 < wanted:
		return 0, fmt.Errorf("%w: it gives another part", ErrNoRange)
	}
	return wanted, nil
}

// contentRange reads "bytes first-last/total". A total that is not told is not accepted.
func contentRange(value string) (first, last, total int64, ok bool) {
	unit, rest, _ := strings.Cut(value, " ")
	span, size, _ := strings.Cut(rest, "/")
	from, to, _ := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	total, err3 := strconv.ParseInt(size, 10, 64)
	ok = strings.EqualFold(unit, "bytes") && err1 == nil && err2 == nil && err3 == nil &&
		first >= 0 && last >= first && last < total
	return first, last, total, ok
}

// bare strips what [http.Client] adds to an error: the URL, with its query.
func bare(err error) error {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err
}

package fetch

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/media"
)

// tag says what a part is a part of.
type tag struct {
	ETag   string `json:"etag,omitempty"` // strong and quoted, else empty
	Length int64  `json:"length"`         // of the whole; -1 unknown
	CRC    string `json:"crc64,omitempty"`
}

// resumable reports whether a part of this can be continued.
func (t tag) resumable() bool { return t.ETag != "" && t.Length > 0 }

// part is the unfinished file. Its bytes are hashed as they come.
type part struct {
	disk  disk.Disk
	name  string // of the finished file
	file  disk.File
	size  int64 // bytes written and hashed
	tag   tag
	crc   hash.Hash64
	sha   hash.Hash
	begun bool // something was written since the part was opened
}

func (p *part) partName() string { return p.name + ".part" }
func (p *part) tagName() string  { return p.name + ".tag.part" }

// openPart opens what an earlier fetch left, or an empty part. Every error is
// of the disk.
func openPart(d disk.Disk, name string, limit int64) (*part, error) {
	p := &part{disk: d, name: name, tag: tag{Length: -1}}
	if err := p.makeFolder(); err != nil {
		return nil, onDisk(err)
	}
	var err error
	if p.file, err = reopen(d, p.partName()); err != nil {
		return nil, onDisk(err)
	}
	if p.file == nil {
		p.file, err = d.OpenFile(p.partName(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
		if err != nil {
			return nil, onDisk(err)
		}
	}
	if err := p.recall(limit); err != nil {
		_ = p.file.Close()
		return nil, onDisk(err)
	}
	return p, nil
}

// makeFolder makes the folder of the file, durably. One that is there may be left
// by a process that was killed before it had synced it.
func (p *part) makeFolder() error {
	folder := path.Dir(p.name)
	if folder == "." {
		return nil
	}
	if err := p.disk.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	return p.disk.SyncDir(path.Dir(folder))
}

// reopen opens an existing file for writing if it is safe to write to: a
// regular file with no other name. Anything else that bears the name is removed
// (a link, not what it points to) and nil returned, as when there is nothing.
func reopen(d disk.Disk, name string) (disk.File, error) {
	f, err := d.OpenFile(name, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, disk.ErrIrregular):
		return nil, d.Remove(name)
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !linked(info) {
		return f, nil
	}
	if err == nil {
		err = d.Remove(name)
	}
	return nil, errors.Join(err, f.Close())
}

// recall takes up the tag and hashes the bytes that are there, or empties the
// part when they cannot be continued.
func (p *part) recall(limit int64) error {
	p.crc, p.sha = crc64.New(crc64.MakeTable(crc64.ECMA)), sha256.New()
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	t := p.readTag()
	if !t.resumable() || t.Length > limit || info.Size() == 0 || info.Size() > t.Length {
		return p.restart()
	}
	// Of a whole part the last byte is asked for again, because no store can
	// answer a request for nothing.
	size := min(info.Size(), t.Length-1)
	if err := p.file.Truncate(size); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(p.crc, p.sha), io.NewSectionReader(p.file, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	p.size, p.tag = size, t
	return err
}

func (p *part) readTag() tag {
	f, err := reopen(p.disk, p.tagName())
	if err != nil || f == nil {
		return tag{}
	}
	defer f.Close()
	var t tag
	if json.NewDecoder(io.LimitReader(f, 4096)).Decode(&t) != nil {
		return tag{}
	}
	return t
}

// resume begins to append to what an earlier fetch left. Without a CRC only the
// flush before the tag vouches for a part, and none vouches for what follows now:
// after a power cut the part could be longer and hold zeros.
func (p *part) resume() error {
	if p.tag.CRC != "" {
		return nil
	}
	p.begun = true
	return p.forget()
}

// forget removes the tag, for good.
func (p *part) forget() error {
	switch err := p.disk.Remove(p.tagName()); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return p.disk.SyncDir(path.Dir(p.name))
}

// restart empties the part. The tag goes first: an old tag must never describe the
// bytes of another version.
func (p *part) restart() error {
	if err := p.forget(); err != nil {
		return err
	}
	p.size, p.tag = 0, tag{Length: -1}
	p.crc.Reset()
	p.sha.Reset()
	return p.file.Truncate(0)
}

// expect begins a part of what t describes. With a CRC the tag can be written
// at once, as no damage to the part can go unseen.
func (p *part) expect(t tag) error {
	if err := p.restart(); err != nil {
		return err
	}
	p.tag = t
	if t.resumable() && t.CRC != "" {
		return p.writeTag()
	}
	return nil
}

// keep makes an interrupted part resumable where only its own durability
// speaks for it. A failure costs the resume and nothing else; after a failed sync
// the file must not be synced again, so it goes.
func (p *part) keep() {
	switch {
	case !p.begun || p.size == 0 || !p.tag.resumable() || p.tag.CRC != "":
	case p.file.Sync() != nil:
		p.discard()
	default:
		_ = p.writeTag()
	}
}

func (p *part) writeTag() error {
	if err := p.disk.Remove(p.tagName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := p.disk.OpenFile(p.tagName(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	err = json.NewEncoder(f).Encode(p.tag)
	return errors.Join(err, f.Close())
}

func (p *part) write(b []byte) error {
	p.begun = true
	n, err := p.file.WriteAt(b, p.size)
	p.crc.Write(b[:n])
	p.sha.Write(b[:n])
	p.size += int64(n)
	return err
}

// finish proves the part and gives it its name, durably. What fails the proof
// is thrown away.
func (p *part) finish() (Artifact, error) {
	if p.tag.Length >= 0 && p.size != p.tag.Length {
		p.keep()
		return Artifact{}, fmt.Errorf("got %d of %d bytes: %w", p.size, p.tag.Length, io.ErrUnexpectedEOF)
	}
	sum := strconv.FormatUint(p.crc.Sum64(), 10)
	if p.tag.CRC != "" && p.tag.CRC != sum {
		p.discard()
		return Artifact{}, fmt.Errorf("%w: CRC-64 is %s, the store says %s", ErrCorrupt, sum, p.tag.CRC)
	}
	disk := &errorReader{ReaderAt: p.file}
	length, err := media.CheckMP4(disk, p.size)
	if disk.err != nil {
		return Artifact{}, onDisk(disk.err) // that says nothing of the bytes
	}
	if err != nil {
		p.discard()
		return Artifact{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := p.publish(); err != nil {
		return Artifact{}, onDisk(err)
	}
	return Artifact{Bytes: p.size, SHA256: fmt.Sprintf("%x", p.sha.Sum(nil)), CRC64: sum, Duration: length}, nil
}

// errorReader keeps the error of a read that failed.
type errorReader struct {
	io.ReaderAt
	err error
}

func (w *errorReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(b, off)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

func (p *part) publish() error {
	if err := p.file.Sync(); err != nil {
		p.discard() // the kernel may have dropped pages and call them clean
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := p.disk.Rename(p.partName(), p.name); err != nil {
		return err
	}
	_ = p.disk.Remove(p.tagName()) // without its part it says nothing
	return p.disk.SyncDir(path.Dir(p.name))
}

// discard removes part and tag, as far as the disk lets it.
func (p *part) discard() {
	_ = p.disk.Remove(p.tagName())
	_ = p.disk.Remove(p.partName())
	p.size, p.tag = 0, tag{Length: -1}
}

// close is for every way out. An empty part is of no use to anybody.
func (p *part) close() {
	_ = p.file.Close()
	if p.size == 0 {
		p.discard()
	}
}

// onDisk marks an error as one of the local disk.
func onDisk(err error) error { return fmt.Errorf("%w: %w", ErrDisk, err) }

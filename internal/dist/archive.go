package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
)

// entry is one file of an archive.
type entry struct {
	name string
	mode fs.FileMode
	data []byte
}

// tarball packs the entries below a folder of the program's name. Writing to memory
// cannot fail, and neither can headers like these.
func tarball(p program, entries []entry) []byte {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		_ = w.WriteHeader(&tar.Header{Name: p.name() + "/" + e.name, Mode: int64(e.mode), Size: int64(len(e.data)),
			ModTime: p.at, Format: tar.FormatPAX})
		_, _ = w.Write(e.data)
	}
	_ = w.Close()
	_ = gz.Close()
	return b.Bytes()
}

func zipped(p program, entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: p.name() + "/" + e.name, Method: zip.Deflate, Modified: p.at}
		h.SetMode(e.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(e.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

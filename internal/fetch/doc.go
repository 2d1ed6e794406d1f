// Package fetch turns the signed URL of a finished task into a verified file.
// A file is complete under its own name or not there at all.
//
// # Life of a file
//
//	GET -> <name>.part -> length, CRC-64, container -> <name>
//
// The bytes go to <name>.part beside the target. When the transfer is cut, the
// part stays, and the next [Fetcher.Fetch] asks for the rest with Range and
// If-Range. What the part is a part of (ETag, length, CRC-64 of the whole) stands
// in <name>.tag.part. A store that answers with the whole object, another
// length, another ETag or another CRC-64 makes the part start over: bytes
// of two versions never meet in one file.
//
// The CRC-64 that the store announces for the whole object proves whatever
// became of the part in between, so with it the tag is written first and even
// a killed process resumes. Without it the part is flushed before the tag is
// written, and the tag goes before a byte is added, so only an orderly
// interruption resumes; a killed one starts over.
//
// # System calls
//
//	openat O_CREAT|O_EXCL part (or reopen: regular, one link, the file that was looked at)
//	write...
//	fsync part, close, renameat part -> name, unlinkat tag, fsync directory
//
// An fsync that fails is not tried again on the same data: the part is removed.
//
// Known gaps: when the fsync of the directory fails, the complete file stands
// under its final name, may be gone after a power cut, and Fetch reports an
// error; fetching again is safe. A disk that lies about fsync is not found out.
// Where a folder of the path is a symbolic link inside the root, it is followed.
//
// # Where it connects
//
// [Guard] decides. Result hosts are not listed by the provider, so no list is
// kept: every host must be reached by https (http is upgraded; signatures of
// version 1 do not cover the scheme) at a public address, which is checked when
// it is dialled, on each of at most three redirects. The configured endpoint
// alone is exempt. No key, cookie, Referer or Authorization is ever sent, and no
// error carries the query of a URL.
package fetch

// Package planted shows that the tests of this module can fail.
//
// A test that never failed proves little. So this package holds bugs, each of
// them one that a money-spending batch program could really have: a create sent
// twice, an intent that is not durable, a stranger's task adopted, a checksum not
// compared. Each is a patch of a few lines in testdata, with the promise that it
// breaks and the tests that must notice. They are never part of a build of the
// program: a patched copy is handed to the compiler beside the real file
// (go build -overlay), the named tests are built with it, and one of them has to
// fail. A bug that survives is a hole in the tests.
//
//	go test ./internal/planted                        a quick quarter, with every run of the suite
//	go test ./internal/planted -v -planted all        every bug, and the table of what caught which
//	go test ./internal/planted -v -planted fifo,307   those with such a name
//
// # A bug file
//
// testdata/NAME.bug is a txtar archive. Its comment tells the story and ends in
// lines with a key:
//
//	breaks: the promise
//	test: ./package/folder ^TestThatMustNotice$
//	quick: yes
//
// There may be several tests; they are tried in order until one fails. Then come
// pairs of sections, "-- FILE: old --" and "-- FILE: new --". The old text must
// stand in the file exactly once, or the patch itself is reported: the code moved
// on, and the bug has to follow.
//
// Where a bug is stopped twice, because the core refuses what a shell got wrong,
// the patch opens both doors: what counts is whether a test would see the harm.
package planted

// Package emulator is the provider of the wan2.2-animate models as one [http.Handler]: it takes
// tasks, runs them one at a time, serves the results, and keeps the count that tests and
// rehearsals believe instead of ours.
//
// # What is faithful
//
// Everything on the wire follows the provider's documents and recorded calls: paths with and
// without /api/v1 and with and without a trailing slash; flat errors; HTTP 200 in every task
// state; times as UTC+8 text in a query and as epoch milliseconds in a list; ids that turn into
// UNKNOWN after their life; a create that looks at no media and a task that fails on them;
// results behind an OSS V1 signature with the headers of OSS. The wire shapes are written here
// anew and shared with nothing, so that client and emulator cannot be wrong together.
//
// # How time passes
//
// No timer drives a task. Every request first brings the world up to [Options].Now: tasks that
// were due have started and ended at the instants they were due, not when somebody looked
// (lane.go). The clock may therefore be the wall clock, a fast one, or the virtual clock of
// testing/synctest. Two things take real time, because they are real: inputs are downloaded and
// probed (input.go), by goroutines that [Server.Close] stops and waits for, and a task stays
// RUNNING until its inputs are probed; and a few faults keep a connection waiting.
//
// # What lies where
//
//	server.go   options filled in, routing, one lock around the world
//	account.go  keys, accounts, and the limits per second
//	create.go   query.go list.go cancel.go   the four calls
//	task.go     one task: its life, its fate, its bill
//	lane.go     the queue of one account and model, advanced lazily
//	policy.go upload.go   the temporary store: leave to upload, and what was uploaded
//	input.go    fetching and judging image and video
//	object.go   the result store;  movie.go  the MP4 it stores;  transfer.go  how it is sent
//	meter.go    the provider's own count
//	fault.go    the fault grammar;  mischief.go  what the faults do to a connection
//
// # What is left out
//
// Pushed completion events, and AVI inputs: a task that names one ends FAILED. Inputs may also be
// file:// URLs, which the real provider would refuse: a short way for local files to this one.
//
// # Money
//
// A task that SUCCEEDED is billed its usage.video_duration, the driving video's length in whole
// milliseconds; the result file plays exactly that long. Nothing else is billed.
package emulator

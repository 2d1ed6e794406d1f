// Package dashscope speaks the task API of Alibaba Cloud Model Studio for the
// wan2.2-animate models: create, query, list and cancel, and puts files into its
// temporary store. It holds the wire types and the error table, and no policy of
// its own: it never retries, never waits and never decides whether a create may
// be repeated. It reports what is known and lets the caller decide.
//
// # One POST per attempt
//
// The provider documents no idempotency key, so a create that is sent twice is
// paid twice. [Client.Create] and [Client.Cancel] therefore put at most one
// POST on the wire, whatever the HTTP layer meets:
//
//   - net/http is used below its Client: RoundTrip follows no redirect, keeps no
//     cookie and repeats nothing on a 307 or 308;
//   - every POST dials a connection of its own (keep-alive off, HTTP/2 off).
//     The transport re-sends a request only when a pooled connection dies or
//     an HTTP/2 stream is refused, and such a POST meets neither;
//   - the body has no GetBody and no idempotency header is ever set, so a
//     transport that a caller brings cannot replay the request either.
//
// # Three outcomes of a create
//
// A create is accepted (a task id came back), refused, or in doubt.
// [Error.MayHaveExecuted] draws the line: false needs proof, which is either
// that no connection was obtained or a well-formed 4xx answer that carries an
// error code. A timeout, a cut connection, a 5xx, a redirect, an HTML page and a
// success without a usable task id are all in doubt.
//
// # Reading
//
// Answers are read tolerantly where the provider's own pages disagree (place
// of the result URL, type of the duration, error envelope) and strictly where
// money hangs on them: a list without its rows is an error and never an empty
// list, an answer about another task is an error, and a duration that is not
// a sensible positive number is unknown and never zero.
//
// # Uploads
//
// [Client.Upload] sends a form to the store that a [Policy] names, at an address
// that the provider chose: without the key, by a transport of its own
// ([Config].Uploads), without following redirects, and only by https unless it
// is the endpoint itself. Files are streamed; nothing is kept in memory.
//
// # Secrets
//
// The API key lives in a [Secret]. Error texts carry scheme, host and path of
// a URL and never its query; texts that the provider sent are freed of the key,
// of URL queries and of control and direction characters before they reach an
// [Error] or a [Task].
package dashscope

// Package store keeps files in a bucket of one's own: in Alibaba OSS, through its
// own SDK, or in any store that speaks S3. It serves two ends. Local inputs are put
// there under the name of their content and handed to the provider as signed URLs
// that outlive its queue; results are put there after they were verified, and count
// as stored when the store confirms them.
//
// # What is confirmed
//
// A file is sent in one request with its MD5, by which the store refuses a body
// that was damaged on the way, and carries its SHA-256 as metadata. Then the store
// is asked what it holds: only an object of the right length and SHA-256 is
// confirmed. The same question comes first, so that putting a file again after a
// crash sends nothing. There are no multipart uploads, whose left-overs cost money.
//
// # Where it connects
//
// The operator names the endpoint, so any address is allowed, by https unless it is
// loopback. Redirects are not followed, and the SDKs are kept from trying anything
// again: when to do so is the caller's to say.
//
// # Secrets
//
// Credentials come from the caller and print as "***". Errors carry scheme, host
// and path of a URL and never its query; signed URLs are credentials and for the
// caller to keep.
package store

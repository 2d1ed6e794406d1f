package store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Bucket is a bucket of any store that speaks S3.
type s3Bucket struct {
	client *minio.Client
	name   string
}

func newS3(l Location, c Credentials, carrier http.RoundTripper) (*s3Bucket, error) {
	u, err := url.Parse(l.Endpoint)
	if err != nil {
		return nil, err // unreachable: Parse has read it
	}
	lookup := minio.BucketLookupPath
	if l.style == styleVirtual {
		lookup = minio.BucketLookupDNS
	}
	id, secret, token := c.reveal()
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(id, secret, token), Secure: u.Scheme == "https",
		Region: l.Region, BucketLookup: lookup, Transport: carrier, MaxRetries: tries,
	})
	if err != nil {
		return nil, err
	}
	return &s3Bucket{client: client, name: l.Bucket}, nil
}

// put sends the body plainly, with its MD5: some stores, OSS among them, take
// neither the chunks of a signed stream nor checksums that trail it.
func (b *s3Bucket) put(ctx context.Context, key string, u upload) error {
	o := minio.PutObjectOptions{
		ContentType: u.contentType, UserMetadata: u.metadata(),
		SendContentMd5: true, DisableContentSha256: true, DisableMultipart: true,
	}
	if u.fresh {
		o.SetMatchETagExcept("*")
	}
	_, err := b.client.PutObject(ctx, b.name, key, u.body, u.size, o)
	return err
}

func (b *s3Bucket) get(ctx context.Context, key string) (io.ReadCloser, error) {
	body, _, _, err := minio.Core{Client: b.client}.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	return body, err
}

func (b *s3Bucket) remove(ctx context.Context, key string) error {
	return b.client.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{})
}

func (b *s3Bucket) stat(ctx context.Context, key string) (Object, error) {
	info, err := b.client.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return Object{}, err
	}
	o := Object{Bytes: info.Size}
	o.read(info.UserMetadata)
	return o, nil
}

func (b *s3Bucket) sign(ctx context.Context, key string, life time.Duration) (string, error) {
	u, err := b.client.PresignedGetObject(ctx, b.name, key, life, nil)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

func s3Refusal(err error) *refusal {
	var e minio.ErrorResponse
	if !errors.As(err, &e) || e.StatusCode == 0 {
		return nil
	}
	return &refusal{status: e.StatusCode, code: e.Code, message: e.Message, requestID: e.RequestID}
}

package store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

// ossBucket is a bucket of Alibaba OSS, through its own SDK, which besides compares
// the CRC-64 of what it sent.
type ossBucket struct {
	client *oss.Client
	name   string
}

func newOSS(l Location, c Credentials, carrier http.RoundTripper) *ossBucket {
	id, secret, token := c.reveal()
	cfg := oss.NewConfig().
		WithRegion(l.Region).WithEndpoint(l.Endpoint).
		WithUsePathStyle(l.style == stylePath).WithUseCName(l.style == styleCNAME).
		WithSignatureVersion(oss.SignatureVersionV4).
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, token)).
		WithRetryMaxAttempts(tries).
		WithHttpClient(&http.Client{Transport: carrier, CheckRedirect: noRedirect})
	return &ossBucket{client: oss.NewClient(cfg), name: l.Bucket}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (b *ossBucket) put(ctx context.Context, key string, u upload) error {
	r := &oss.PutObjectRequest{
		Bucket: &b.name, Key: &key, Body: u.body, ContentLength: &u.size, ContentMD5: &u.md5, ContentType: &u.contentType,
		Metadata: u.metadata(),
	}
	if u.fresh {
		r.ForbidOverwrite = oss.Ptr("true")
	}
	_, err := b.client.PutObject(ctx, r)
	return err
}

func (b *ossBucket) get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.client.GetObject(ctx, &oss.GetObjectRequest{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

func (b *ossBucket) remove(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &oss.DeleteObjectRequest{Bucket: &b.name, Key: &key})
	return err
}

func (b *ossBucket) stat(ctx context.Context, key string) (Object, error) {
	r, err := b.client.HeadObject(ctx, &oss.HeadObjectRequest{Bucket: &b.name, Key: &key})
	if err != nil {
		return Object{}, err
	}
	o := Object{Bytes: r.ContentLength}
	o.read(r.Metadata)
	return o, nil
}

func (b *ossBucket) sign(ctx context.Context, key string, life time.Duration) (string, error) {
	r, err := b.client.Presign(ctx, &oss.GetObjectRequest{Bucket: &b.name, Key: &key}, oss.PresignExpires(life))
	if err != nil {
		return "", err
	}
	return r.URL, nil
}

func ossRefusal(err error) *refusal {
	var e *oss.ServiceError
	if !errors.As(err, &e) {
		return nil
	}
	return &refusal{status: e.StatusCode, code: e.Code, message: e.Message, requestID: e.RequestID}
}

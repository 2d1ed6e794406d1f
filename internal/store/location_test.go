package store_test

import (
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/store"
)

func TestParse(t *testing.T) {
	tests := []struct{ text, full, address string }{
		{
			"oss://my-bucket/dances?region=ap-southeast-1",
			"oss://my-bucket/dances?region=ap-southeast-1&endpoint=https://oss-ap-southeast-1.aliyuncs.com&style=virtual",
			"https://my-bucket.oss-ap-southeast-1.aliyuncs.com/dances/a/b.mp4",
		},
		{
			"oss://my-bucket?endpoint=oss-cn-beijing.aliyuncs.com",
			"oss://my-bucket?region=cn-beijing&endpoint=https://oss-cn-beijing.aliyuncs.com&style=virtual",
			"https://my-bucket.oss-cn-beijing.aliyuncs.com/a/b.mp4",
		},
		{
			"oss://my-bucket/a/b/?region=cn-beijing&endpoint=https://media.example.com&style=cname",
			"oss://my-bucket/a/b?region=cn-beijing&endpoint=https://media.example.com&style=cname",
			"https://media.example.com/a/b/a/b.mp4",
		},
		{
			"s3://my.bucket/x?region=eu-central-1",
			"s3://my.bucket/x?region=eu-central-1&endpoint=https://s3.eu-central-1.amazonaws.com&style=virtual",
			"https://my.bucket.s3.eu-central-1.amazonaws.com/x/a/b.mp4",
		},
		{
			"s3://bucket/x?endpoint=https://minio.example.com:9000",
			"s3://bucket/x?region=us-east-1&endpoint=https://minio.example.com:9000&style=path",
			"https://minio.example.com:9000/bucket/x/a/b.mp4",
		},
		{
			"s3://bucket?endpoint=http://127.0.0.1:9000&region=here",
			"s3://bucket?region=here&endpoint=http://127.0.0.1:9000&style=path",
			"http://127.0.0.1:9000/bucket/a/b.mp4",
		},
	}
	for _, tt := range tests {
		l, err := store.Parse(tt.text)
		if err != nil || l.String() != tt.full || l.Address("a/b.mp4") != tt.address {
			t.Errorf("%s: got %s, %s, %v", tt.text, l, l.Address("a/b.mp4"), err)
			continue
		}
		if again, err := store.Parse(l.String()); err != nil || again != l {
			t.Errorf("%s read back: %v, %v", l, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ text, says string }{
		{"", "not of the form"},
		{"my-bucket", "not of the form"},
		{"https://my-bucket.oss-cn-beijing.aliyuncs.com/x", "not of the form"},
		{"gs://bucket/x", "not of the form"},
		{"oss://bucket/x", "region is missing"},
		{"s3://bucket/x", "region is missing"},
		{"oss:///x?region=cn-beijing", "is no bucket"},
		{"oss://B/x?region=cn-beijing", "is no bucket"},
		{"oss://a.b.c/x?region=cn-beijing", "is no bucket"},
		{"oss://bucket/../x?region=cn-beijing", "is no prefix"},
		{"oss://bucket/a//b?region=cn-beijing", "is no prefix"},
		{"oss://bucket/a%20b?region=cn-beijing", "is no prefix"},
		{"oss://bucket/x?region=oss-cn-beijing", "written cn-beijing"},
		{"oss://bucket/x?region=Beijing!", "is no region"},
		{"oss://bucket/x?region=cn-beijing&region=cn-beijing", "given twice"},
		{"oss://bucket/x?region=cn-beijing&endpoint=oss-cn-shanghai.aliyuncs.com", "is in cn-shanghai"},
		{"oss://bucket/x?region=cn-beijing&style=odd", "style"},
		{"s3://bucket/x?region=eu&style=cname", "style"},
		{"oss://bucket/x?regoin=cn-beijing", "unknown option"},
		{"oss://bucket/x?region=cn-beijing#y", "#"},
		{"s3://bucket/x?endpoint=http://minio.example.com", "must be https"},
		{"s3://bucket/x?endpoint=ftp://minio.example.com", "endpoint"},
		{"s3://bucket/x?endpoint=https://minio.example.com/path", "host alone"},
		{"s3://bucket/x?endpoint=https://u:hunter2@minio.example.com", "host alone"},
		{"s3://AKID:hunter2@bucket/x?region=eu", "environment"},
		{"s3://bucket/x?region=eu&secret_key=hunter2", "environment"},
		{"s3://bucket/x?%zz", "name=value"},
	}
	for _, tt := range tests {
		_, err := store.Parse(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", tt.text, err, tt.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("oss://my-bucket/dances?region=ap-southeast-1")
	f.Add("s3://bucket/x?endpoint=https://minio.example.com:9000&style=path")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := store.Parse(text)
		if err != nil {
			return
		}
		if again, err := store.Parse(l.String()); err != nil || again != l {
			t.Errorf("%q reads as %q, which reads as %q, %v", text, l, again, err)
		}
		if !strings.HasPrefix(l.Address("k"), "https://") && !l.Loopback() {
			t.Errorf("%q lies at %s", text, l.Address("k"))
		}
	})
}

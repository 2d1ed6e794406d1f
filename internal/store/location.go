package store

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// The kinds of store, as in the scheme of a location.
const (
	OSS = "oss"
	S3  = "s3"
)

// How a bucket is addressed.
const (
	styleVirtual = "virtual" // bucket.host/key
	stylePath    = "path"    // host/bucket/key
	styleCNAME   = "cname"   // host/key: a domain that stands for the bucket
)

// A Location says where files are kept: a bucket, a folder in it, and how it is
// reached. Make it with [Parse]; the zero Location is none.
type Location struct {
	Kind     string // OSS or S3
	Bucket   string
	Prefix   string // "" or a path without slashes at its ends
	Region   string
	Endpoint string // scheme://host[:port]
	style    string
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixPath = regexp.MustCompile(`^[0-9A-Za-z_.-]+(/[0-9A-Za-z_.-]+)*$`)
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,39}$`)
	ossHost    = regexp.MustCompile(`^oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com$`)
)

// Parse reads a location:
//
//	oss://bucket/prefix?region=ap-southeast-1
//	s3://bucket/prefix?endpoint=https://minio.example.com
//
// region is needed for OSS unless the endpoint tells it, and for S3 unless an
// endpoint is given (then it is us-east-1). endpoint is a URL or a host; by default
// it is that of the region at Alibaba Cloud or AWS. style says how the bucket is
// addressed: virtual (bucket.host), path (host/bucket) or, for OSS, cname (the host
// stands for the bucket); by default virtual at Alibaba Cloud and AWS, else path.
// Errors repeat no secret that may have been written there.
func Parse(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != OSS && u.Scheme != S3 {
		return Location{}, errors.New("not of the form oss://bucket/prefix?region=NAME or s3://bucket/prefix?endpoint=URL")
	}
	if u.User != nil {
		return Location{}, errors.New("credentials do not belong here: they come from the environment")
	}
	l := Location{Kind: u.Scheme, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	switch {
	case !bucketName.MatchString(l.Bucket) || strings.Contains(l.Bucket, ".."), l.Kind == OSS && strings.Contains(l.Bucket, "."):
		return Location{}, fmt.Errorf("%q is no bucket: 3 to 63 lower-case letters, digits and dashes", u.Host)
	case l.Prefix != "" && (!prefixPath.MatchString(l.Prefix) || path.Clean("/"+l.Prefix) != "/"+l.Prefix || len(l.Prefix) > 200):
		return Location{}, fmt.Errorf("%q is no prefix: letters, digits, dots, dashes and underscores between slashes", l.Prefix)
	case u.Fragment != "":
		return Location{}, errors.New("there is a # in it")
	}
	if err := l.options(u.RawQuery); err != nil {
		return Location{}, err
	}
	return l, l.complete()
}

// options reads what stands behind the question mark.
func (l *Location) options(query string) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what follows the ? is not of the form name=value&name=value")
	}
	for name, values := range options {
		if len(values) > 1 {
			return fmt.Errorf("%.30q is given twice", name)
		}
		switch value := values[0]; name {
		case "region":
			l.Region = value
		case "endpoint":
			l.Endpoint = value
		case "style":
			l.style = value
		default:
			if strings.Contains(strings.ToLower(name), "key") || strings.Contains(strings.ToLower(name), "secret") {
				return errors.New("credentials do not belong here: they come from the environment")
			}
			return fmt.Errorf("unknown option %.30q: there are region, endpoint and style", name)
		}
	}
	return nil
}

// complete fills in what follows from the rest, and checks all of it.
func (l *Location) complete() error {
	host, err := l.endpoint()
	if err != nil {
		return err
	}
	if m := ossHost.FindStringSubmatch(host); m != nil && l.Kind == OSS && l.Region == "" {
		l.Region = m[1]
	}
	switch {
	case l.Region == "" && l.Kind == S3 && host != "":
		l.Region = "us-east-1"
	case l.Region == "":
		return errors.New("its region is missing: add ?region=NAME")
	case l.Kind == OSS && strings.HasPrefix(l.Region, "oss-"):
		return fmt.Errorf("the region is written %s", strings.TrimPrefix(l.Region, "oss-"))
	case !regionName.MatchString(l.Region):
		return fmt.Errorf("%.50q is no region", l.Region)
	}
	if host == "" {
		host = "s3." + l.Region + ".amazonaws.com"
		if l.Kind == OSS {
			host = "oss-" + l.Region + ".aliyuncs.com"
		}
		l.Endpoint = "https://" + host
	}
	if m := ossHost.FindStringSubmatch(host); m != nil && m[1] != l.Region {
		return fmt.Errorf("the endpoint is in %s, the region says %s", m[1], l.Region)
	}
	switch {
	case l.style == "" && (strings.HasSuffix(host, ".aliyuncs.com") || strings.HasSuffix(host, ".amazonaws.com")):
		l.style = styleVirtual
	case l.style == "":
		l.style = stylePath
	case l.style != styleVirtual && l.style != stylePath && (l.style != styleCNAME || l.Kind != OSS):
		return fmt.Errorf("style %.20q is none: virtual, path or (for oss) cname", l.style)
	}
	return nil
}

// endpoint checks the endpoint, if one is given, and returns its host.
func (l *Location) endpoint() (host string, err error) {
	if l.Endpoint == "" {
		return "", nil
	}
	text := l.Endpoint
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("its endpoint is not of the form https://host[:port]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", errors.New("its endpoint must be a host alone: https://host[:port]")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", fmt.Errorf("its endpoint http://%s must be https: only a loopback address may be plain http", u.Host)
	}
	l.Endpoint = u.Scheme + "://" + strings.ToLower(u.Host)
	return strings.ToLower(u.Hostname()), nil
}

// IsZero reports whether there is no location.
func (l Location) IsZero() bool { return l.Kind == "" }

// String is the location with everything that follows from it; Parse reads it back.
func (l Location) String() string {
	if l.IsZero() {
		return ""
	}
	return l.Name() + "?region=" + l.Region + "&endpoint=" + l.Endpoint + "&style=" + l.style
}

// Name is the bucket and prefix alone, as in oss://bucket/prefix.
func (l Location) Name() string {
	if l.IsZero() {
		return ""
	}
	return l.Kind + "://" + path.Join(l.Bucket, l.Prefix)
}

// Loopback reports whether only this machine can reach the store.
func (l Location) Loopback() bool {
	u, err := url.Parse(l.Endpoint)
	return err == nil && isLoopback(u.Hostname())
}

// Intranet reports whether only machines of the same Alibaba Cloud region can reach
// the store, the provider of the models not among them.
func (l Location) Intranet() bool { return strings.Contains(l.Endpoint, "-internal.") }

// Address is where a file stays, without a signature: who may read it there is the
// bucket's affair.
func (l Location) Address(key string) string {
	u, _ := url.Parse(l.Endpoint) // was checked by Parse
	key = l.key(key)
	switch l.style {
	case styleVirtual:
		u.Host = l.Bucket + "." + u.Host
	case stylePath:
		key = l.Bucket + "/" + key
	}
	u.Path = "/" + key
	return u.String()
}

// key is the name of a file in the bucket.
func (l Location) key(name string) string {
	if l.Prefix == "" {
		return name
	}
	return l.Prefix + "/" + name
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

package fetch_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

// forbiddenHosts are spellings of addresses that must not be contacted, with
// %s for the port of a listener on 127.0.0.1 where a port matters.
func forbiddenHosts() []string {
	hosts := strings.Fields(`
		127.0.0.1 127.0.0.2 127.1.1.1 127.255.255.254 0.0.0.0 0.0.0.1 0.1.2.3
		10.0.0.1 10.1.2.3 10.255.255.255 172.16.0.1 172.20.1.1 172.31.255.255 192.168.0.1 192.168.1.254 192.168.255.255
		169.254.0.1 169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 100.127.255.255
		192.0.0.1 192.0.0.170 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7
		224.0.0.1 239.255.255.250 240.0.0.1 250.1.2.3 255.255.255.255
		127.0.0.1. 127.0.0.1.. 10.0.0.1. 169.254.169.254. 8.8.8.8.
		127.1 127.0.1 10.1 127. 192.168.1 0 0. 00 1 1. 127 2130706433 2130706433. 3232235521 2852039166 1684301000 4294967295 4294967296
		0x7f.0.0.1 0x7f.0x0.0x0.0x1 0X7F.1 0x7f000001 0x7F000001. 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 0x7f.1 0x 0x0 0x. 0xc0a80001
		0177.0.0.1 0177.0.0.01 0177.1 017700000001 00000177.0.0.1 0251.0376.0251.0376 012.1 012.0.0.1 030052000001
		127.0.0.0x1 127.0.0.01 127.0.0.001 0127.0.0.1 0x7f.0.01 127.0x1 1.2.3.4.5 256.256.256.256 999.1 08.8 09
		[::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::0.0.0.1] [0::1]
		[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:10.0.0.1] [::ffff:a9fe:a9fe] [::ffff:192.168.0.1] [::ffff:0.0.0.0]
		[::127.0.0.1] [::7f00:1] [::10.0.0.1] [::ffff:0:127.0.0.1]
		[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [64:ff9b:1::7f00:1]
		[2002:7f00:1::] [2002:a00:1::1] [2002:a9fe:a9fe::] [2001::1] [2001:0:7f00:1::] [2001:db8::1] [2001:20::1] [3fff::1]
		[fc00::1] [fd00::1] [fd00:ec2::254] [fdff:ffff::1] [fe80::1] [fe80::1%25eth0] [fe80::a9fe:a9fe] [febf::1] [fec0::1]
		[ff02::1] [ff05::2] [ff0e::1] [100::1] [5f00::1] [::ffff:127.0.0.1%25lo] [4000::1] [fe80::1%25lo]
		①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 １２７.0.0.1 ⑯⑨.②⑤④.⑯⑨.②⑤④
		localhost LOCALHOST localhost.
	`)
	return hosts
}

func TestGuardRefusesEverySpelling(t *testing.T) {
	hosts := forbiddenHosts()
	if len(hosts) < 120 {
		t.Fatalf("%d spellings, want 120", len(hosts))
	}
	var visits atomic.Int32
	victim := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { visits.Add(1) }))
	defer victim.Close()
	victim.Config.ConnState = func(net.Conn, http.ConnState) { visits.Add(1) }
	_, port, _ := net.SplitHostPort(victim.Listener.Addr().String())

	s := newStore(t, nil)
	p := s.place(t, fetch.Config{})
	for _, host := range hosts {
		for _, raw := range []string{"https://" + host + ":" + port + "/x?Signature=" + secret, "http://" + host + "/x"} {
			_, err := p.get(raw)
			if !errors.Is(err, fetch.ErrRefused) && !noSuchName(host, err) {
				t.Errorf("direct %s: got %v", raw, err)
			}
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Location", raw)
				w.WriteHeader(http.StatusFound)
				return true
			}
			_, err = p.get(s.url())
			if !errors.Is(err, fetch.ErrRefused) && !noSuchName(host, err) {
				t.Errorf("redirect to %s: got %v", raw, err)
			}
		}
	}
	if visits.Load() != 0 {
		t.Errorf("%d connections to the victim", visits.Load())
	}
	if p.names() != "" {
		t.Errorf("folder holds %s", p.names())
	}
}

// noSuchName excuses localhost where the machine does not know it.
func noSuchName(host string, err error) bool {
	var dns *net.DNSError
	return strings.HasPrefix(strings.ToLower(host), "localhost") && errors.As(err, &dns)
}

func TestDialerChecksTheAddressItself(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := fetch.PublicDialer()(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if _, err := fetch.PublicDialer("127.0.0.1:1")(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("another port: got %v", err)
	}
	conn, err := fetch.PublicDialer(l.Addr().String())(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := fetch.PublicDialer()(t.Context(), "udp", "8.8.8.8:53"); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("udp: got %v", err)
	}
}

func TestCheck(t *testing.T) {
	g := fetch.NewGuard(fetch.GuardConfig{Trusted: "http://127.0.0.1:8080/api/v1"})
	lax := fetch.NewGuard(fetch.GuardConfig{AllowHTTP: true})
	tests := []struct {
		url        string
		strict, ok bool // by g, by lax
	}{
		{"https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/a.mp4?x", true, true},
		{"https://8.8.8.8/", true, true}, {"https://[2606:4700::1111]/", true, true}, {"https://[64:ff9b::8.8.8.8]/", true, true},
		{"https://[::ffff:8.8.8.8]/", true, true}, {"https://172.15.0.1/", true, true}, {"https://172.32.0.1/", true, true},
		{"https://100.63.0.1/", true, true}, {"https://a1.example2/", true, true},
		{"http://example.com/", false, true}, {"http://127.0.0.1:8080/x", true, false}, {"http://127.0.0.1:8081/x", false, false},
		{"https://127.0.0.1:8080/x", false, false}, {"http://127.0.0.1/x", false, false},
		{"ftp://example.com/", false, false}, {"file:///etc/passwd", false, false}, {"https:///x", false, false}, {"//example.com/", false, false},
		{"https://user@example.com/", false, false}, {"http://user@127.0.0.1:8080/x", false, false}, {"gopher://8.8.8.8/", false, false},
	}
	for _, tt := range tests {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Check(u); (got == nil) != tt.strict {
			t.Errorf("%s: got %v", tt.url, got)
		}
		if got := lax.Check(u); (got == nil) != tt.ok {
			t.Errorf("lax %s: got %v", tt.url, got)
		}
	}
	nobody := fetch.NewGuard(fetch.GuardConfig{Trusted: "::bad::"})
	if nobody.Check(&url.URL{Scheme: "http", Host: ""}) == nil || nobody.Check(&url.URL{Scheme: "", Host: ""}) == nil {
		t.Error("a guard without trust trusts an empty URL")
	}
}

func TestRedirects(t *testing.T) {
	for hops, ok := range []bool{true, true, true, true, false} {
		s := newStore(t, movie(100, 1))
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			left := hops - len(s.requests) + 1
			if left <= 0 {
				return false
			}
			w.Header().Set("Location", "/next?Signature="+secret)
			w.WriteHeader([]int{301, 302, 303, 307, 308}[left%5])
			return true
		}
		p := s.place(t, fetch.Config{})
		if _, err := p.get(s.url()); (err == nil) != ok || errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%d redirects: got %v", hops, err)
		}
		if len(s.requests) > 4 {
			t.Errorf("%d redirects: %d requests", hops, len(s.requests))
		}
	}
}

func TestOddLocations(t *testing.T) {
	for _, location := range []string{"", "%zz?Signature=canary", "ftp://example.com/", "file:///etc/passwd", "https://user:canary@example.com/", "javascript:alert(1)"} {
		s := newStore(t, nil)
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header()["Location"] = []string{location}
			w.WriteHeader(302)
			return true
		}
		if _, err := s.place(t, fetch.Config{}).get(s.url()); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%q: got %v", location, err)
		}
	}
}

func TestPlainHTTPIsUpgraded(t *testing.T) {
	object := movie(100, 1)
	var secure atomic.Bool
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure.Store(r.TLS != nil)
		w.Write(object)
	}))
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	p := newPlace(t, fetch.Config{Trusted: srv.URL, RootCAs: pool})
	if _, err := p.get(strings.Replace(srv.URL, "https", "http", 1) + "/a.mp4?Signature=" + secret); err != nil {
		t.Fatal(err)
	}
	if !secure.Load() {
		t.Error("fetched over plain http")
	}
	strangers := newPlace(t, fetch.Config{Trusted: srv.URL})
	if _, err := strangers.get(srv.URL); err == nil {
		t.Error("an unknown certificate passed")
	}
}

// proxyFor counts what a proxy on loopback is asked for.
func proxyFor(t *testing.T, asked *[]string) func(*http.Request) (*url.URL, error) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.Host)
		http.Error(w, "no way", http.StatusBadGateway)
	}))
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	u.User = url.UserPassword("user", "canary")
	return func(*http.Request) (*url.URL, error) { return u, nil }
}

func TestProxyMayBePrivateItsTargetsMayNot(t *testing.T) {
	var asked []string
	p := newPlace(t, fetch.Config{Proxy: proxyFor(t, &asked)})
	for _, host := range append(forbiddenHosts(), "intranet", "db.internal", "printer.local", "a.localhost", "nas.lan", "x.home.arpa.") {
		if _, err := p.get("https://" + host + "/x"); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%s: got %v", host, err)
		}
	}
	if len(asked) != 0 {
		t.Fatalf("the proxy was asked for %v", asked)
	}
	if _, err := p.get("https://8.8.8.8/a.mp4"); err == nil || errors.Is(err, fetch.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if fmt.Sprint(asked) != "[CONNECT 8.8.8.8:443]" {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

func TestProxyErrorsAreQuiet(t *testing.T) {
	p := newPlace(t, fetch.Config{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, &url.Error{Op: "parse", URL: "http://user:canary@proxy/?canary", Err: errors.New("bad\x1b[31m proxy")}
	}})
	_, err := p.get("https://example.com/a.mp4")
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") || !strings.Contains(err.Error(), "proxy") {
		t.Errorf("got %v", err)
	}
}

func TestProxyMayChooseToGoDirect(t *testing.T) {
	s := newStore(t, movie(10, 1))
	p := s.place(t, fetch.Config{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }})
	if _, err := p.get(s.url()); err != nil {
		t.Error(err)
	}
	if _, err := p.get("https://127.0.0.1:1/x"); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestHostileAnswersStayQuiet(t *testing.T) {
	for _, answer := range []string{
		"garbage https://h/?Signature=canary\r\n\r\n", "HTTP/1.1 \x1b[31m\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 128<<10) + "\r\n\r\n", "",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, answer)
		}()
		p := newPlace(t, fetch.Config{Trusted: "http://" + l.Addr().String()})
		_, err = p.Fetch(context.Background(), disk.Dir(p.root), target, "http://"+l.Addr().String()+"/?Signature="+secret, nil)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\n\r") || strings.Contains(err.Error(), "Signature=") || len(err.Error()) > 500 {
			t.Errorf("%.40q: got %v", answer, err)
		}
		l.Close()
		<-done
	}
}

func FuzzCheck(f *testing.F) {
	for _, host := range forbiddenHosts() {
		f.Add("https://" + host + "/")
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		if fetch.NewGuard(fetch.GuardConfig{}).Check(u) != nil {
			return
		}
		// What passes is a name, or a public literal.
		if a := net.ParseIP(u.Hostname()); a != nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()) {
			t.Errorf("%q passes", raw)
		}
		if u.Scheme != "https" || u.User != nil {
			t.Errorf("%q passes", raw)
		}
	})
}

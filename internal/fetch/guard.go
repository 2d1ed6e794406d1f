package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrRefused is matched by errors about an address that must not be contacted:
// not public, not https, or in a misleading spelling. Nothing was sent.
var ErrRefused = errors.New("address refused")

// GuardConfig sets up a [Guard]. The zero value trusts nobody.
type GuardConfig struct {
	// Trusted is the scheme://host[:port] of the configured endpoint, the only
	// place where a private address and plain http are allowed.
	Trusted string
	// AllowHTTP lets public hosts be plain http, for media of the manifest.
	AllowHTTP bool
	// Proxy chooses a proxy; nil means none. A proxy may have a private
	// address; what it is asked to reach may not.
	Proxy func(*http.Request) (*url.URL, error)
	// RootCAs verify servers; nil means those of the system.
	RootCAs *x509.CertPool
	// Timeout bounds a dial, a handshake and the wait for a header, each.
	// Defaults to 60 s.
	Timeout time.Duration
	// Transport, if not nil, carries what passes [Guard.Check] in place of a
	// connection. Nothing is resolved or dialled then, so nothing is checked
	// that only dialling shows: it is for tests that have no network.
	Transport http.RoundTripper
}

// Guard is an [http.RoundTripper] for addresses that others chose: URLs of
// results, redirects and media. It reaches public hosts and the trusted endpoint
// and nothing else, whatever a name resolves to at the moment of dialling. It
// does no compression and reads headers of at most 64 KiB. It is safe for
// concurrent use; Close it when done.
type Guard struct {
	trusted   origin
	allowHTTP bool
	proxy     func(*http.Request) (*url.URL, error)
	given     http.RoundTripper // in place of the two below
	direct    *http.Transport
	proxied   *http.Transport
}

// NewGuard returns a guard. A Trusted that is no such URL trusts nobody.
func NewGuard(cfg GuardConfig) *Guard {
	g := &Guard{allowHTTP: cfg.AllowHTTP, proxy: cfg.Proxy, given: cfg.Transport}
	if u, err := url.Parse(cfg.Trusted); err == nil && u.Hostname() != "" {
		g.trusted = originOf(u)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Minute
	}
	g.direct = transport(cfg)
	g.direct.DialContext = PublicDialer(g.trusted.hostport)
	// The operator chose the proxy, so it is dialled without a check.
	g.proxied = transport(cfg)
	g.proxied.Proxy = cfg.Proxy
	g.proxied.DialContext = (&net.Dialer{Timeout: cfg.Timeout}).DialContext
	return g
}

func transport(cfg GuardConfig) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    cfg.Timeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Close drops idle connections.
func (g *Guard) Close() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// RoundTrip sends a request to an address that passes, directly or by the
// proxy. Used under an [http.Client], it sees every redirect.
func (g *Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.Check(req.URL); err != nil {
		return nil, err
	}
	if g.given != nil {
		return g.given.RoundTrip(req)
	}
	if g.proxy == nil {
		return g.direct.RoundTrip(req)
	}
	via, err := g.proxy(req)
	if err != nil {
		return nil, err
	}
	if via == nil {
		return g.direct.RoundTrip(req)
	}
	if originOf(req.URL) != g.trusted {
		if err := checkName(req.Context(), req.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	return g.proxied.RoundTrip(req)
}

// Check judges a URL by what can be seen without the network. Errors match
// [ErrRefused].
func (g *Guard) Check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%w: not an http(s) URL", ErrRefused)
	}
	if u.User != nil {
		return fmt.Errorf("%w: URL carries a user name", ErrRefused)
	}
	if originOf(u) == g.trusted {
		return nil
	}
	if u.Scheme == "http" && !g.allowHTTP {
		return fmt.Errorf("%w: %s is not https", ErrRefused, u.Host)
	}
	return checkHost(u.Hostname())
}

// checkHost refuses literals that are not public and hosts that one resolver
// or another might take for such a literal.
func checkHost(host string) error {
	for i := range len(host) {
		// Beyond ASCII the transport would map letters after this check.
		if host[i] <= ' ' || host[i] > '~' {
			return fmt.Errorf("%w: host is not plain ASCII", ErrRefused)
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return checkAddr(a)
	}
	if strings.Contains(host, ":") || endsInNumber(strings.TrimRight(host, ".")) {
		return fmt.Errorf("%w: %s is an odd spelling of an IP address", ErrRefused, host)
	}
	return nil
}

// checkName judges a name before it goes to a proxy, which resolves it by
// itself. A name that cannot be resolved here passes, since behind a proxy there
// often is no resolver; names of a local network never do.
func checkName(ctx context.Context, host string) error {
	name := strings.ToLower(strings.TrimRight(host, "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return nil // was checked as a literal
	}
	if isLocalName(name) {
		return fmt.Errorf("%w: %s is a name of a local network", ErrRefused, name)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return ctx.Err()
	}
	for _, a := range addrs {
		if err := checkAddr(a); err != nil {
			return err
		}
	}
	return nil
}

func checkAddr(a netip.Addr) error {
	if !isPublic(a) {
		return fmt.Errorf("%w: %s is not a public address", ErrRefused, a)
	}
	return nil
}

// PublicDialer returns a dial function that connects to public addresses only.
// The address is checked after the name was resolved and before the first
// packet, so a name cannot change its mind in between. Each allow is a host:port
// that may be anything; it is compared as it is dialled, before resolution. Use
// it as the DialContext of an [http.Transport] without a proxy.
func PublicDialer(allow ...string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	free := &net.Dialer{Timeout: time.Minute}
	guarded := &net.Dialer{Timeout: time.Minute, Control: refuseSpecial}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		for _, a := range allow {
			if a != "" && strings.EqualFold(a, addr) {
				return free.DialContext(ctx, network, addr)
			}
		}
		return guarded.DialContext(ctx, network, addr)
	}
}

// refuseSpecial is a net.Dialer's Control: address is the one that is about to
// be connected to.
func refuseSpecial(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: network %s", ErrRefused, network)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s is not an IP address", ErrRefused, address)
	}
	return checkAddr(a.Addr())
}

// origin is the part of a URL that trust hangs on.
type origin struct{ scheme, hostport string }

func originOf(u *url.URL) origin {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return origin{u.Scheme, net.JoinHostPort(strings.ToLower(u.Hostname()), port)}
}

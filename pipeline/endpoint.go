package pipeline

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

// endpoint is where a run's calls go.
type endpoint struct {
	base     string // as given, for the client
	origin   string // scheme://host[:port], for people, journal and trust
	loopback bool
}

// resolveEndpoint picks the endpoint by precedence (configured, manifest, the
// region's own) and refuses a provider host of another region: its key and its
// prices would not fit.
func resolveEndpoint(p *Plan, cfg Config) (endpoint, error) {
	lane := p.Manifest.Lane
	base := cfg.Endpoint
	if base == "" {
		base = lane.Endpoint
	}
	if base == "" {
		var err error
		if base, err = dashscope.Endpoint(lane.Region, lane.Workspace); err != nil {
			return endpoint{}, fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return endpoint{}, fmt.Errorf("%w: endpoint %q is not of the form https://host[:port]", ErrUsage, fetch.Redact(base))
	}
	e := endpoint{base: base, origin: originOf(u), loopback: isLoopback(u.Hostname())}
	if u.Scheme == "http" && !e.loopback {
		return endpoint{}, fmt.Errorf("%w: endpoint %s must be https: the API key goes there", ErrUsage, e.origin)
	}
	if region, ours := dashscope.RegionOf(u.Host); ours && region != lane.Region {
		return endpoint{}, fmt.Errorf("%w: endpoint %s serves region %s, but the manifest's lane.region is %s; prices and keys differ",
			ErrUsage, e.origin, region, lane.Region)
	}
	return e, nil
}

// UsesOtherHost reports whether a run of the plan, as [Plan.Under] made it, sends its calls
// and its key to another host than the provider's own.
func (p *Plan) UsesOtherHost() bool {
	base := cmp.Or(p.runTerms.endpoint, p.Manifest.Lane.Endpoint)
	u, err := url.Parse(base)
	if base == "" || err != nil { // a run refuses the latter
		return false
	}
	_, provider := dashscope.RegionOf(u.Host)
	return !provider
}

// originOf spells an address in the one way in which it is compared and told: the
// default port, a final dot and capitals make no other lane.
func originOf(u *url.URL) string {
	host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + port
	}
	return u.Scheme + "://" + host
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

package dashscope

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Regions that offer the wan2.2-animate models. Keys, tasks, limits and prices
// belong to one region each.
const (
	Beijing   = "beijing"   // cn-beijing, billed in CNY
	Singapore = "singapore" // ap-southeast-1, billed in USD
)

var workspaceID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,62}$`)

// Endpoint returns the base URL of a region, without the API path: the
// workspace's own host when workspace is not empty, else the shared host. The
// hosts are those of the provider's animate pages (2026); the workspace host of
// Beijing is taken from its pages on other models.
func Endpoint(region, workspace string) (string, error) {
	var shared, id string
	switch region {
	case Beijing:
		shared, id = "dashscope.aliyuncs.com", "cn-beijing"
	case Singapore:
		shared, id = "dashscope-intl.aliyuncs.com", "ap-southeast-1"
	default:
		return "", fmt.Errorf("region %q does not offer the animate models: use beijing or singapore", region)
	}
	if workspace == "" {
		return "https://" + shared, nil
	}
	if !workspaceID.MatchString(workspace) {
		return "", fmt.Errorf("workspace id %q is not letters, digits and dashes", workspace)
	}
	return "https://" + workspace + "." + id + ".maas.aliyuncs.com", nil
}

// RegionOf tells which region a host serves and whether it is one of the
// provider's API hosts at all. The host may carry a port. Regions other than
// [Beijing] and [Singapore] are given by the provider's id, such as "us-east-1";
// for a foreign host the region is empty.
func RegionOf(host string) (region string, provider bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	switch host {
	case "dashscope.aliyuncs.com":
		return Beijing, true
	case "dashscope-intl.aliyuncs.com":
		return Singapore, true
	case "dashscope-us.aliyuncs.com":
		return "us-east-1", true
	}
	if id, ok := strings.CutSuffix(host, ".dashscope.aliyuncs.com"); ok {
		return regionName(id), true
	}
	if rest, ok := strings.CutSuffix(host, ".maas.aliyuncs.com"); ok {
		return regionName(rest[strings.LastIndexByte(rest, '.')+1:]), true
	}
	return "", false
}

func regionName(id string) string {
	switch id {
	case "cn-beijing":
		return Beijing
	case "ap-southeast-1":
		return Singapore
	}
	return id
}

// parseBase reads a base URL with or without /api/v1 and returns it without.
// Errors do not repeat the text, which may hold a password.
func parseBase(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, errors.New("endpoint is not a URL of the form https://host[:port]")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %s://%s must not carry a user, query or fragment", u.Scheme, u.Host)
	}
	switch strings.TrimSuffix(u.Path, "/") {
	case "", "/api/v1":
	default:
		return nil, fmt.Errorf("endpoint %s://%s has an unexpected path: give the host alone or with /api/v1", u.Scheme, u.Host)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("endpoint %s://%s must be https: only a loopback address may be plain http", u.Scheme, u.Host)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/wanbatch/wanbatch/pipeline"
)

// Variables that the provider's own tools read too.
const (
	keyVariable      = "DASHSCOPE_API_KEY"
	keyFileVariable  = "DASHSCOPE_API_KEY_FILE_PATH"
	endpointVariable = "DASHSCOPE_HTTP_BASE_URL"
)

// apiKey finds the key. A manifest that names a variable is run with the key in
// it or not at all: any other could be another customer's.
func (p *program) apiKey(lane pipeline.Lane) (pipeline.Key, error) {
	if name := lane.APIKeyEnv; name != "" {
		if key := strings.TrimSpace(p.getenv(name)); key != "" {
			return pipeline.Key(key), nil
		}
		return "", usagef("the manifest's lane.api_key_env names %s, which is not set; no other key is used for it", name)
	}
	if key := strings.TrimSpace(p.getenv(keyVariable)); key != "" {
		return pipeline.Key(key), nil
	}
	if file := p.getenv(keyFileVariable); file != "" {
		return keyFrom(file)
	}
	if file := p.homeKey(); exists(file) {
		return keyFrom(file)
	}
	return "", usagef("there is no API key; set %s, or %s to a file that holds it", keyVariable, keyFileVariable)
}

// homeKey is where the provider's own tools keep the key; "" if there is no home.
func (p *program) homeKey() string {
	if home := p.home(); home != "" {
		return filepath.Join(home, ".dashscope", "api_key")
	}
	return ""
}

func keyFrom(file string) (pipeline.Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("read the API key: %v", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return "", usagef("%s does not hold one API key and nothing else", file)
	}
	return pipeline.Key(key), nil
}

// storeKeys are the credentials of buckets, from the variables that the tools of
// their makers read; what is not set stays empty, and is missed when it is needed.
func (p *program) storeKeys() map[string]pipeline.StoreKey {
	key := func(name string) pipeline.Key { return pipeline.Key(strings.TrimSpace(p.getenv(name))) }
	return map[string]pipeline.StoreKey{
		"oss": {ID: key("OSS_ACCESS_KEY_ID"), Secret: key("OSS_ACCESS_KEY_SECRET"), Token: key("OSS_SESSION_TOKEN")},
		"s3":  {ID: key("AWS_ACCESS_KEY_ID"), Secret: key("AWS_SECRET_ACCESS_KEY"), Token: key("AWS_SESSION_TOKEN")},
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// endpoint is where calls go if not to the region's own host, "" if nobody named
// another one. Whoever did is told, without what may be secret in a URL: at once, or,
// of a quiet program, before the key goes to somebody else than the provider.
func (p *program) endpoint(flag string, lane pipeline.Lane) (string, error) {
	for _, source := range []struct{ base, name string }{
		{flag, "--endpoint"},
		{p.getenv(endpointVariable), endpointVariable},
		{lane.Endpoint, "the manifest's lane.endpoint"},
	} {
		if source.base == "" {
			continue
		}
		u, err := url.Parse(source.base)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return "", usagef("%s is not of the form https://host[:port], without user or query", source.name)
		}
		p.endpointNotice = fmt.Sprintf("endpoint: %s://%s, from %s", u.Scheme, u.Host, source.name)
		if !p.quiet {
			p.printEndpointNotice()
		}
		return source.base, nil
	}
	return "", nil
}

// stateFolder is this user's folder for the locks of lanes, by the custom of the
// system; "" if there is no home.
func (p *program) stateFolder() string {
	home := p.home()
	if dir := p.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wanbatch")
	}
	switch {
	case runtime.GOOS == "windows" && p.getenv("LocalAppData") != "":
		return filepath.Join(p.getenv("LocalAppData"), "wanbatch")
	case home == "":
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "wanbatch")
	}
	return filepath.Join(home, ".local", "state", "wanbatch")
}

func (p *program) home() string { return cmp.Or(p.getenv("HOME"), p.getenv("USERPROFILE")) }

// onCI reports whether nobody watches, whatever the streams look like.
func (p *program) onCI() bool {
	ci := p.getenv("CI")
	return ci != "" && ci != "0" && ci != "false"
}

// dumb reports whether a terminal must be spared escape sequences.
func (p *program) dumb() bool { return p.getenv("TERM") == "dumb" }

// terminal returns the stream as a terminal, nil if it is none.
func terminal(stream any) *os.File {
	f, ok := stream.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) && !isatty.IsCygwinTerminal(f.Fd()) {
		return nil
	}
	return f
}

// widthOf tells how wide a terminal is at the moment.
func widthOf(f *os.File) func() int {
	return func() int {
		w, _ := sizeOf(f)()
		return w
	}
}

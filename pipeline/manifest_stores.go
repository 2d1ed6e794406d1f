package pipeline

import (
	"fmt"

	"github.com/wanbatch/wanbatch/internal/store"
)

// checkStores speaks about the buckets of one's own. Their text is not repeated:
// somebody may have written a secret into it.
func (m *Manifest) checkStores(bad func(path, hint, format string, args ...any)) {
	read := func(path, text string) store.Location {
		if text == "" {
			return store.Location{}
		}
		l, err := store.Parse(text)
		if err != nil {
			bad(path, "", "%v", err)
		}
		return l
	}
	in, out := read("inputs.store", m.Inputs.Store), read("output.store", m.Output.Store)
	if in.Intranet() {
		bad("inputs.store", "give the public endpoint", "the provider cannot reach an -internal endpoint")
	}
	if in.Kind == out.Kind && in.Bucket == out.Bucket && !in.IsZero() && (in.Region != out.Region || in.Endpoint != out.Endpoint) {
		where := func(l store.Location) string { return fmt.Sprintf("%s (%s)", l.Region, l.Endpoint) }
		bad("output.store", "", "puts bucket %s into %s, inputs.store into %s", out.Bucket, where(out), where(in))
	}
	if m.Output.StoreOnly && m.Output.Store == "" {
		bad("output.store_only", "", "needs output.store: nothing would be kept")
	}
}

// StoreKey opens a bucket of one's own. It prints as "***".
type StoreKey struct {
	ID     Key
	Secret Key
	Token  Key // of temporary credentials; "" for others
}

// openStore opens a store of the manifest, nil if text is "".
func openStore(setting, text string, cfg Config) (*store.Store, error) {
	if text == "" {
		return nil, nil
	}
	l, err := store.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUsage, setting, err) // unreachable: the manifest was checked
	}
	k := cfg.StoreKeys[l.Kind]
	credentials := store.NewCredentials(string(k.ID), string(k.Secret), string(k.Token))
	if credentials.IsZero() {
		names := map[string]string{store.OSS: "OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET", store.S3: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}
		return nil, fmt.Errorf("%w: there are no credentials for %s (%s); set %s", ErrUsage, setting, l.Name(), names[l.Kind])
	}
	s, err := store.Open(store.Config{Location: l, Credentials: credentials, Proxy: cfg.Proxy, Transport: cfg.testHooks.buckets})
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUsage, setting, err)
	}
	return s, nil
}

package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
	"github.com/wanbatch/wanbatch/internal/journal"
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
	e := endpoint{base: base, origin: u.Scheme + "://" + strings.ToLower(u.Host), loopback: isLoopback(u.Hostname())}
	if u.Scheme == "http" && !e.loopback {
		return endpoint{}, fmt.Errorf("%w: endpoint %s must be https: the API key goes there", ErrUsage, e.origin)
	}
	if region, ours := dashscope.RegionOf(u.Host); ours && region != lane.Region {
		return endpoint{}, fmt.Errorf("%w: endpoint %s serves region %s, but the manifest's lane.region is %s; prices and keys differ",
			ErrUsage, e.origin, region, lane.Region)
	}
	return e, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// laneHold is the lane as this run holds it: no other run on this account,
// endpoint and model creates meanwhile. A lane that is left with an unsettled
// intent stays reserved for its batch: another batch would otherwise take that
// task for a stranger's, or worse, for its own.
type laneHold struct {
	lock *journal.Lock
	core *batch.Batch
}

// holdLane takes the lane for the batch in folder.
func holdLane(ctx context.Context, cfg Config, e endpoint, key dashscope.Secret, f *folder) (*laneHold, error) {
	dir := filepath.Join(cfg.State, "lanes")
	if err := disk.MakeFolder(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of lane locks: %w", err)
	}
	begin := f.core.Begin()
	id := sha256.Sum256([]byte(e.origin + "\n" + key.Fingerprint() + "\n" + begin.Model))
	path := filepath.Join(dir, hex.EncodeToString(id[:8])+".lock")
	what := "lane " + e.origin + " with key " + key.Fingerprint()
	lock, err := acquire(ctx, cfg, path, f.path, what, func(last journal.Owner) error { return reserved(last, f.path) })
	if err != nil {
		return nil, err
	}
	return &laneHold{lock: lock, core: f.core}, nil
}

// reserved refuses a lane whose last holder died with a create in doubt.
func reserved(owner journal.Owner, path string) error {
	last := owner.Batch
	if abs, err := filepath.Abs(path); err != nil || last == "" || last == abs {
		return err
	}
	core := batch.New(batch.Settings{}, nil)
	_, err := readFolder(last, core)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the batch is gone, and with it what it did not know
	}
	if err != nil {
		return fmt.Errorf("%w: the lane's last batch cannot be read: %w", ErrLocked, err)
	}
	if doubt := core.View().InDoubt; len(doubt) > 0 {
		return fmt.Errorf("%w: the lane is reserved for batch %s, whose job %s has a create in doubt; run that batch first",
			ErrLocked, last, doubt[0])
	}
	return nil
}

// release gives the lane back, keeping the reservation if a create is in doubt.
func (h *laneHold) release() error {
	return h.lock.Release(len(h.core.View().InDoubt) == 0)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

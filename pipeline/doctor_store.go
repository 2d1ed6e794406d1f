package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/store"
)

// examineStores tries the buckets of the manifest, those of its inputs and of its
// videos, in the way in which a run uses them.
func examineStores(ctx context.Context, folder string, p *Plan, cfg Config) []Check {
	var checks []Check
	m := &p.Manifest
	if m.Inputs.Store != "" {
		checks = append(checks, examineStore("store-in", "inputs.store", m.Inputs.Store, cfg, func(s *store.Store) Check {
			if target, err := resolveEndpoint(p, cfg); err == nil {
				if err := reachable(s, target); err != nil {
					return okCheck("store-in", "%s", plainText(err)).problem(ErrUsage, "give it an address that the provider can reach")
				}
			}
			return tryStore(ctx, "store-in", "inputs.store", s, "")
		}))
	}
	if m.Output.Store != "" {
		checks = append(checks, examineStore("store-out", "output.store", m.Output.Store, cfg, func(s *store.Store) Check {
			ours, err := (&resultBucket{store: s, batch: m.Name, begun: begunIn(folder)}).isClaimed(ctx)
			if claimed := (*claimedError)(nil); errors.As(err, &claimed) {
				return okCheck("store-out", "%v", err).problem(ErrUsage, claimHint)
			}
			if errors.Is(err, store.ErrSetup) { // so a run would be refused, too
				return bucketProblem(okCheck("store-out", "output.store: %v", err), err)
			}
			c := tryStore(ctx, "store-out", "output.store", s, m.Name+"/")
			if ours {
				c.Message += "; " + m.Name + "/ is this batch's"
			}
			return c
		}))
	}
	return checks
}

// examineStore opens a bucket and looks at it.
func examineStore(name, setting, text string, cfg Config, look func(*store.Store) Check) Check {
	s, err := openStore(setting, text, cfg)
	if err != nil {
		return Check{Name: name, Level: LevelProblem, Message: plainText(err), Hint: "set them where run is started, too", Err: err}
	}
	defer s.Close()
	return look(s)
}

// tryStore puts a small file into a bucket, reads it back and removes it.
func tryStore(ctx context.Context, name, setting string, s *store.Store, at string) Check {
	at += "wanbatch-doctor-" + rand.Text()[:8] + ".txt" // nobody else's, who might remove it meanwhile
	began := time.Now()
	err := roundTrip(ctx, s, at)
	took := time.Since(began)
	left := removeTestObject(ctx, s, at) // also what a failed put may have left
	if err != nil {
		return bucketProblem(okCheck(name, "%s: %v", setting, err), err)
	}
	c := okCheck(name, "%s takes files and returns them, in %d ms", s.Location().Name(), took.Milliseconds())
	if left != nil {
		c.Message += "; it does not allow deletes, which no run needs: " + at + " stays there"
	}
	return c
}

func roundTrip(ctx context.Context, s *store.Store, key string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	text := "Put here by wanbatch doctor at " + time.Now().UTC().Format(time.RFC3339Nano) + "; it may be removed.\n"
	_, err := s.Put(ctx, key, store.File{Body: strings.NewReader(text), Bytes: int64(len(text)), SHA256: hexSHA256([]byte(text)), ContentType: "text/plain"})
	if err == nil {
		_, err = s.Get(ctx, key, claimBytes)
	}
	return err
}

// removeTestObject removes a file whatever has ended meanwhile: the time to try, or the
// patience of who asked.
func removeTestObject(ctx context.Context, s *store.Store, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	return s.Remove(ctx, key)
}

// bucketProblem says what to do about a bucket that cannot be used.
func bucketProblem(c Check, err error) Check {
	if errors.Is(err, store.ErrSetup) {
		return c.problem(ErrAccount, bucketHint(store.Code(err)))
	}
	return c.problem(errCheckFailed, unreachable(err))
}

// isClaimed looks whether the batch has claimed the folder that its videos go to. The error
// is a [*claimedError] if another has; whatever else goes wrong shows in what follows.
func (k *resultBucket) isClaimed(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	text, err := k.store.Get(ctx, k.batch+"/"+claimName, claimBytes)
	if err == nil {
		err = k.judge(text)
	}
	return err == nil, err
}

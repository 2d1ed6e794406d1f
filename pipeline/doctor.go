package pipeline

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// Level is how much a [Check] matters to a run.
type Level string

// Levels. A problem would stop a run, a warning may spoil it, and what is skipped
// could not be looked at.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning"
	LevelProblem Level = "problem"
	LevelSkipped Level = "skipped"
)

// Check is one thing that [Examine] looked at.
type Check struct {
	Name    string `json:"name"`
	Level   Level  `json:"level"`
	Message string `json:"what"`         // was found
	Hint    string `json:"do,omitempty"` // about it
	// Err is what a run would return, nil unless the level is problem. It matches
	// [ErrUsage], [ErrAccount] or [ErrLocked], or none for what it could not do.
	Err error `json:"-"`
}

func okCheck(name, format string, args ...any) Check {
	return Check{Name: name, Level: LevelOK, Message: fmt.Sprintf(format, args...)}
}

func skipped(name, message string) Check {
	return Check{Name: name, Level: LevelSkipped, Message: message}
}

func (c Check) warn(hint string) Check {
	c.Level, c.Hint = LevelWarning, hint
	return c
}

func (c Check) problem(cause error, hint string) Check {
	c.Level, c.Hint, c.Err = LevelProblem, hint, fmt.Errorf("%s: %s: %w", c.Name, c.Message, cause)
	return c
}

// errCheckFailed is the cause of a problem that no other error names.
var errCheckFailed = errors.New("could not run")

// checkTimeout bounds the one call that Examine makes, and what it tries of a bucket.
const checkTimeout = 15 * time.Second

// Examine looks for what would stop a run of the plan under cfg, in the order in
// which a run would meet it. It spends nothing and takes nothing: it makes one call
// (a query of a task that nobody has), and writes and removes one small folder where
// the batch and the locks would lie, and one small file in each bucket of the manifest.
// Without a key it makes the call all the same, with a word that is no key, to see
// whether the endpoint can be reached.
//
// A plan of no jobs will do, such as &Plan{Manifest: *NewManifest()}; without a
// region, nothing is called.
func Examine(ctx context.Context, p *Plan, cfg Config) []Check {
	cfg = cfg.withDefaults()
	folder := FolderOf(cfg.Output, &p.Manifest)
	checks := append(examineNetwork(ctx, p, cfg), examineStores(ctx, folder, p, cfg)...)
	output := examineOutput(folder, p)
	checks = append(checks, output...)
	if output[0].Level == LevelProblem {
		checks = append(checks, examineLocks(cfg.State)) // the rest would only say it again
	} else {
		checks = append(checks, examineLocks(folder, cfg.State))
		checks = append(checks, examineHolder(folder, p)...)
	}
	checks = append(checks, examineLane(folder, p, cfg))
	return append(checks, examineLimits(&p.Manifest), examinePrices(p, time.Now()))
}

// examineNetwork asks the endpoint once and judges endpoint, key and clock by what
// comes back.
func examineNetwork(ctx context.Context, p *Plan, cfg Config) []Check {
	if p.Manifest.Lane.Region == "" {
		return []Check{skipped("endpoint", "not asked: the region is not known")}
	}
	target, err := resolveEndpoint(p, cfg)
	if err != nil {
		return []Check{{Name: "endpoint", Level: LevelProblem, Message: plainText(err), Hint: "correct the endpoint or the region", Err: err}}
	}
	key := cmp.Or(cfg.APIKey, "none")
	client, err := dashscope.New(dashscope.Config{BaseURL: target.base, Key: dashscope.NewSecret(string(key)),
		Transport: cfg.Transport, Proxy: cfg.Proxy, ReadTimeout: checkTimeout, UserAgent: cfg.userAgent()})
	if err != nil {
		return []Check{okCheck("key", "%v", err).problem(ErrUsage, "copy the key again from the console, without quotes or spaces")}
	}
	defer client.Close()
	asked := time.Now()
	date, err := client.Probe(ctx)
	took := time.Since(asked)
	checks := []Check{examineEndpoint(target, proxyText(cfg, target), took, err)}
	if cfg.APIKey != "" {
		checks = append(checks, examineKey(target, p.Manifest.Lane.Region, err))
	}
	return append(checks, examineClock(date, asked, took))
}

// proxyText names the proxy in use, without its user and password.
func proxyText(cfg Config, target endpoint) string {
	if cfg.Proxy == nil || cfg.Transport != nil {
		return ""
	}
	u, err := url.Parse(target.origin)
	if err != nil {
		return ""
	}
	proxy, err := cfg.Proxy(&http.Request{URL: u})
	switch {
	case err != nil:
		return ", through a proxy that is not a URL"
	case proxy == nil:
		return ""
	}
	return ", through proxy " + proxy.Scheme + "://" + proxy.Host
}

// examineEndpoint judges whether the provider is there at all. An answer with one of
// its error codes is one too.
func examineEndpoint(target endpoint, via string, took time.Duration, err error) Check {
	var call *dashscope.Error
	if err == nil || errors.As(err, &call) && call.Code != "" {
		c := okCheck("endpoint", "%s answers in %d ms%s", target.origin, took.Milliseconds(), via)
		if call != nil && call.Class() == dashscope.ClassThrottle {
			return c.warn("it is refusing calls because of their rate: something else uses this account heavily")
		}
		if call != nil && call.Status >= 500 {
			c.Message += ", with " + call.Code
			return c.warn("the provider has a problem of its own; a run waits and tries again")
		}
		return c
	}
	c := okCheck("endpoint", "%s%s cannot be used: %s", target.origin, via, short(err))
	if call != nil && call.Status != 0 && !errors.Is(err, context.DeadlineExceeded) {
		return c.problem(errCheckFailed, "what answers there is not the provider's API: check the endpoint, and whether a proxy or a login page is in between")
	}
	return c.problem(errCheckFailed, unreachable(err))
}

// unreachable says what to do where nobody answers.
func unreachable(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "its host name is not found: check the network, DNS, and the proxy variables"
	case isCertificate(err):
		return "its certificate is not accepted: check this machine's clock, its CA certificates, and whether a proxy intercepts TLS"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %d s: check the network, the firewall, and the proxy variables", int(checkTimeout.Seconds()))
	}
	return "check the address, the network, the firewall, and the proxy variables"
}

// short is a failed call without its address, which the check names itself.
func short(err error) string {
	var call *dashscope.Error
	switch {
	case !errors.As(err, &call):
		return err.Error()
	case call.Status != 0:
		return fmt.Sprintf("HTTP %d: %s", call.Status, call.Message)
	case call.Unwrap() != nil:
		return call.Unwrap().Error()
	}
	return call.Error()
}

func isCertificate(err error) bool {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &invalid) || errors.As(err, &host) || errors.As(err, &authority) || strings.Contains(err.Error(), "tls: ")
}

// examineKey judges what the provider said to the key.
func examineKey(target endpoint, region string, err error) Check {
	var call *dashscope.Error
	switch {
	case err == nil:
		return okCheck("account", "the key is accepted in %s", region)
	case !errors.As(err, &call) || call.Code == "":
		return skipped("account", "not known: the endpoint cannot be used")
	}
	c := okCheck("account", "the key is refused in %s: %s: %s", region, call.Code, call.Message)
	switch call.Class() {
	case dashscope.ClassKey:
		return c.problem(ErrAccount, "a key works in its own region only: make or copy one in the console of "+region+", or correct lane.region")
	case dashscope.ClassAccount, dashscope.ClassConfig, dashscope.ClassInput:
		return c.problem(ErrAccount, "look at the account in the console: activation, permissions, workspace and bills")
	case dashscope.ClassQuota:
		return c.warn("a quota is used up: look at the limits of the account in the console")
	}
	return skipped("account", "not known: "+target.origin+" answers "+call.Code)
}

// Bounds of what the wall clock may be off.
const (
	clockNoise = 2 * time.Second
	clockFar   = 15 * time.Minute
)

// examineClock compares our clock with the server's, which tells whole seconds.
func examineClock(date, asked time.Time, took time.Duration) Check {
	if date.IsZero() {
		return skipped("clock", "not known: no server sent its time")
	}
	ours := asked.Add(took / 2)
	off := ours.Sub(date.Add(time.Second / 2))
	size := off.Abs().Round(time.Second)
	if off.Abs() <= clockNoise+took/2 {
		return okCheck("clock", "agrees with the server's")
	}
	word := "ahead of"
	if off < 0 {
		word = "behind"
	}
	c := okCheck("clock", "%s %s the server's", size, word)
	if off.Abs() < clockFar {
		return c.warn("set it (NTP): dates in the report and the expiry of tasks and links depend on it")
	}
	return c.warn("set it (NTP): signed links and uploads are refused beyond 15 minutes, and billing dates are wrong")
}

// examineHolder looks whether the batch is being run, and says nothing if not.
func examineHolder(folder string, p *Plan) []Check {
	if p.Manifest.Name == "" {
		return nil
	}
	held, err := journal.Holder(filepath.Join(folder, lockName))
	switch {
	case err != nil:
		return []Check{unreadable("batch", err)}
	case held != nil:
		return []Check{okCheck("batch", "process %d on %s is running it", held.PID, held.Host).problem(ErrLocked, "wait for it, or run with --wait")}
	}
	return nil
}

func unreadable(name string, err error) Check {
	return okCheck(name, "its lock cannot be read: %v", err).problem(errCheckFailed, "look at the file's owner and permissions")
}

// examineLane looks whether another batch creates on the lane, or has it reserved.
func examineLane(folder string, p *Plan, cfg Config) Check {
	key := dashscope.NewSecret(string(cfg.APIKey))
	target, err := resolveEndpoint(p, cfg)
	if key.IsZero() || p.Manifest.Lane.Region == "" || err != nil {
		return skipped("lane", "not known without key, region and endpoint")
	}
	path := lanePath(cfg, target, key, p.Manifest.Model)
	held, err := journal.Holder(path)
	if err != nil {
		return unreadable("lane", err)
	}
	if held != nil {
		return okCheck("lane", "process %d on %s holds it for batch %s", held.PID, held.Host, held.Batch).problem(ErrLocked, "wait for it, or run with --wait")
	}
	last, err := journal.Left(path)
	if err != nil {
		return unreadable("lane", err)
	}
	us := thisProcess(folder)
	us.Begun = begunIn(folder)
	if err := reserved(last, us, path, func() (time.Time, error) { return time.Now(), nil }); err != nil {
		return okCheck("lane", "%s", plainText(err)).problem(ErrLocked, "")
	}
	return okCheck("lane", "free")
}

// begunIn is when the batch in a folder began; zero if none ever did.
func begunIn(folder string) (begun time.Time) {
	_, _ = readJournal(folder, notingBegin(&begun, func(int, json.RawMessage) error { return nil })) // a batch that never ran has no journal
	return begun
}

// examineLimits tells the limits in force, and which go beyond what is documented.
func examineLimits(m *Manifest) Check {
	l := m.Limits
	c := okCheck("limits", "running %d, queue_ahead %d, create_per_second %g, query_per_second %g, settle %s, task_life %s, exclusive %s",
		l.Running, l.QueueAhead, l.CreatePerSecond, l.QueryPerSecond, plainSpan(l.Settle), plainSpan(l.TaskLife), m.Lane.Exclusive)
	var beyond []string
	if l.Running > 1 {
		beyond = append(beyond, "running 1")
	}
	if l.CreatePerSecond > 5 {
		beyond = append(beyond, "5 creates/s")
	}
	if l.QueryPerSecond > 20 {
		beyond = append(beyond, "20 queries/s")
	}
	if l.TaskLife > 24*time.Hour {
		beyond = append(beyond, "a task life of 24h")
	}
	if len(beyond) > 0 {
		return c.warn("an account is documented to have " + strings.Join(beyond, ", ") + ": make sure that yours was granted more")
	}
	return c
}

// plainSpan writes a whole number of minutes or hours without the rest.
func plainSpan(d time.Duration) string {
	return strings.TrimSuffix(strings.Replace(d.String(), "m0s", "m", 1), "0m")
}

// pricesOld is when a table should be compared with the provider's page again.
const pricesOld = 6 * 30 * 24 * time.Hour

func examinePrices(p *Plan, now time.Time) Check {
	table := p.priceTable()
	if table.Date == "" {
		built := pricing.Table()
		table.Date, table.Source = built.Date, built.Source
	}
	c := okCheck("prices", "table of %s", table.Date)
	at, err := time.Parse("2006-01", table.Date[:min(len(table.Date), len("2006-01"))])
	if err == nil && now.Sub(at) < pricesOld {
		return c
	}
	return c.warn("compare it with the provider's price page, and give what changed with --prices")
}

// plainText is an error's sentence without the words that only tell its kind.
func plainText(err error) string {
	text := err.Error()
	for _, kind := range []error{ErrUsage, ErrLocked, ErrAccount} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return text
}

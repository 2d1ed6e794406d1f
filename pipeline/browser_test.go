package pipeline_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	web "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "folder to leave screenshots of the review page in")

// browser starts a headless Chromium with one tab. A machine without one skips the
// test.
func browser(t *testing.T) *tab {
	t.Helper()
	program := "" // the shell starts in a third of the time
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium on this machine")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closeBrowser()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	call(p, web.Enable, web.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	return p
}

// tab shows one page after the other, and remembers all that the present one asked
// for and complained of. A new tab for each would cost a process.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards what follows
	requests []string
	errors   []string
}

// open opens a file in the given size, dark or light, and waits until its script
// is done.
func (p *tab) open(t *testing.T, file string, width, height int64, scheme string) {
	t.Helper()
	p.t = t
	p.do(chromedp.Navigate("about:blank")) // the page before has nothing more to say
	p.mu.Lock()
	p.requests, p.errors = nil, nil
	p.mu.Unlock()
	p.like(scheme)
	where := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	p.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(where.String()))
	p.until("document.documentElement.dataset.ready")
}

// like makes the page dark or light, and its scrolling instant: a click on what
// still moves misses it.
func (p *tab) like(scheme string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// call runs a command of the protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *web.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		p.errors = append(p.errors, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		p.errors = append(p.errors, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.errors = append(p.errors, string(e.Entry.Source)+": "+e.Entry.Text+" "+e.Entry.URL)
	}
}

// quiet checks that nothing was complained of, and nothing asked but files.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.errors {
		p.t.Errorf("the page complains: %s", e)
	}
	for _, r := range p.requests {
		if !strings.HasPrefix(r, "file://") {
			p.t.Errorf("a request left the page: %s", r)
		}
	}
}

// quietBut is quiet, but for complaints that hold the given word.
func (p *tab) quietBut(word string) {
	p.t.Helper()
	p.mu.Lock()
	p.errors = slices.DeleteFunc(p.errors, func(e string) bool { return strings.Contains(e, word) })
	p.mu.Unlock()
	p.quiet()
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// run evaluates an expression for what it does.
func (p *tab) run(expression string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](expression))
}

// text evaluates an expression as a string.
func (p *tab) text(expression string) string {
	p.t.Helper()
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) want(expression, want string) {
	p.t.Helper()
	if got := p.text(expression); got != want {
		p.t.Errorf("%s is %q, want %q", expression, got, want)
	}
}

// until waits for an expression to hold.
func (p *tab) until(expression string) {
	p.t.Helper()
	err := chromedp.Do(p.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil {
		p.shot("failed")
		p.t.Fatalf("waited in vain for %s: %v\n%s\nvideos: %s", expression, err, strings.Join(p.errors, "\n"), p.text("[...document.querySelectorAll('video')].map(v => [v.paused, v.currentTime, v.readyState, v.networkState, v.duration, v.src.slice(-20), document.visibilityState] + '\\n')"))
	}
}

// heard is what a screen reader tells of the page: each element's role and name,
// in order.
func (p *tab) heard() []element {
	p.t.Helper()
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		p.t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // what is no text stays empty
		}
		return s
	}
	var all []element
	for _, n := range tree.Nodes {
		if !n.Ignored {
			all = append(all, element{text(n.Role), text(n.Name)})
		}
	}
	return all
}

type element struct{ role, name string }

// see scrolls to an element.
func (p *tab) see(selector string) {
	p.t.Helper()
	p.run("document.querySelector('" + selector + "').scrollIntoView({behavior: 'instant'})")
}

// shot leaves a picture of what is seen, if pictures are wanted.
func (p *tab) shot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

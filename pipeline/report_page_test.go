package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// One browser opens everything: it takes longer to start than to look.
func TestPage(t *testing.T) {
	p := browser(t)
	t.Run("demo", func(t *testing.T) { testPageOfDemo(t, p) })
	t.Run("hostile", func(t *testing.T) { testPageOfHostileText(t, p) })
	t.Run("budget", func(t *testing.T) { testPageOfBudget(t, p) })
	t.Run("policy", func(t *testing.T) { testPagePolicy(t, p) })
	t.Run("remote", func(t *testing.T) { testPageAsksNobody(t, p) })
	t.Run("thousand", func(t *testing.T) { testPageOfAThousand(t, p) })
}

// The demo, with one job that fails and one that nobody can settle but a person.
func testPageOfDemo(t *testing.T, p *tab) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:2", "lost-reply:4")
	m, err := pipeline.ReadManifestFile("../manifests/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m.Name, m.Lane.Exclusive = "test", pipeline.ExclusiveNo
	plan, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	report := r.run(plan)
	if tot := report.Totals; tot.Done != 4 || tot.Failed != 1 || tot.Quarantined != 1 {
		t.Fatalf("totals %+v\n%s", tot, r.trail())
	}
	p.open(t, filepath.Join(r.folder(), "report.html"), 1400, 1000, "light")
	p.want("document.title", "test – wanbatch report")
	p.want("document.querySelector('#tiles b').textContent", report.Totals.Billed.String()+" USD")
	p.see("#jobs")
	p.until("document.querySelectorAll('.job .facts').length == 6")
	p.until("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
	p.until("document.querySelectorAll('.job.done video').length > 2 && [...document.querySelectorAll('.job.done video')].every(v => v.readyState >= 1)")
	p.shot("demo-jobs")

	failed, doubted := report.Jobs[1], report.Jobs[3]
	p.want("[...document.querySelectorAll('#decide code')].map(c => c.textContent).join('|')", strings.Join([]string{
		fmt.Sprintf("wanbatch resolve %s %s --adopt %s", r.folder(), doubted.ID, doubted.Attempts[0].Candidates[0]),
		fmt.Sprintf("wanbatch resolve %s %s --resubmit", r.folder(), doubted.ID),
		fmt.Sprintf("wanbatch resolve %s %s --abandon", r.folder(), doubted.ID)}, "|"))
	reasons := p.text("document.getElementById('failures').textContent")
	for _, want := range []string{failed.ID, failed.Error.Code, failed.Error.Message, failed.Error.Hint, "Not charged"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("the failures do not tell %q: %s", want, reasons)
		}
	}
	p.want("[...document.querySelectorAll('#money tbody tr')].map(r => r.firstChild.textContent + ' ' + r.lastChild.textContent).join('|')",
		fmt.Sprintf("wan-std %s|wan-pro %s|demo %s|hero %s|none %s", report.Totals.ByMode["wan-std"].Billed, report.Totals.ByMode["wan-pro"].Billed.StringFixed(3),
			report.Totals.Billed, report.Totals.ByLabel["quality"]["hero"].Billed.StringFixed(3), report.Totals.Billed.Sub(report.Totals.ByLabel["quality"]["hero"].Billed)))
	p.want("document.querySelectorAll('#rows a').length", "5")

	testPageIsHeard(t, p)
	testPageContrast(t, p)
	testPagePlays(p)
	p.quiet()
	testPageFilters(t, p, *report)

	if *shots != "" {
		p.open(t, filepath.Join(r.folder(), "report.html"), 1400, 3300, "light")
		p.until("document.querySelectorAll('video[src]').length > 9 && [...document.querySelectorAll('video[src]')].every(v => v.readyState >= 2)")
		p.shot("demo")
		p.open(t, filepath.Join(r.folder(), "report.html"), 400, 1300, "light")
		for _, part := range []string{"title", "decide", "money", "jobs"} {
			p.see("#" + part)
			p.until("[...document.querySelectorAll('video[src]')].every(v => v.readyState >= 2)")
			p.shot("narrow-" + part)
		}
		p.open(t, filepath.Join(r.folder(), "report.html"), 1600, 2400, "dark")
		p.until("[...document.querySelectorAll('video[src]')].every(v => v.readyState >= 2)")
		p.shot("dark")
	}
	wantProven(t, r.folder())
}

// A batch that its cap stopped tells what the next job needs, and which cap that is.
func testPageOfBudget(t *testing.T, p *tab) {
	r := newRig(t, 600, emulator.Options{})
	limit := decimal.RequireFromString("0.6")
	report, err := r.try(t.Context(), r.work("test", "a=1", "b=2"), func(c *pipeline.Config) { c.MaxCost = decimal.NewNullDecimal(limit) })
	if !errors.Is(err, pipeline.ErrBudget) || report.Budget.Next.Equal(report.Budget.NeedNext()) {
		t.Fatalf("%v, budget %+v", err, report.Budget)
	}
	p.open(t, filepath.Join(r.folder(), "report.html"), 1400, 1000, "light")
	p.want("[...document.querySelectorAll('.tile')].filter(t => t.textContent.startsWith('Budget'))[0].querySelector('small').textContent",
		fmt.Sprintf("reached: the next job needs up to %s USD more, a cap of %s USD", report.Budget.Next, report.Budget.NeedNext()))
	p.see("#jobs")
	p.until("document.querySelectorAll('.job video').length == 3")
	p.want("[...document.querySelectorAll('.job .play button:first-child')].map(b => b.textContent).join('|')", "Play|Play driving video")
	p.click("#job-1 .play button")
	p.until("(v => !v.paused && v.currentTime > .2)(document.querySelector('#job-1 video'))")
	p.want("document.querySelector('#job-1 .play button').textContent", "Pause")
	p.click("#job-1 .play button")
	p.want("document.querySelector('#job-1 .play button').textContent", "Play driving video")
	if *shots != "" {
		for _, scheme := range []string{"light", "dark"} {
			p.like(scheme)
			p.see("#jobs")
			p.until("[...document.querySelectorAll('video[src]')].every(v => v.readyState >= 2)")
			p.shot("pending-" + scheme)
		}
	}
}

// A screen reader finds its way: landmarks, one first heading, and a name for all
// that can be used, which tells it from the others.
func testPageIsHeard(t *testing.T, p *tab) {
	seen := map[element]int{}
	landmarks := map[string]int{}
	for _, e := range p.heard() {
		switch e.role {
		case "main", "navigation", "search", "contentinfo", "banner":
			landmarks[e.role]++
		case "button", "combobox", "searchbox", "checkbox", "slider", "link", "image", "Video", "article", "DisclosureTriangle", "region":
			if seen[e]++; e.name == "" || seen[e] > 1 && e.role != "link" && e.role != "image" {
				t.Errorf("a %s is called %q, the %d. of them", e.role, e.name, seen[e])
			}
		}
	}
	for _, role := range []string{"main", "navigation", "search", "contentinfo", "banner"} {
		if landmarks[role] != 1 {
			t.Errorf("%d %s landmarks, want 1", landmarks[role], role)
		}
	}
	if seen[element{"button", "Play alice-salsa"}] != 1 || seen[element{"slider", "Position in alice-salsa"}] != 1 {
		t.Errorf("the first job cannot be played by its name: %v", seen)
	}
	p.want("[...document.querySelectorAll('h1, h2, h3')].filter(h => h.offsetParent).reduce((ok, h, i, all) => ok && (i ? h.tagName[1] - all[i - 1].tagName[1] < 2 : h.tagName == 'H1'), true)", "true")
	p.want("document.documentElement.lang", "en")
}

// Every color of text can be read on every ground it stands on: 4.5 to 1 or more.
func testPageContrast(t *testing.T, p *tab) {
	for _, scheme := range []string{"dark", "light"} {
		p.like(scheme)
		faint := p.text(`(() => {
			const style = getComputedStyle(document.documentElement), probe = document.createElement("i");
			document.body.append(probe);
			const light = name => {
				probe.style.color = style.getPropertyValue(name);
				const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
				return .2126 * r + .7152 * g + .0722 * b;
			};
			const faint = [];
			const check = (inks, grounds) => { for (const a of inks) for (const b of grounds) {
				const [x, y] = [light(a), light(b)].sort((x, y) => y - x), ratio = (x + .05) / (y + .05);
				if (ratio < 4.5) faint.push(a + " on " + b + " " + ratio.toFixed(2));
			} };
			check(["--ink", "--soft", "--accent"], ["--bg", "--card", "--wash", "--field", "--media", "--code"]);
			check(["--done", "--failed", "--quarantined", "--lost", "--pending"], ["--card"]);
			check(["--on-accent"], ["--accent"]);
			probe.remove();
			return faint.join(", ");
		})()`)
		if faint != "" {
			t.Errorf("%s: %s", scheme, faint)
		}
	}
}

const listed = "[...document.querySelectorAll('.job h3')].map(h => h.textContent).join(' ')"

// The same jobs without media, which would be loaded again with every filter.
func testPageFilters(t *testing.T, p *tab, r pipeline.Report) {
	r.Inputs, r.Jobs = "", slices.Clone(r.Jobs)
	for i := range r.Jobs {
		r.Jobs[i].File = nil
	}
	file := filepath.Join(t.TempDir(), "report.html")
	writePage(t, file, &r)
	p.open(t, file, 1000, 1000, "light")
	const all = "alice-salsa alice-robot bo-salsa bo-jump chen-robot chen--jump"
	p.want(listed, all)
	choose := func(id, value string) {
		p.run(fmt.Sprintf("(s => { s.value = %q; s.dispatchEvent(new Event('change')) })(document.getElementById(%q))", value, id))
	}
	for _, filter := range []struct{ id, value, want string }{
		{"state", "failed", "alice-robot"},
		{"state", "quarantined", "bo-jump"},
		{"mode", "wan-pro", "chen-robot"},
		{"label", `["quality","hero"]`, "chen-robot"},
		{"label", `["quality",null]`, "alice-salsa alice-robot bo-salsa bo-jump chen--jump"},
	} {
		choose(filter.id, filter.value)
		p.want(listed, filter.want)
		choose(filter.id, "")
	}
	p.do(chromedp.SendKeys(chromedp.CSS("#q"), "ROBOT mp4"))
	p.until("document.querySelectorAll('.job').length == 2")
	p.want(listed, "alice-robot chen-robot")
	p.click("#clear")
	p.want(listed, all)
	choose("sort", "billed")
	p.want(listed, "chen-robot alice-salsa bo-salsa chen--jump alice-robot bo-jump")
	choose("sort", "attention")
	p.want(listed, "bo-jump alice-robot alice-salsa bo-salsa chen-robot chen--jump")
	p.click("#turn")
	p.want(listed, "chen--jump chen-robot bo-salsa alice-salsa alice-robot bo-jump")
	p.click("#turn")
	choose("sort", "given")
	p.want(listed, all)
	p.quiet()
}

// Both videos of a pair play, in step, and the pair stops as one. Enlarged, too.
func testPagePlays(p *tab) {
	const pair = "(all => { const [a, b] = all; return a && b && !a.paused && !b.paused && a.currentTime > .4 && b.currentTime > .4 && Math.abs(a.currentTime - b.currentTime) < .25 })"
	p.click("#job-0 .play button")
	p.until(pair + "(document.querySelectorAll('#job-0 video'))")
	p.shot("playing")
	p.click("#job-0 .play button")
	p.want("[...document.querySelectorAll('#job-0 video')].map(v => v.paused)", "true,true")

	p.click("#job-0 .play button:last-child")
	p.until(pair + "(document.querySelectorAll('dialog video'))")
	p.shot("large")
	p.do(chromedp.KeyEvent(kb.ArrowRight))
	p.want("document.getElementById('stage-h').textContent", "alice-robot")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until("!document.querySelector('dialog').open")
	p.until("document.activeElement.id == 'job-1'")
}

// Nothing that a manifest, a provider or a file name says is obeyed.
func testPageOfHostileText(t *testing.T, p *tab) {
	const evil = "</script><script>window.owned=1</script><img src=x onerror=window.owned=2>\"'><svg onload=window.owned=3>\u202etxt.exe\u0007\u0000\x1b[2J{{report}}<!--"
	r := pageOf(3)
	r.Batch, r.Model, r.Inputs, r.Note, r.Currency = evil, evil, evil, evil, evil
	r.Lane.Endpoint, r.PriceTable.Source = "http://localhost:1", evil
	r.Totals.ByMode = map[string]pipeline.Part{evil: {Jobs: 3}, "__proto__": {}}
	r.Totals.ByLabel = map[string]map[string]pipeline.Part{evil: {evil: {Jobs: 1}}, "__proto__": {"constructor": {}}}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		j.ID, j.Mode, j.Video = evil, evil, "javascript:window.owned=4"
		j.Image = "http://x;script-src 'unsafe-inline'/" + evil
		j.Labels = map[string]string{evil: evil, "__proto__": "constructor"}
		j.State = []pipeline.State{"failed", "quarantined", pipeline.State(evil)}[i]
		j.Error = &pipeline.Failure{Code: evil, Message: evil, Hint: "wanbatch resolve a';window.owned=5;' " + evil + " --adopt " + evil,
			Commands: []string{"wanbatch resolve a b --adopt " + evil, evil}}
		j.Attempts = []pipeline.Attempt{{N: 1, Outcome: evil, Candidates: []string{evil, "$(touch owned)"}}}
	}
	file := filepath.Join(t.TempDir(), "report.html")
	writePage(t, file, r)
	p.open(t, file, 1000, 1000, "light")
	p.shot("hostile")
	p.see("#list")
	p.until("document.querySelectorAll('.job .facts').length == 3")
	p.want("[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 1000).map(e => e.className)", "") // nothing sticks out
	p.want("window.owned", "undefined")
	p.want("document.querySelectorAll('body script').length", "2")
	p.want("document.querySelectorAll('[onerror], [onload], [src=x]').length", "0")
	p.want(`/[\u0000-\u0008\u001b\u202e]/.test(document.body.innerText)`, "false")
	p.want(`document.getElementById("title").textContent.includes("onerror=window.owned=2")`, "true") // shown, not hidden
	p.want(`[...document.querySelectorAll("#decide code")].some(c => c.textContent.includes("--adopt $(touch"))`, "false")
	p.quietBut("ERR_FILE_NOT_FOUND")
}

// The policy is no ornament: a script that somebody put into the page does not run.
func testPagePolicy(t *testing.T, p *tab) {
	var b bytes.Buffer
	if err := pageOf(1).HTML(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	page := strings.Replace(b.String(), `<script type=`, `<script>window.owned = 1</script><img src="x" onerror="window.owned = 2"><script type=`, 1)
	if err := os.WriteFile(file, []byte(page), 0o666); err != nil {
		t.Fatal(err)
	}
	p.open(t, file, 1000, 1000, "light")
	p.want("window.owned", "undefined")
	p.want("(() => { try { document.body.innerHTML = '<b>'; return 'obeyed' } catch (e) { return e.name } })()", "TypeError")
	p.want("(() => { try { return fetch('http://127.0.0.1:9/').then(() => 1, () => 2) && 'asked' } catch (e) { return e.name } })()", "asked")
	for _, request := range p.requests {
		if strings.HasPrefix(request, "http") {
			t.Errorf("asked: %s", request)
		}
	}
}

// Inputs on the web and videos in a bucket are loaded when somebody asks for it, and not before.
func testPageAsksNobody(t *testing.T, p *tab) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		http.ServeFile(w, q, filepath.Join("../manifests/media", filepath.Base(filepath.Dir(q.URL.Path)), filepath.Base(q.URL.Path)))
	}))
	defer server.Close()
	r := pageOf(2)
	r.Jobs[1].Image, r.Jobs[1].Video, r.Jobs[1].State, r.Jobs[1].File = "alice.png", "salsa.mp4", "pending", nil // nowhere to be seen
	r.Jobs[0].Image, r.Jobs[0].Video = server.URL+"/characters/alice.png", server.URL+"/dances/salsa.mp4"
	bucket := server.URL + "/dances/robot.mp4"
	r.Jobs[0].File.Path, r.Jobs[0].File.URL = "", &bucket
	file := filepath.Join(t.TempDir(), "report.html")
	writePage(t, file, r)
	p.open(t, file, 1000, 1000, "light")
	p.until("document.querySelectorAll('.job .none').length > 1")
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times before anybody wanted it", n)
	}
	p.quiet()
	p.shot("remote")
	const offers = "[...document.querySelectorAll('.job button')].filter(b => b.offsetParent).map(b => b.getAttribute('aria-label')).join('|')"
	id, other := r.Jobs[0].ID, r.Jobs[1].ID
	p.see("#jobs")
	p.until("document.querySelectorAll('.job .frame').length == 6")
	p.want(offers, fmt.Sprintf("Enlarge %s|Enlarge %s", id, other)) // what cannot be played is not offered
	p.click("#job-1 .play button:last-child")
	p.want("[...document.querySelectorAll('dialog .play > *')].filter(e => e.offsetParent).length", "0")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.click("#remote")
	p.until("document.querySelector('.job img').naturalWidth > 0 && document.querySelectorAll('.job video').length == 2 && [...document.querySelectorAll('.job video')].every(v => v.readyState > 0)")
	if asked.Load() == 0 {
		t.Error("loaded, and never asked")
	}
	p.want(offers, fmt.Sprintf("Play %s|Enlarge %s|Enlarge %s", id, id, other))
	p.shot("remote-loaded")
	p.like("dark")
	p.shot("remote-loaded-dark")
}

// A thousand jobs open at once, are filled as they are seen, and hold no more
// players than a browser has.
func testPageOfAThousand(t *testing.T, p *tab) {
	file := filepath.Join(t.TempDir(), "report.html")
	report := pageOf(1000)
	report.Inputs = "media"
	for i := range report.Jobs {
		j := &report.Jobs[i]
		j.Image, j.Video = "characters/alice.png", "dances/salsa.mp4"
		if j.File != nil {
			j.File.Path = "media/dances/robot.mp4"
		}
	}
	if err := os.CopyFS(filepath.Join(filepath.Dir(file), "media"), os.DirFS("../manifests/media")); err != nil {
		t.Fatal(err)
	}
	writePage(t, file, report)
	began := time.Now()
	p.open(t, file, 1000, 700, "light")
	t.Logf("1,000 jobs open after %v", time.Since(began).Round(time.Millisecond))
	p.want("document.querySelectorAll('.job').length", "1000")
	p.shot("thousand")
	p.see("#jobs")
	p.until("document.querySelector('.job video') && document.querySelector('.job video').readyState >= 2")
	p.shot("thousand-jobs")
	if *shots != "" {
		measureScrolling(p)
	}
	for stop := 200; stop < 1000; stop += 200 { // each loads six videos or more
		p.see(fmt.Sprintf("#job-%d", stop))
		p.until(fmt.Sprintf("document.querySelectorAll('#job-%d video[src]').length > 0", stop))
	}
	p.run("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
	p.until("document.getElementById('job-999').querySelector('.facts')")
	p.until("document.querySelectorAll('video[src]').length < 16")
	p.until("[...document.querySelectorAll('#job-999 video')].every(v => v.readyState >= 1)")
	p.quiet()
}

// measureScrolling tells how long the frames of a fast scroll take. It judges nothing:
// that depends on the machine.
func measureScrolling(p *tab) {
	p.run(`new Promise(done => {
		const gaps = []; let last = performance.now(), y = scrollY;
		const step = now => {
			gaps.push(now - last); last = now; y += 300; scrollTo({top: y, behavior: "instant"});
			if (gaps.length < 60) requestAnimationFrame(step);
			else { window.gaps = gaps.slice(1).sort((a, b) => a - b); done(); }
		};
		requestAnimationFrame(step);
	})`)
	p.until("window.gaps")
	p.t.Logf("frames of a fast scroll in ms: median %s, 95%% %s, longest %s", p.text("gaps[30].toFixed(1)"), p.text("gaps[56].toFixed(1)"), p.text("gaps.at(-1).toFixed(1)"))
}

// writePage writes a report's page where its videos would lie.
func writePage(t *testing.T, file string, r *pipeline.Report) {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// pageOf is a report of n jobs that never were.
func pageOf(n int) *pipeline.Report {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	price := decimal.RequireFromString("0.12")
	r := &pipeline.Report{Version: 1, Batch: "spring", Model: pipeline.ModelMove, Currency: "USD", Complete: true, Note: "a note",
		GeneratedAt: at, Totals: pipeline.Totals{ByMode: map[string]pipeline.Part{}, ByLabel: map[string]map[string]pipeline.Part{"client": {}, "campaign": {}}}}
	for i := range n {
		length := decimal.New(int64(20+i*7%200), -1)
		labels := map[string]string{"client": []string{"acme", "globex", "initech"}[i%3], "campaign": fmt.Sprintf("week-%02d", i%14)}
		j := pipeline.Result{ID: fmt.Sprintf("dancer-%03d--routine-%d", i/4, i%4), State: "done", Mode: []string{"wan-std", "wan-pro"}[i%5/4], Labels: labels,
			Image: fmt.Sprintf("https://media.example.com/%d.png", i), Video: "https://media.example.com/dance.mp4", UnitPrice: price, Estimated: length.Mul(price), Attempts: []pipeline.Attempt{}}
		submitted, started := at.Add(time.Duration(max(0, i-2)*2)*time.Minute), at.Add(time.Duration(i*2)*time.Minute)
		ended, stored := started.Add(110*time.Second), started.Add(115*time.Second)
		j.SubmittedAt, j.ScheduledAt, j.EndedAt = &submitted, &started, &ended
		j.QueueSeconds, j.RunSeconds = decimal.NewNullDecimal(decimal.NewFromInt(int64(started.Sub(submitted)/time.Second))), decimal.NewNullDecimal(decimal.NewFromInt(110))
		sum := pipeline.Sum{}
		if i%37 == 5 {
			no := false
			j.State, j.Error = "failed", &pipeline.Failure{Code: "InvalidFile.NoHuman", Message: "no human in the image", Hint: "use another image", Charged: &no}
			r.Totals.Failed++
			j.Billed = decimal.NewNullDecimal(decimal.Zero)
		} else {
			j.StoredAt, j.Billed = &stored, decimal.NewNullDecimal(length.Mul(price))
			j.Usage = &pipeline.Usage{VideoDuration: length}
			j.File = &pipeline.File{Path: "videos/" + j.ID + ".mp4", Bytes: 2 << 20, Duration: length}
			r.Totals.Done++
			sum = pipeline.Sum{BilledSeconds: length, Billed: length.Mul(price)}
		}
		r.Totals.Jobs++
		r.Totals.Bytes += 2 << 20
		r.Totals.BilledSeconds, r.Totals.Billed = r.Totals.BilledSeconds.Add(sum.BilledSeconds), r.Totals.Billed.Add(sum.Billed)
		r.Totals.BilledMax, r.Totals.Estimated = r.Totals.Billed, r.Totals.Estimated.Add(j.Estimated)
		parts := []struct {
			of   map[string]pipeline.Part
			name string
		}{{r.Totals.ByMode, j.Mode}, {r.Totals.ByLabel["client"], labels["client"]}, {r.Totals.ByLabel["campaign"], labels["campaign"]}}
		for _, p := range parts {
			was := p.of[p.name]
			p.of[p.name] = pipeline.Part{Jobs: was.Jobs + 1, Sum: pipeline.Sum{BilledSeconds: was.BilledSeconds.Add(sum.BilledSeconds), Billed: was.Billed.Add(sum.Billed)}}
		}
		r.Jobs = append(r.Jobs, j)
	}
	return r
}

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// frameState is all that a frame of the live view is made from.
type frameState struct {
	pipeline.Progress               // as it was told last
	past              time.Duration // since then, by the batch's clock
	began             time.Time     // wall clock
	clock             time.Time     // wall clock now
	fast              bool          // the batch's clock is faster than the wall clock
	color             bool
	problems          problems
	rates             rates
}

// Most lines that each part of a frame takes.
const (
	mostProblems  = 3
	mostDownloads = 4
)

// frame draws the scene in at most so many columns and rows. The less room, the
// fewer words; the last to go is the bare count.
func (s frameState) frame(columns, rows int) []string {
	if columns < 1 || rows < 1 {
		return nil
	}
	if rows < 5 {
		return []string{cut(s.line(columns), columns)}
	}
	lines := []string{s.bar(columns), s.legend(columns)}
	lines = append(lines, s.sums(columns)...)
	// Two rows stay free for what scrolls by above, if there are enough.
	room := rows - len(lines)
	if rows > 12 {
		room -= 2
	}
	return append(lines, s.lists(columns, room)...)
}

// line is the whole scene in one line.
func (s frameState) line(room int) string {
	done := fmt.Sprintf("%d/%d done", s.States[pipeline.StateDone], s.Jobs)
	return fit(room,
		done+states(s.Progress)+"  "+s.money(false)+"  "+s.eta(),
		done+s.failureCounts()+"  "+s.eta(),
		done+s.failureCounts(),
		done)
}

// phases sums states up into what a person wants to tell apart.
func (s frameState) phases() []phase {
	n := s.States
	return []phase{
		{'#', green, n[pipeline.StateDone], "done"},
		{'!', red, n[pipeline.StateFailed] + n[pipeline.StateLost], "failed"},
		{'?', yellow, n[pipeline.StateQuarantined], "quarantined"},
		{'>', cyan, n[pipeline.StateSubmitting] + n[pipeline.StateInDoubt] + n[pipeline.StateQueued] + n[pipeline.StateRunning] + n[pipeline.StateFetching], "under way"},
		{'.', "", n[pipeline.StatePending], "waiting"},
	}
}

type phase struct {
	mark  byte
	color string
	jobs  int
	name  string
}

// bar is the batch from done to waiting. Every phase that has a job has a mark.
func (s frameState) bar(room int) string {
	percent := fmt.Sprintf("] %3d%%", 100*s.States[pipeline.StateDone]/max(1, s.Jobs))
	wide := room - len(percent) - 1
	if wide < 8 {
		return cut(strings.TrimLeft(percent, "] "), room)
	}
	phases := s.phases()
	widths := proportion(phases, wide)
	var b strings.Builder
	b.WriteByte('[')
	for i, p := range phases {
		b.WriteString(s.paint(p.color, strings.Repeat(string(p.mark), widths[i])))
	}
	return b.String() + percent
}

// proportion shares a bar among phases: at least one column for each that has a
// job, the rest by number, what rounding leaves to the largest.
func proportion(phases []phase, wide int) []int {
	widths := make([]int, len(phases))
	jobs, used, most := 0, 0, len(phases)-1
	for _, p := range phases {
		jobs += p.jobs
	}
	for i, p := range phases {
		if p.jobs > 0 {
			widths[i] = max(1, wide*p.jobs/jobs)
		}
		used += widths[i]
		if widths[i] > widths[most] {
			most = i
		}
	}
	widths[most] += wide - used
	return widths
}

// legend counts the jobs and says what the marks of the bar mean.
func (s frameState) legend(room int) string {
	var long, brief []string
	for _, p := range s.phases() {
		if p.jobs > 0 || p.mark == '#' {
			text := fmt.Sprintf("%d %s", p.jobs, p.name)
			long = append(long, fmt.Sprintf("%c %s", p.mark, text))
			brief = append(brief, text)
		}
	}
	of := "   of " + count(s.Jobs, "job")
	doubt := ""
	if n := s.States[pipeline.StateInDoubt]; n > 0 {
		doubt = fmt.Sprintf("   %d in doubt", n)
	}
	text := strings.Join(long, "   ")
	done := fmt.Sprintf("%d/%d done", s.States[pipeline.StateDone], s.Jobs)
	return fit(room, text+doubt+of, text+of, strings.Join(long, "  "), strings.Join(brief, ", "), done+s.failureCounts(), done)
}

// sums tells of money and time, in one line or two.
func (s frameState) sums(room int) []string {
	cash, eta := s.money(true), s.eta()
	spent := "started " + short(s.clock.Sub(s.began)) + " ago"
	if s.Stop != "" {
		spent = "no new tasks: " + s.Stop
	}
	left := strings.Join(present([]string{cash, eta}), "   ")
	if text := left + "   " + spent; columns(text) <= room {
		return []string{text}
	}
	return []string{
		fit(room, cash, s.money(false)),
		fit(room, strings.Join(present([]string{eta, spent}), "   "), eta, spent),
	}
}

// money is what the batch cost so far, rounded to cents: billed, held, and the cap
// if there is one.
func (s frameState) money(words bool) string {
	text := "billed " + s.Billed.Round(2).String() + " + held " + s.Held.Round(2).String()
	if words {
		text = "billed " + s.Billed.StringFixed(2) + "   held " + s.Held.StringFixed(2)
	}
	switch {
	case s.MaxCost.Valid && words:
		text += "   cap " + s.MaxCost.Decimal.StringFixed(2)
	case s.MaxCost.Valid:
		text += " of " + s.MaxCost.Decimal.Round(2).String()
	}
	return text + " " + s.Currency
}

// eta is when the jobs should be through: a range until that is narrow.
func (s frameState) eta() string {
	if s.Left.High == 0 || s.Stop != "" { // what is left is not done now
		return ""
	}
	low, high := s.Left.Low-s.past, s.Left.High-s.past
	if high <= 0 {
		return "eta: later than expected"
	}
	low = max(0, low)
	if sure := high-low <= high/5; sure {
		low = (low + high) / 2
		high = low
	}
	text := "eta " + shortRange(pipeline.TimeRange{Low: low, High: high})
	if !s.fast {
		text += ", " + clockRange(s.clock, low, high)
	}
	return text
}

// failureCounts sums up what went wrong.
func (s frameState) failureCounts() string {
	n := s.States
	return some(n[pipeline.StateFailed]+n[pipeline.StateLost], "failed") + some(n[pipeline.StateQuarantined], "quarantined")
}

// lists shows the tasks, downloads and problems that so many rows have room for.
// Downloads and problems are few; tasks get what is left.
func (s frameState) lists(columns, room int) []string {
	downloads := min(len(s.Fetching), mostDownloads)
	failures := min(len(s.problems), mostProblems)
	for room < rowsOf(downloads)+rowsOf(failures)+rowsOf(min(len(s.Running), 2)) && downloads+failures > 0 {
		if downloads > failures {
			downloads--
		} else {
			failures--
		}
	}
	tasks := min(len(s.Running), max(0, room-rowsOf(downloads)-rowsOf(failures)-1))
	lines := append(s.tasks(columns, tasks), s.downloads(columns, downloads)...)
	return append(lines, s.recentProblems(columns, failures, room-len(lines)-rowsOf(failures))...)
}

// rowsOf is what a list of n takes, with its title.
func rowsOf(n int) int {
	if n == 0 {
		return 0
	}
	return n + 1
}

// tasks lists those that can be running, the oldest first. The title counts those
// that are not shown, with those that wait at the provider for one of these to end.
func (s frameState) tasks(room, most int) []string {
	if most == 0 {
		return nil
	}
	rows, brief := make([][]string, 0, most), make([][]string, 0, most)
	for _, w := range s.Running[:most] {
		age := w.Age + s.past
		end := s.ends(w.Expected - age)
		rows = append(rows, []string{clean(w.Job), string(w.State), short(age), end})
		in, _, _ := strings.Cut(end, ",")
		brief = append(brief, []string{clean(w.Job), in})
	}
	if leastWidth(rows) > room {
		rows = brief // the end is what matters
	}
	ahead := max(0, s.States[pipeline.StateQueued]+s.States[pipeline.StateRunning]-len(s.Running))
	return append([]string{s.title("tasks", len(s.Running)+ahead, most, room, some(ahead, "waiting their turn"))}, grid(rows, s.names(), room)...)
}

// names is how wide the names are in all lists, so that what stands beside them
// keeps its column.
func (s frameState) names() int {
	wide := 0
	for _, w := range s.Running {
		wide = max(wide, columns(clean(w.Job)))
	}
	for _, d := range s.Fetching {
		wide = max(wide, columns(clean(d.Job)))
	}
	return wide
}

// ends is when a task should end, if that takes so long from now.
func (s frameState) ends(left time.Duration) string {
	switch {
	case left < 0:
		return short(-left) + " late"
	case s.fast:
		return "ends in " + short(left)
	}
	return "ends in " + short(left) + ", " + s.clock.Add(left).Format(time.TimeOnly)
}

// downloads lists results on their way.
func (s frameState) downloads(room, most int) []string {
	if most == 0 {
		return nil
	}
	rows := make([][]string, 0, most)
	for _, d := range s.Fetching[:most] {
		row := []string{clean(d.Job), size(decimal.NewFromInt(d.Bytes)), "", ""}
		if d.Total > 0 {
			row[1] = fmt.Sprintf("%s of %s", size(decimal.NewFromInt(d.Bytes)), size(decimal.NewFromInt(d.Total)))
			row[2] = fmt.Sprintf("%d%%", 100*d.Bytes/d.Total)
		}
		if rate := s.rates.of(d.Job, s.clock); rate >= 1 {
			row[3] = size(decimal.NewFromInt(int64(rate))) + "/s"
		}
		rows = append(rows, row)
	}
	return append([]string{s.title("downloads", max(len(s.Fetching), s.States[pipeline.StateFetching]), most, room, "")}, grid(rows, s.names(), room)...)
}

// recentProblems lists the newest problems. A spare row shows a second line of one.
func (s frameState) recentProblems(room, most, spare int) []string {
	if most == 0 {
		return nil
	}
	lines := []string{s.title("problems", len(s.problems), most, room, "")}
	for _, p := range s.problems[:most] {
		text := "  " + short(s.clock.Sub(p.at)) + " ago"
		if p.times > 1 {
			text += fmt.Sprintf(", %d times", p.times)
		}
		if p.job != "" {
			text += "  " + cut(p.job, max(12, room/3)) // the reason matters more
		}
		wrapped := wrap(text+"  "+p.text, room)
		if len(wrapped) > 1 && spare > 0 {
			lines = append(lines, cut(wrapped[0], room))
			spare--
			rest := strings.TrimPrefix(text+"  "+p.text, wrapped[0])
			lines = append(lines, cut(strings.Repeat(" ", hangingIndent)+strings.TrimSpace(rest), room))
			continue
		}
		lines = append(lines, cut(text+"  "+p.text, room))
	}
	return lines
}

// title heads a list, and tells if it is not shown whole.
func (s frameState) title(name string, all, shown, room int, why string) string {
	if shown < all {
		name += fmt.Sprintf(" (%d of %d%s)", shown, all, why)
	}
	return s.paint(bold, cut(name, room))
}

// leastName is as narrow as a name gets in a list.
const leastName = 8

// leastWidth is how wide a grid of rows is with the shortest names.
func leastWidth(rows [][]string) int {
	rest := 2 + leastName
	for _, w := range widthsOf(rows)[1:] {
		rest += 3 + w
	}
	return rest
}

func widthsOf(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	return widths
}

// grid sets rows in columns, the first as wide as wanted if the others let it.
func grid(rows [][]string, first, room int) []string {
	widths := widthsOf(rows)
	widths[0] = min(first, max(leastName, room-leastWidth(rows)+leastName))
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			cell = cut(cell, widths[i])
			gap, pad := "   ", strings.Repeat(" ", widths[i]-columns(cell))
			if i == 0 {
				gap = "  "
			}
			b.WriteString(gap + cell + pad)
		}
		lines = append(lines, cut(strings.TrimRight(b.String(), " "), room))
	}
	return lines
}

// fit returns the first text that fits, or as much of the last one as does.
func fit(room int, texts ...string) string {
	for _, text := range texts {
		if columns(text) <= room {
			return text
		}
	}
	return cut(texts[len(texts)-1], room)
}

// Colors by their number; they never tell anything alone.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s frameState) paint(color, text string) string {
	if !s.color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// states lists every state that some job is in, apart from done.
func states(p pipeline.Progress) string {
	var b strings.Builder
	for _, state := range pipeline.States() {
		if n := p.States[state]; n > 0 && state != pipeline.StateDone {
			fmt.Fprintf(&b, ", %d %s", n, words(state))
		}
	}
	return b.String()
}

func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}

// words is a state as people read it.
func words(s pipeline.State) string { return strings.ReplaceAll(string(s), "_", " ") }

func present(parts []string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}

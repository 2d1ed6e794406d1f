package planted

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var which = flag.String("planted", "quick", "bugs to plant: quick, all, none, or parts of their names with commas between")

// TestBugsFit costs nothing and so runs always: a patch that no longer fits the
// code is found by whoever moved the code.
func TestBugsFit(t *testing.T) {
	bugs := allBugs(t)
	for _, b := range bugs {
		if _, err := b.patched(); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
	if len(bugs) < 75 {
		t.Errorf("%d bugs, want at least 75: did files get lost?", len(bugs))
	}
}

// TestBugsAreCaught plants the bugs, one at a time, and wants each to be noticed
// by one of its tests. With -planted all it first wants the same tests to pass
// without a bug; otherwise they run beside this one, in their own packages.
func TestBugsAreCaught(t *testing.T) {
	bugs := chosen(allBugs(t), *which)
	if len(bugs) == 0 && *which != "none" {
		t.Fatalf("no bug has a name like %q", *which)
	}
	if *which == "quick" && (testing.Short() || raceEnabled) {
		t.Skip("builds of many packages: not in a short run, nor in one that looks for races")
	}
	watchSources(t)
	var innocent []verdict
	if *which == "all" {
		innocent = judgeAll(t, withoutBug(bugs))
	}
	for _, v := range innocent {
		if !errors.Is(v.err, errSurvived) {
			t.Errorf("without any bug: %s fails, %v", v.catcher, v.err)
		}
	}
	verdicts := judgeAll(t, bugs)
	fmt.Fprint(t.Output(), table(verdicts))
	for _, v := range verdicts {
		if v.err != nil {
			t.Errorf("%s (%s): %v", v.bug.name, v.bug.story, v.err)
		}
	}
}

// TestHunters plants what must not count as caught.
func TestHunters(t *testing.T) {
	if testing.Short() || raceEnabled || *which == "none" {
		t.Skip("builds packages")
	}
	watchSources(t)
	const file = "internal/pricing/pricing.go"
	harmless := bug{
		name: "harmless", tests: []suite{{"./internal/pricing", "^TestLookup$"}},
		hunks: []hunk{{file, "package pricing\n", "package pricing // the same\n"}},
	}
	if v := judge(t.Context(), harmless); !errors.Is(v.err, errSurvived) {
		t.Errorf("a bug that changes nothing: caught by %q, %v", v.catcher, v.err)
	}
	broken := harmless
	broken.hunks = []hunk{{file, "package pricing\n", "package pricing; nonsense\n"}}
	if v := judge(t.Context(), broken); !errors.Is(v.err, errNoCompile) {
		t.Errorf("a bug that does not compile: caught by %q, %v", v.catcher, v.err)
	}
	moved := harmless
	moved.hunks = []hunk{{file, "text that stands nowhere\n", ""}}
	if v := judge(t.Context(), moved); v.err == nil || !strings.Contains(v.err.Error(), "0 times") {
		t.Errorf("a patch that does not fit: caught by %q, %v", v.catcher, v.err)
	}
	renamed := harmless
	renamed.tests = []suite{{"./internal/pricing", "^TestOfAnotherTime$"}}
	if v := judge(t.Context(), renamed); v.err == nil || errors.Is(v.err, errSurvived) {
		t.Errorf("a test that is gone: caught by %q, %v", v.catcher, v.err)
	}
}

func allBugs(t *testing.T) []bug {
	t.Helper()
	bugs, err := readBugs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return bugs
}

// chosen returns the bugs that the flag asks for.
func chosen(bugs []bug, want string) []bug {
	return slices.DeleteFunc(bugs, func(b bug) bool {
		switch want {
		case "all":
			return false
		case "none":
			return true
		case "quick":
			return !b.quick
		}
		return !slices.ContainsFunc(strings.Split(want, ","), func(part string) bool { return strings.Contains(b.name, part) })
	})
}

// withoutBug gathers the suites of all bugs, one "bug" without a patch for each
// package.
func withoutBug(bugs []bug) []bug {
	runs := map[string][]string{}
	for _, b := range bugs {
		for _, s := range b.tests {
			runs[s.folder] = append(runs[s.folder], s.run)
		}
	}
	var none []bug
	for folder, patterns := range runs {
		slices.Sort(patterns)
		none = append(none, bug{name: folder, tests: []suite{{folder, strings.Join(slices.Compact(patterns), "|")}}})
	}
	return none
}

// judgeAll judges as many bugs at once as there are processors.
func judgeAll(t *testing.T, bugs []bug) []verdict {
	verdicts := make([]verdict, len(bugs))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, b := range bugs {
		group.Go(func() error {
			verdicts[i] = judge(t.Context(), b)
			return nil
		})
	}
	_ = group.Wait() // verdicts hold the errors
	return verdicts
}

// table shows which test caught which bug.
func table(verdicts []verdict) string {
	var b strings.Builder
	const row = "%-34s  %-64s  %-72s  %s\n"
	fmt.Fprintf(&b, row, "bug", "promise", "caught by", "seconds")
	for _, v := range verdicts {
		by := v.catcher
		if v.err != nil {
			by, _, _ = strings.Cut(v.err.Error(), "\n")
		}
		fmt.Fprintf(&b, row, v.bug.name, v.bug.breaks, cmp.Or(by, "-"), fmt.Sprintf("%.1f", v.took.Seconds()))
	}
	return b.String()
}

// watchSources lets the cache of test results know every file that the programs
// started here will read. Otherwise a test that lost its teeth would leave an old
// "ok" standing.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != module && (strings.HasPrefix(d.Name(), ".") || d.Name() == "output"):
			return fs.SkipDir
		case d.Type().IsRegular():
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

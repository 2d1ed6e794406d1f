package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var manFolder = flag.String("man", "", "write the man pages to this folder, as make man does")

// TestManPages makes the man pages from the very text that --help shows. It lives in
// a test because the generator would add a third of a megabyte to the program.
func TestManPages(t *testing.T) {
	folder := *manFolder
	if folder == "" {
		folder = t.TempDir()
	} else if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &program{out: &printer{w: os.Stdout}, err: &printer{w: os.Stderr}, getenv: func(string) string { return "" }}
	root := p.root()
	root.DisableAutoGenTag = true // it has a date, and two builds should not differ
	forMan(root)
	header := &doc.GenManHeader{Title: "WANBATCH", Section: "1", Source: "wanbatch", Manual: "wanbatch", Date: &time.Time{}}
	if err := doc.GenManTree(root, header, folder); err != nil {
		t.Fatal(err)
	}
	undated(t, folder)
	for _, verb := range append(verbs(), "") {
		name := strings.TrimSuffix("wanbatch-"+verb, "-") + ".1"
		if verb == "help" {
			continue // it only shows the others
		}
		page, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
		if !strings.Contains(string(page), `"1" "" "wanbatch"`) || strings.Contains(string(page), ".SH HISTORY") {
			t.Errorf("%s has a date: two builds would differ", name)
		}
	}
	page, err := os.ReadFile(filepath.Join(folder, "wanbatch.1"))
	if err != nil || !strings.Contains(string(page), "\n130  interrupted; run again to continue\n") {
		t.Errorf("the table of exit codes is not kept as it is (%v):\n%s", err, page)
	}
}

// undated takes out the date that the generator puts into every heading, so that
// the same program has the same pages.
func undated(t *testing.T, folder string) {
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, name := range pages {
		page, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, bytes.Replace(page, []byte(`"Jan 0001"`), []byte(`""`), 1), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// forMan keeps what help sets apart by indentation as it stands: the generator reads
// the text as Markdown, where that takes four spaces.
func forMan(cmd *cobra.Command) {
	var b strings.Builder
	apart := false
	for line := range strings.SplitSeq(cmd.Long, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != apart {
			apart = indented
			b.WriteString("\n")
		}
		if apart {
			b.WriteString("  ")
		}
		b.WriteString(line + "\n")
	}
	cmd.Long = strings.TrimRight(b.String(), "\n")
	for _, sub := range cmd.Commands() {
		forMan(sub)
	}
}

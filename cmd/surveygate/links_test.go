package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notWord  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchorsOf are the anchors that GitHub gives a page's headings.
func anchorsOf(text string) map[string]bool {
	all := map[string]bool{}
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if !fenced && strings.HasPrefix(line, "#") {
			heading := notWord.ReplaceAllString(strings.ToLower(strings.Trim(line, "# \n")), "")
			all[strings.ReplaceAll(heading, " ", "-")] = true
		}
	}
	return all
}

// Every link of every page leads to a file of this repository and, if it names one, to a heading of it.
func TestPageLinks(t *testing.T) {
	t.Parallel()
	followed := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, link := range pageLink.FindAllSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(string(link[1]), "#")
			if strings.Contains(file, ":") {
				continue // elsewhere
			}
			followed++
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			page, err := os.ReadFile(target)
			switch info, missing := os.Stat(target); {
			case missing != nil:
				t.Errorf("%s: %s leads nowhere", path, link[1])
			case info.IsDir() || anchor == "":
			case err != nil:
				return err
			case !anchorsOf(string(page))[anchor]:
				t.Errorf("%s: %s leads to no heading", path, link[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if followed < 100 {
		t.Fatalf("only %d links were found", followed)
	}
}

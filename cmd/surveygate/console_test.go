package main

import (
	"bufio"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/browser"
)

// demo is a running demo, with the link that signs a browser in and its token.
type demo struct{ address, link, token string }

var (
	demoToken  = regexp.MustCompile(`sg_[A-Za-z0-9_-]{20,}`)
	signInLink = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/console/open\?k=\S+`)
)

// startDemo runs the demo until its last line, which is the address of the console.
func startDemo(t *testing.T) demo {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), binary, "demo")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, ended := make(chan demo, 1), make(chan struct{})
	var said strings.Builder
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at := signInLink.FindStringSubmatch(lines.Text()); at != nil {
				found <- demo{at[1], at[0], demoToken.FindString(said.String())}
			}
			said.WriteString(lines.Text() + "\n")
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = cmd.Wait()
	})
	select {
	case d := <-found:
		return d
	case <-ended:
		t.Fatalf("the demo ended:\n%s", said.String())
	case <-time.After(patience):
		t.Fatal("the demo shows no link to the console")
	}
	return demo{}
}

// full opens the overview until it shows figures: they are counted in memory first, and kept every few seconds.
func (d demo) full(p *browser.Page) {
	for p.Open("http://" + d.address + "/console/t/default/"); p.Count(".tile") < 6 || p.Count("main tbody tr") < 8; p.Reload() {
	}
}

// links are the addresses of the pages that a page leads to, without what follows a #.
const links = `[...document.querySelectorAll("main a[href], header a[href]")].filter(a => a.origin === location.origin && !a.hasAttribute("download")).map(a => a.pathname + a.search)`

// kindOf is the kind of page of an address: its path with a mark in place of names and ids, so that one page of each kind is looked at.
func kindOf(address string) string {
	path, query, _ := strings.Cut(address, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		switch {
		case i > 0 && slices.Contains([]string{"deliveries", "events", "destinations", "sources", "rules", "surveys", "replays", "tokens", "rejected", "captured"}, parts[i-1]) && part != "" && part != "new":
			parts[i] = "*"
		case i > 1 && parts[i-2] == "surveys" && part != "":
			parts[i] = "*"
		}
	}
	kind := strings.Join(parts, "/")
	if strings.HasPrefix(query, "new=") {
		kind += "?new"
	}
	return kind
}

// notPages are addresses under the console that answer with something else than a page.
var notPages = regexp.MustCompile(`/settings/export|/download|/raw$|/docs`)

var allLooks = flag.Bool("looks", false, "look at each page in both themes at both widths; else in each theme at one of them")

// TestConsolePages visits one page of each kind that the console leads to, from the demo's own link on: in both themes and widths with
// scripts, and on a phone without them. The browser's console stays empty, and axe finds nothing. What a theme changes does not depend on
// the width, so that two looks find what four do; -looks takes all.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := browser.Start(t)
	p := b.Page(t, browser.Look{})
	p.Open(d.link)
	p.WaitText("h1", "Overview")
	d.full(p)
	plain := p.Tab(t, browser.Look{Width: browser.Narrow, NoScript: true})
	looks := []browser.Look{{Width: browser.Wide}, {Width: browser.Narrow, Dark: true}}
	if *allLooks {
		looks = slices.DeleteFunc(browser.Looks(), func(l browser.Look) bool { return l.NoScript })
	}
	seen := map[string]bool{}
	queue := []string{"/console/t/default/"}
	visited := 0
	for len(queue) > 0 {
		address := queue[0]
		queue = queue[1:]
		if seen[kindOf(address)] {
			continue
		}
		seen[kindOf(address)] = true
		visited++
		url := "http://" + d.address + address
		p.Open(url)
		for _, look := range looks {
			p.Look(look)
			p.Check()
		}
		plain.Open(url)
		plain.Check()
		for _, next := range browser.Ask[[]string](p, links) {
			if strings.HasPrefix(next, "/console/") && !notPages.MatchString(next) {
				queue = append(queue, next)
			}
		}
	}
	t.Logf("%d pages: %v", visited, slices.Sorted(func(yield func(string) bool) {
		for kind := range seen {
			if !yield(kind) {
				return
			}
		}
	}))
	for _, kind := range []string{
		"/console/t/default/", "/console/t/default/deliveries", "/console/t/default/deliveries/*", "/console/t/default/events", "/console/t/default/events/*",
		"/console/t/default/destinations", "/console/t/default/destinations/*", "/console/t/default/sources", "/console/t/default/sources/*",
		"/console/t/default/rules", "/console/t/default/rules/*", "/console/t/default/surveys", "/console/t/default/replays",
		"/console/t/default/settings/tokens", "/console/t/default/settings/audit", "/console/t/default/settings/transfer",
	} {
		if !seen[kind] {
			t.Errorf("no page leads to %s", kind)
		}
	}
}

// outline is what a picture of a page shows, without what differs from run to run.
const outline = `[...document.querySelectorAll("h1, nav a, .tile small:first-child")].map(e => e.textContent.trim()).filter(t => t && !/\d/.test(t)).join("\n") + "\n"`

const picture = "../../examples/console.png"

// TestReadmePicture: the picture of the console in the README shows the page as it is. With -update it is taken again.
func TestReadmePicture(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	p := browser.Start(t).Page(t, browser.Look{})
	p.Open(d.link)
	p.WaitText("h1", "Overview")
	d.full(p)
	now := browser.Ask[string](p, outline)
	golden := filepath.Join("testdata", "console.outline")
	if *update {
		p.Screenshot(picture)
		if err := os.WriteFile(golden, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(was) != now {
		t.Errorf("the picture in the README is of another page: go test ./cmd/surveygate -run TestReadmePicture -update\nthen:\n%snow:\n%s", was, now)
	}
	if _, err := os.Stat(picture); err != nil {
		t.Error(err)
	}
}

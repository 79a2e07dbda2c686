package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
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

// The first page that the demo's link opens shows what the demo has sent, however soon it is opened.
func TestDemoIsNotEmpty(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), ">Overview</h1>") || strings.Contains(string(text), "Nothing was received yet") {
		t.Errorf("%v: %s", err, text)
	}
}

// The commands say where the console is, or that there is none.
func TestConsoleCommand(t *testing.T) {
	t.Parallel()
	const tokens = "tokens: [{name: test, secret: " + testToken + ", scopes: [read]}]\n"
	for setting, want := range map[string]struct{ check, link, fault string }{
		"":                                 {check: "console: http://127.0.0.1:8080/console/\n", link: `http://ADDRESS/console/open\?k=`},
		"console: {listen: 127.0.0.1:0}\n": {check: "console: http://127.0.0.1:0/console/\n", link: `http://127\.0\.0\.1:\d+/console/open\?k=`},
		"console: off\n":                   {check: "console: off, and so is the portal\n", fault: "this gateway has no console: `console` is `off` in its configuration"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir(), setting+tokens)
			if out, errs, code := invoke(t, p.dir, nil, "check"); code != 0 || !strings.Contains(out, want.check) {
				t.Errorf("check: exit %d\n%s%s", code, out, errs)
			}
			out, errs, code := invoke(t, p.dir, nil, "console", "--data", filepath.Join(p.dir, "data"))
			if want.fault != "" {
				if code != 1 || !strings.Contains(errs, want.fault) {
					t.Errorf("console: exit %d\n%s%s", code, out, errs)
				}
				return
			}
			link := regexp.MustCompile(strings.ReplaceAll(want.link, "ADDRESS", regexp.QuoteMeta(p.address))).FindString(out)
			if code != 0 || link == "" || strings.Contains(link, p.address) != (setting == "") {
				t.Errorf("console: exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// collections are the parts of paths that names and ids follow.
var collections = []string{"deliveries", "events", "destinations", "sources", "rules", "surveys", "replays", "drops", "tokens", "rejected", "captured"}

// kindOf is the kind of page of an address: its path with a mark in place of names and ids, so that one page of each kind is looked at.
func kindOf(address string) string {
	path, query, _ := strings.Cut(address, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		switch {
		case i > 0 && slices.Contains(collections, parts[i-1]) && !slices.Contains([]string{"", "new", "replay", "drop"}, part):
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

// TestConsolePages visits one page of each kind that the console leads to, from the demo's own link on: at both widths, in both themes,
// with scripts and without them. The browser's console stays empty, nothing is cut off, and axe finds nothing.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := browser.Start(t)
	p := b.Page(t, browser.Look{})
	p.Open(d.link)
	p.WaitText("h1", "Overview")
	d.full(p)
	plain := p.Tab(t, browser.Look{Width: browser.Narrow, NoScript: true})
	seen := p.Crawl("http://"+d.address, []string{"/console/t/default/"}, func(address string) string {
		if !strings.HasPrefix(address, "/console/") || notPages.MatchString(address) {
			return ""
		}
		return kindOf(address)
	}, func(address string) { p.CheckPage(plain, address) })
	t.Logf("%d pages: %v", len(seen), seen)
	for _, kind := range []string{
		"/console/t/default/", "/console/t/default/deliveries", "/console/t/default/deliveries/*", "/console/t/default/events", "/console/t/default/events/*",
		"/console/t/default/destinations", "/console/t/default/destinations/*", "/console/t/default/sources", "/console/t/default/sources/*",
		"/console/t/default/rules", "/console/t/default/rules/*", "/console/t/default/surveys", "/console/t/default/replays",
		"/console/t/default/settings/tokens", "/console/t/default/settings/audit", "/console/t/default/settings/transfer",
	} {
		if !slices.Contains(seen, kind) {
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

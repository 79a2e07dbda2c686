package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const policy = "default-src 'none'; script-src 'nonce-n'; style-src 'nonce-n'; connect-src 'self'; form-action 'self'; img-src data:; frame-src http:"

// site serves a page for each path: a body, in a document without faults.
func site(t *testing.T, bodies map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = "<h1>Not here</h1>"
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		fmt.Fprint(w, strings.ReplaceAll(`<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style nonce="n">:root { color-scheme: light dark }</style><main>BODY</main>`, "BODY", strings.ReplaceAll(body, "{{path}}", r.URL.RequestURI())))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// failing records what a test would have said.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Errorf(format string, args ...any) { f.said += fmt.Sprintf(format, args...) }

// Check finds each fault in a page that has it, and nothing in a page without.
func TestCheck(t *testing.T) {
	t.Parallel()
	const good = `<h1>Deliveries</h1><p>All is well.</p><form><label>Name <input name="n"></label><button>Save</button></form>`
	b := browser.Start(t)
	tests := []struct {
		name, body, want string
		scripted         bool // found only where scripts run
		narrow           bool // found only in a narrow window
	}{
		{name: "good", body: good},
		{name: "console", body: good + `<script nonce="n">console.log("left over", 7)</script>`, want: "console.log: left over 7", scripted: true},
		{name: "exception", body: good + `<script nonce="n">absent()</script>`, want: "absent is not defined", scripted: true},
		{name: "promise", body: good + `<script nonce="n">Promise.reject(new Error("lost"))</script>`, want: "lost", scripted: true},
		{name: "policy", body: good + `<script>1</script>`, want: "policy violation: script-src", scripted: true},
		{name: "policy of styles", body: good + `<style>p { color: red }</style>`, want: "policy violation: style-src"},
		{name: "request", body: good + `<script nonce="n">fetch("http://127.0.0.1:1/").catch(() => {})</script>`, want: "127.0.0.1:1", scripted: true},
		{name: "missing", body: good + `<script nonce="n">fetch("/missing")</script>`, want: "404 (Not Found)", scripted: true},
		{name: "contrast", body: good + `<style nonce="n">p { color: #777; background: #888 }</style>`, want: "axe, serious: color-contrast"},
		{name: "nameless", body: good + `<button></button>`, want: "axe, critical: button-name"},
		{name: "unlabelled", body: good + `<input name="m">`, want: "axe, critical: label"},
		{name: "wide", body: good + `<style nonce="n">p { width: 700px }</style>`, want: "px wide in a window of 360 px: <p>", narrow: true},
		{name: "cut off", body: good + `<style nonce="n">section { overflow: hidden } section p { width: 700px }</style><section><p>x</p></section>`, want: "cut off at its side: 700 px in ", narrow: true},
		{name: "scrolling", body: good + `<style nonce="n">div { overflow-x: auto } div p { width: 700px }</style><div tabindex="0"><p>x</p></div>`},
		{name: "untitled", body: `<h2>Deliveries</h2>`, want: "0 h1 elements"},
		{name: "titles", body: good + `<h1>Deliveries</h1>`, want: "2 h1 elements"},
		{name: "style", body: good + `<b style="">x</b>`, want: `a style attribute: <b style="">`},
	}
	for _, look := range []browser.Look{{}, {Width: browser.Narrow, Dark: true, NoScript: true}} {
		t.Run(look.String(), func(t *testing.T) {
			t.Parallel()
			found := &failing{TB: t}
			p := b.Page(found, look) // one tab: what was found in a page is not found in the next
			for _, tt := range tests {
				found.said = ""
				p.Open(site(t, map[string]string{"/": tt.body}))
				if tt.want == "404 (Not Found)" && !look.NoScript {
					p.WaitFor(`performance.getEntriesByType("resource").some(e => e.name.endsWith("/missing"))`)
				}
				p.Check()
				want := tt.want
				if tt.scripted && look.NoScript || tt.narrow && look.Width != browser.Narrow {
					want = ""
				}
				if want == "" && found.said != "" || !strings.Contains(found.said, want) {
					t.Errorf("%s: found %q, want %q", tt.name, found.said, want)
				}
			}
		})
	}
}

// A tab takes all looks, one after the other, and its faults are found in those that have them.
func TestCheckLooks(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	at := site(t, map[string]string{"/": `<h1>Here</h1><p>x</p><style nonce="n">
p { width: 500px } @media (prefers-color-scheme: dark) { h1 { color: #ddd } }</style>`})
	for _, noScript := range []bool{false, true} {
		found := &failing{TB: t}
		p := b.Page(found, browser.Look{NoScript: noScript})
		p.Open(at)
		p.CheckLooks()
		for want, times := range map[string]int{"px wide in a window of 360 px": 2, "color-contrast": 2, "360-dark": 1, "1280-dark": 1, "360-light": 1, "1280-light": 0} {
			if got := strings.Count(found.said, want); got != times {
				t.Errorf("found %q %d times, want %d: %s", want, got, times, found.said)
			}
		}
	}
}

// A page is checked with scripts and without them, in both widths and themes.
func TestCheckPage(t *testing.T) {
	t.Parallel()
	at := site(t, map[string]string{"/": `<h1>Here</h1><p>x</p><script nonce="n">console.log("left over")</script><style nonce="n">
p { width: 500px } @media (prefers-color-scheme: dark) { h1 { color: #ddd } }</style>`})
	b, found := browser.Start(t), &failing{TB: t}
	b.Page(found, browser.Look{}).CheckPage(b.Page(found, browser.Look{NoScript: true}), at)
	for want, times := range map[string]int{"px wide in a window of 360 px": 2, "color-contrast": 1, "left over": 1, "360-light-noscript": 1, "1280-dark-noscript": 0} {
		if got := strings.Count(found.said, want); got != times {
			t.Errorf("found %q %d times, want %d: %s", want, got, times, found.said)
		}
	}
}

// What a page has to say is no fault, and its absence is one.
func TestCheckExpects(t *testing.T) {
	t.Parallel()
	found := &failing{TB: t}
	p := browser.Start(t).Page(found, browser.Look{})
	at := site(t, map[string]string{"/": "<h1>Here</h1>"})
	p.Open(at + "/elsewhere")
	if p.Status() != http.StatusNotFound {
		t.Errorf("status %d", p.Status())
	}
	p.Check("404 (Not Found)")
	p.CheckWithoutAxe() // what was expected once is no fault later
	if found.said != "" {
		t.Error(found.said)
	}
	p.Check("404 (Not Found)", "never said")
	if !strings.Contains(found.said, `it should say "never said"`) {
		t.Errorf("found %q", found.said)
	}
}

// A crawl opens one page of each kind that a site leads to, and nothing twice.
func TestCrawl(t *testing.T) {
	t.Parallel()
	const links = `<h1>Here</h1><a href="/list">List</a> <a href="/item/1">1</a> <a href="/item/2?at=3">2</a> <a href="/out">Out</a> <a href="http://elsewhere.invalid/list">Elsewhere</a>`
	at := site(t, map[string]string{"/": links, "/list": links + `<a href="/last">Last</a>`, "/item/1": links, "/last": links})
	p := browser.Start(t).Page(t, browser.Look{})
	var seen []string
	kinds := p.Crawl(at, []string{"/"}, func(address string) string {
		switch {
		case address == "/out":
			return ""
		case strings.HasPrefix(address, "/item/"):
			return "item"
		}
		return address
	}, func(address string) {
		p.Open(address)
		p.CheckWithoutAxe()
		seen = append(seen, strings.TrimPrefix(address, at))
	})
	if got, want := strings.Join(kinds, " "), "/ /last /list item"; got != want {
		t.Errorf("kinds %s, want %s", got, want)
	}
	if got, want := strings.Join(seen, " "), "/ /list /item/1 /last"; got != want {
		t.Errorf("opened %s, want %s", got, want)
	}
}

// The steps do what a person does, with scripts and without.
func TestSteps(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	at := site(t, map[string]string{
		"/": `<h1>Start</h1><form action="/next"><label>Name <input name="name" value="old"></label>
<label>Kind <select name="kind"><option>a<option>b</select></label><button>Go on</button></form><a href="/other">Other</a>`,
		"/next":  `<h1>Next</h1><p id="asked">{{path}}</p>`,
		"/other": `<h1>Other</h1>`,
	})
	for _, look := range []browser.Look{{Width: browser.Wide}, {Width: browser.Narrow, Dark: true, NoScript: true}} {
		t.Run(look.String(), func(t *testing.T) {
			t.Parallel()
			p := b.Page(t, look)
			p.Open(at)
			if p.Title() != "A page" || p.URL() != at+"/" || p.Status() != http.StatusOK || p.Count("input, select") != 2 {
				t.Errorf("title %q, address %s, status %d", p.Title(), p.URL(), p.Status())
			}
			if dark := browser.Ask[bool](p, "matchMedia('(prefers-color-scheme: dark)').matches"); dark != look.Dark {
				t.Errorf("dark is %v", dark)
			}
			if width := browser.Ask[int](p, "innerWidth"); width != look.Width {
				t.Errorf("%d px wide", width)
			}
			p.Fill("[name=name]", "Zoë &")
			p.Type("[name=name]", " Co")
			p.Select("select", "b")
			if p.Value("[name=name]") != "Zoë & Co" {
				t.Errorf("the name is %q", p.Value("[name=name]"))
			}
			p.Follow("=Go on")
			if got := p.Text("#asked"); !strings.HasSuffix(got, "?name=Zo%C3%AB+%26+Co&kind=b") {
				t.Errorf("asked for %s", got)
			}
			p.Back()
			p.Wait("form")
			p.Open(at) // the focus is at its beginning again
			p.Press("Tab", "Tab", "Tab", "Tab")
			if p.Focused() != "a Other" {
				t.Errorf("the focus is on %q", p.Focused())
			}
			p.Press("Shift+Tab")
			if p.Focused() != "button Go on" {
				t.Errorf("the focus is on %q", p.Focused())
			}
			p.Press("Tab", "Enter")
			p.WaitText("h1", "Other")
			cookies := p.Cookies()
			if len(cookies) != 1 || cookies[0].Name != "seen" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
				t.Errorf("cookies %v", cookies)
			}
			if paint := p.FirstPaint(); paint <= 0 {
				t.Errorf("first paint after %v", paint)
			}
			picture := filepath.Join(t.TempDir(), "p.png")
			p.Screenshot(picture)
			if content, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
				t.Errorf("the picture: %v", err)
			}
			p.Check()
		})
	}
}

// What scripts change is waited for; dialogs are answered; requests are kept.
func TestScripts(t *testing.T) {
	t.Parallel()
	at := site(t, map[string]string{
		"/": `<h1>Start</h1><p id="n">none</p><button id="ask">Ask</button><script nonce="n">
var own = 7;
document.querySelector("#ask").onclick = () => {
	const yes = confirm("Really?");
	fetch("/more").then(r => r.text()).then(() => { document.querySelector("#n").textContent = yes ? "yes" : "no"; document.querySelector("#ask").remove() });
};
</script>`,
		"/more": "more",
	})
	b := browser.Start(t)
	for _, yes := range []bool{true, false} {
		p := b.Page(t, browser.Look{})
		if !yes {
			p.Refuse()
		}
		p.Open(at)
		if own := browser.Run[int](p, "own"); own != 7 {
			t.Errorf("own is %d", own)
		}
		p.Click("#ask")
		p.WaitGone("#ask")
		if want := map[bool]string{true: "yes", false: "no"}[yes]; p.Text("#n") != want {
			t.Errorf("%q, want %s", p.Text("#n"), want)
		}
		if d := p.Dialogs(); len(d) != 1 || d[0] != "Really?" {
			t.Errorf("dialogs %q", d)
		}
		if r := p.Requests(); r[len(r)-1] != "GET "+at+"/more" {
			t.Errorf("requests %q", r)
		}
		p.Check()
	}
}

// Tabs of one page share its cookies; other pages have their own.
func TestTabs(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	at := site(t, map[string]string{"/": "<h1>Start</h1>"})
	p := b.Page(t, browser.Look{})
	p.Open(at)
	tab, stranger := p.Tab(t, browser.Look{Width: browser.Narrow}), b.Page(t, browser.Look{})
	for page, want := range map[*browser.Page]int{tab: 1, stranger: 0} {
		page.Open("about:blank")
		if got := len(page.Cookies(at)); got != want {
			t.Errorf("%d cookies, want %d", got, want)
		}
	}
}

// A frame of another site is looked into and clicked in.
func TestFrames(t *testing.T) {
	t.Parallel()
	inner := strings.Replace(site(t, map[string]string{
		"/":     `<h1>Within</h1><form action="/next"><button>Go on</button></form>`,
		"/next": `<h1>Further</h1>`,
	}), "127.0.0.1", "localhost", 1)
	p := browser.Start(t).Page(t, browser.Look{})
	p.Open(site(t, map[string]string{"/": `<h1>Around</h1><p>Above</p><iframe title="x" src="` + inner + `"></iframe>`}))
	frame := p.Frame("iframe")
	frame.WaitText("h1", "Within")
	frame.Click("=Go on")
	frame.WaitText("h1", "Further")
	if p.Text("h1") != "Around" {
		t.Errorf("the page shows %q", p.Text("h1"))
	}
}

// A tab that is hidden tells its page so, and tells it when it is shown again.
func TestHiddenTab(t *testing.T) {
	t.Parallel()
	p := browser.Start(t).Page(t, browser.Look{})
	p.Open(site(t, map[string]string{"/": `<h1>Start</h1><script nonce="n">
var seen = [];
document.addEventListener("visibilitychange", () => seen.push(document.visibilityState));
</script>`}))
	p.Hide()
	p.Show()
	p.WaitFor("document.visibilityState === 'visible'")
	if seen := browser.Run[string](p, "seen.join(' ')"); seen != "hidden visible" {
		t.Errorf("the page was told %q", seen)
	}
}

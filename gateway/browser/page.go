package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Page is a tab. Its methods are steps of a test, which fails where a step does. For use by one goroutine.
//
// A selector is one of CSS; with = before it, it is the whole text or label of a link, a button or a summary: "=Sign in". Of
// many elements that match, the first visible one is meant.
type Page struct {
	t        testing.TB
	ctx      context.Context
	look     Look
	recorder *recorder
	frame    string // selector of the frame in the page that the steps are for; empty for the page itself
	refuse   bool   // dialogs are refused
}

// world is where the code of this package runs in a page: it sees the document and nothing of the page's scripts, and the
// page's policy does not bind it.
const world = "surveygate-test"

// Page opens a tab with cookies and storage of its own. It is closed when the test has ended.
func (b *Browser) Page(t testing.TB, look Look) *Page {
	t.Helper()
	return open(b.ctx, t, look, chromedp.WithNewBrowserContext())
}

// Tab opens another tab that shares cookies and storage with p.
func (p *Page) Tab(t testing.TB, look Look) *Page {
	t.Helper()
	return open(p.ctx, t, look)
}

func open(parent context.Context, t testing.TB, look Look, options ...chromedp.ContextOption) *Page {
	t.Helper()
	p := &Page{t: t, look: look, recorder: &recorder{asked: map[network.RequestID]string{}}}
	options = append(options, chromedp.WithListener(p.recorder.take), chromedp.WithListener(p.answerDialog))
	ctx, cancel := chromedp.NewContext(parent, options...)
	p.ctx = ctx
	t.Cleanup(cancel)
	enable := step(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{})
		return err
	})
	if err := begin(ctx, cancel, enable, look.set()); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return p
}

// answerDialog answers confirm and alert, which block the page. Listeners must not wait, so a goroutine does it.
func (p *Page) answerDialog(ev any) {
	dialog, ok := ev.(*page.EventJavascriptDialogOpening)
	if !ok {
		return
	}
	p.recorder.mu.Lock()
	p.recorder.dialogs = append(p.recorder.dialogs, dialog.Message)
	accept := !p.refuse
	p.recorder.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		if _, err := chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: accept}); err != nil {
			p.recorder.say("dialog %q: %v", dialog.Message, err)
		}
	}()
}

// Dialogs are the questions that the page has asked, oldest first. They are answered with yes, after Refuse with no.
func (p *Page) Dialogs() []string {
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	return append([]string(nil), p.recorder.dialogs...)
}

// Refuse says no to the dialogs that follow.
func (p *Page) Refuse() {
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	p.refuse = true
}

// Look changes the width and the theme of the tab as it is. Whether it runs scripts is as it was.
func (p *Page) Look(look Look) {
	p.t.Helper()
	look.NoScript = p.look.NoScript
	p.do("look at "+look.String(), look.set())
	p.look = look
}

// Frame is p for the frame that the selector matches, of whatever origin: steps and questions are about what is in it. Open,
// Check, Screenshot and what was recorded are of the whole tab.
func (p *Page) Frame(selector string) *Page {
	inner := *p
	inner.frame = selector
	return &inner
}

// Open goes to an address and waits until the page has loaded.
func (p *Page) Open(address string) {
	p.t.Helper()
	p.do("open "+address, chromedp.Navigate(address))
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
}

// Back goes back in the history and waits until that page is shown. It may come from a cache, where it is not loaded again.
func (p *Page) Back() {
	p.t.Helper()
	p.do("go back", step(func(ctx context.Context) error {
		history, err := chromedp.Call(ctx, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		if history.CurrentIndex == 0 {
			return errors.New("it is the first page")
		}
		to := history.Entries[history.CurrentIndex-1]
		if _, err := chromedp.Call(ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: to.ID}); err != nil {
			return err
		}
		return again(ctx, func() (bool, error) {
			now, err := chromedp.Call(ctx, page.GetNavigationHistory, cdp.Empty{})
			if err != nil || now.Entries[now.CurrentIndex].ID != to.ID {
				return err != nil, err
			}
			var state string
			err = p.ask(ctx, "document.readyState", &state)
			return err != nil || state == "complete", err
		})
	}))
}

// NoCache has everything fetched again with each page from now on, as by a browser that was never there.
func (p *Page) NoCache() {
	p.t.Helper()
	p.do("switch the cache off", step(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		return err
	}))
}

// Hide minimises the window of the tab, which has no other tab: its page is hidden. Show brings it back.
func (p *Page) Hide() {
	p.t.Helper()
	p.window("hide the tab", cdpbrowser.WindowStateMinimized)
	p.WaitFor("document.hidden")
}

// Show brings a hidden tab back.
func (p *Page) Show() {
	p.t.Helper()
	p.window("show the tab", cdpbrowser.WindowStateNormal)
	p.WaitFor("!document.hidden")
}

func (p *Page) window(what string, to cdpbrowser.WindowState) {
	p.t.Helper()
	p.do(what, step(func(ctx context.Context) error {
		window, err := chromedp.Call(ctx, cdpbrowser.GetWindowForTarget, cdpbrowser.GetWindowForTargetParams{})
		if err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, cdpbrowser.SetWindowBounds, cdpbrowser.SetWindowBoundsParams{WindowID: window.WindowID, Bounds: &cdpbrowser.Bounds{WindowState: to}})
		return err
	}))
}

// Follow clicks, and waits until the page that this leads to has loaded: for links and for the buttons of forms.
func (p *Page) Follow(selector string) {
	p.t.Helper()
	at := p.point(selector)
	p.do("follow "+selector, step(func(ctx context.Context) error {
		_, err := chromedp.RunResponse(ctx, chromedp.MouseClickXY(at.X, at.Y))
		return err
	}))
}

// Status is the HTTP status of the page, or of the newest document in one of its frames.
func (p *Page) Status() int {
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	return int(p.recorder.status)
}

// Requests are the requests of the tab so far, as "GET http://127.0.0.1/", oldest first.
func (p *Page) Requests() []string {
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	return append([]string(nil), p.recorder.requests...)
}

// URL is the address of the page.
func (p *Page) URL() string {
	p.t.Helper()
	return Ask[string](p, "location.href")
}

// Title is the title of the page.
func (p *Page) Title() string {
	p.t.Helper()
	return Ask[string](p, "document.title")
}

// HTML is the document as it is now.
func (p *Page) HTML() string {
	p.t.Helper()
	return Ask[string](p, "document.documentElement.outerHTML")
}

// Text waits for an element and returns its visible text.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	p.Wait(selector)
	return Ask[string](p, find(selector)+".innerText")
}

// Value waits for a control and returns its value.
func (p *Page) Value(selector string) string {
	p.t.Helper()
	p.Wait(selector)
	return Ask[string](p, find(selector)+".value")
}

// Attribute waits for an element and returns an attribute of it; empty if it has none.
func (p *Page) Attribute(selector, name string) string {
	p.t.Helper()
	p.Wait(selector)
	return Ask[string](p, find(selector)+".getAttribute("+quoted(name)+") ?? ''")
}

// Count is how many elements match a selector of CSS, visible or not.
func (p *Page) Count(css string) int {
	p.t.Helper()
	return Ask[int](p, "document.querySelectorAll("+quoted(css)+").length")
}

// Focused is the element that has the focus, as its tag and its text, label or name: "a Deliveries".
func (p *Page) Focused() string {
	p.t.Helper()
	return Ask[string](p, `(e => !e || e === document.body ? '' : e.localName + ' ' +
		(e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.name || e.id).trim())(document.activeElement)`)
}

// FirstPaint is how long after its request the page first showed something.
func (p *Page) FirstPaint() time.Duration {
	p.t.Helper()
	const entry = `performance.getEntriesByName('first-contentful-paint')[0]`
	p.WaitFor(entry + " !== undefined")
	return time.Duration(Ask[float64](p, entry+".startTime") * float64(time.Millisecond))
}

// Cookies are the cookies that an address would be sent; without one, the page's.
func (p *Page) Cookies(addresses ...string) []http.Cookie {
	p.t.Helper()
	var found network.GetCookiesResult
	p.do("read cookies", step(func(ctx context.Context) (err error) {
		found, err = chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: addresses})
		return err
	}))
	var all []http.Cookie
	for _, c := range found.Cookies {
		cookie := http.Cookie{
			Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, HttpOnly: c.HTTPOnly, Secure: c.Secure, Partitioned: c.PartitionKey != nil,
		}
		switch c.SameSite {
		case network.CookieSameSiteLax:
			cookie.SameSite = http.SameSiteLaxMode
		case network.CookieSameSiteStrict:
			cookie.SameSite = http.SameSiteStrictMode
		case network.CookieSameSiteNone:
			cookie.SameSite = http.SameSiteNoneMode
		}
		all = append(all, cookie)
	}
	return all
}

// Screenshot writes a picture of the whole page, down to its end, as PNG.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	var picture []byte
	p.do("take a picture", step(func(ctx context.Context) (err error) {
		picture, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
		return err
	}))
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// Ask evaluates an expression of JavaScript with the page's document, away from its scripts, also where it has none. A promise
// is waited for.
func Ask[T any](p *Page, expression string) T {
	p.t.Helper()
	var answer T
	p.do("evaluate "+clip(expression), step(func(ctx context.Context) error { return p.ask(ctx, expression, &answer) }))
	return answer
}

// Run evaluates an expression among the page's own scripts, and under its policy: for what they define. A promise is waited
// for.
func Run[T any](p *Page, expression string) T {
	p.t.Helper()
	var answer T
	p.do("run "+clip(expression), step(func(ctx context.Context) (err error) {
		answer, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		return err
	}))
	return answer
}

// errAway means that the document asked went away meanwhile, or that the frame is not there yet.
var errAway = errors.New("the document was left")

// ask evaluates an expression in this package's world of the page or frame. It asks again if the page is left meanwhile.
func (p *Page) ask(ctx context.Context, expression string, answer any) error {
	return again(ctx, func() (bool, error) {
		err := p.askOnce(ctx, expression, answer)
		return !errors.Is(err, errAway), err
	})
}

func (p *Page) askOnce(ctx context.Context, expression string, answer any) error {
	frame, err := p.frameID(ctx)
	if err != nil {
		return err
	}
	made, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: world})
	if err != nil {
		return away(err)
	}
	yes := true
	res, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ContextID: made.ExecutionContextID, AwaitPromise: &yes, ReturnByValue: &yes, UserGesture: &yes,
	})
	if err != nil {
		return away(err)
	}
	if thrown := res.ExceptionDetails; thrown != nil {
		if thrown.Exception != nil {
			return errors.New(thrown.Exception.Description)
		}
		return errors.New(thrown.Text)
	}
	if len(res.Result.Value) == 0 { // undefined
		return nil
	}
	return json.Unmarshal(res.Result.Value, answer)
}

// away tells what the protocol says of a document that has just been left from other errors.
func away(err error) error {
	for _, text := range []string{
		"Cannot find context", "context was destroyed", "navigated or closed", "No frame for given id", "Could not find node", "Promise was collected",
	} {
		if strings.Contains(err.Error(), text) {
			return errors.Join(errAway, err)
		}
	}
	return err
}

// frameID is the frame that the steps are for.
func (p *Page) frameID(ctx context.Context) (cdp.FrameID, error) {
	tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return "", err
	}
	if p.frame == "" {
		return tree.FrameTree.Frame.ID, nil
	}
	outer := *p
	outer.frame = ""
	var index int
	// The frames of a document are in its window in the order of its elements.
	if err := outer.askOnce(ctx, "[...document.querySelectorAll('iframe, frame')].indexOf(document.querySelector("+quoted(p.frame)+"))", &index); err != nil {
		return "", err
	}
	if index < 0 || index >= len(tree.FrameTree.ChildFrames) {
		return "", fmt.Errorf("%w: no frame is %s", errAway, p.frame)
	}
	return tree.FrameTree.ChildFrames[index].Frame.ID, nil
}

// do runs a step, and fails the test with what is known of the page.
func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %s: %v%s", p.look, what, err, p.around())
	}
}

// around says where the page is, what it shows and what it has said, for a test that failed.
func (p *Page) around() string {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	var at, shows string
	if err := p.askOnce(ctx, "location.href", &at); err != nil {
		at = err.Error()
	}
	if err := p.askOnce(ctx, "document.body?.innerText ?? ''", &shows); err != nil {
		shows = err.Error()
	}
	said := strings.Join(p.recorder.lines(), "\n")
	return fmt.Sprintf("\nat %s, which shows\n%.2000s\nand said\n%s", at, shows, said)
}

// again repeats a look until it says that it is done.
func again(ctx context.Context, look func() (done bool, err error)) error {
	for {
		done, err := look()
		if done {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond): // between looks at another process
		}
	}
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(text)
}

func clip(s string) string {
	if s = strings.Join(strings.Fields(s), " "); len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}

//go:build !race

// The race detector looks at the pages of TestPortalStory: those of this file are shown by the same goroutines.

package run

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// keyboard is a person in a browser who has no mouse, and has to see where the focus is.
type keyboard struct {
	t *testing.T
	p *browser.Page
}

// visible is whether the focus can be seen: it is in the window, and something is drawn around it.
const visible = `(e => {
	const box = e.getBoundingClientRect(), style = getComputedStyle(e);
	return box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
})(document.activeElement)`

// to presses Tab until the focus is on something whose kind and name begin so.
func (k keyboard) to(name string) {
	k.t.Helper()
	var passed []string
	for range 80 {
		k.p.Press("Tab")
		is := k.p.Focused()
		if is != "" && !browser.Ask[bool](k.p, visible) { // at the end, the browser itself has it
			k.t.Errorf("%s: the focus on %q is not visible", k.p.URL(), is)
		}
		if strings.HasPrefix(is, name) {
			return
		}
		passed = append(passed, is)
	}
	k.t.Fatalf("%s: Tab does not lead to %q, but to %q", k.p.URL(), name, passed)
}

// enter goes to something and presses Enter.
func (k keyboard) enter(name string) {
	k.t.Helper()
	k.to(name)
	k.p.Press("Enter")
}

// writes presses the key of each letter.
func (k keyboard) writes(text string) {
	k.t.Helper()
	k.p.Press(strings.Split(text, "")...)
}

// arrives waits for a page by its heading, which has the focus.
func (k keyboard) arrives(heading string) {
	k.t.Helper()
	k.p.WaitFor(fmt.Sprintf(`document.activeElement.localName === "h1" && document.activeElement.innerText.startsWith(%q)`, heading))
}

// TestFlowsByKeyboard: without a mouse, a failed delivery is found and sent again, an event says why it was sent, a rule is changed and
// saved, and what a filter selects is counted and replayed; in the portal, a webhook is made, and one is tested. After each step the focus
// is on the heading of the page that it leads to, and what changes by itself leaves the focus where it is.
func TestFlowsByKeyboard(t *testing.T) {
	t.Parallel()
	s, mine := newSite(t), &customer{}
	mine.broken.Store(true)
	hook := httptest.NewServer(mine)
	t.Cleanup(hook.Close)
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"]}
`, hook.URL))
	s.start()
	call[view.Rule](s, http.MethodPut, "/v1/rules/low", `{"when": "nps_score <= 6", "send": ["hook"]}`)
	s.until("the rule is in use", func() bool {
		return call[view.Rule](s, http.MethodGet, "/v1/rules/low", "").State == "active"
	})
	lost := s.publish("lost", 3)
	s.until("it has failed", func() bool {
		d := call[view.Page[view.Delivery]](s, http.MethodGet, "/v1/deliveries?state=dead", "")
		return len(d.Data) == 1
	})
	mine.broken.Store(false)
	p := browser.Start(t).Page(t, browser.Look{})
	k := keyboard{t, p}
	p.Open(call[view.LoginLink](s, http.MethodPost, "/v1/login-links", "{}").URL)
	p.WaitText("h1", "Overview")

	// A failed delivery is found, and tried again.
	p.Press("g", "d")
	k.arrives("Deliveries")
	k.to("select State")
	k.writes("dead")
	k.enter("button Search")
	p.WaitFor(`location.search.includes("state=dead")`)
	k.arrives("Deliveries")
	p.Press("j", "Enter")
	k.arrives("Delivery to hook")
	k.enter("button Try now")
	p.Wait(".note")
	p.WaitText("#now .tag", "delivered") // by itself
	k.arrives("Delivery to hook")
	if n := mine.taken.Load(); n != 1 {
		t.Errorf("%d requests were taken", n)
	}

	// An event says why.
	p.Press("g", "e")
	k.arrives("Events")
	p.Press("j", "Enter")
	k.arrives("Response completed")
	p.WaitText(".parts", "decided")
	k.enter("a Delivery to hook: delivered")
	k.arrives("Delivery to hook")
	k.enter("a " + lost)
	k.arrives("Response completed")

	// A rule is changed and saved. While it is typed, what it does changes beside it.
	p.Press("g", "r")
	k.arrives("Rules")
	p.Press("j", "Enter")
	k.arrives("low")
	k.enter("a Edit")
	k.arrives("Edit low")
	k.to("textarea The document")
	p.Press("End", "Backspace")
	k.writes("7")
	p.WaitText("#outcome", "its condition is")
	if is := p.Attribute(":focus", "id"); is != "text" {
		t.Errorf("the focus has left the text for %q", is)
	}
	k.enter("button Save")
	k.arrives("low")
	if rule := call[view.Rule](s, http.MethodGet, "/v1/rules/low", ""); rule.Version < 2 {
		t.Errorf("the rule is not saved: %+v", rule)
	}
	p.WaitText("main", "nps_score <= 7")

	// A replay is counted, and begun.
	p.Press("g", "p")
	k.arrives("Replays")
	k.enter("a New replay")
	k.arrives("New replay")
	k.to("input Destination")
	k.writes("hook")
	k.enter("button Count")
	p.WaitText("#count", "1 delivery")
	k.arrives("New replay")
	k.enter("button Start the replay")
	k.arrives("Replay")
	s.until("it is sent again", func() bool { return mine.taken.Load() == 2 })
	p.WaitText("main .tag", "done") // by itself
	k.arrives("Replay")
	p.Check()

	// In the portal, a webhook is made, and another is tested.
	p.Open(s.portalLink("127.0.0.1", "{"+everything+"}"))
	p.WaitText("h1", "Webhooks")
	k.enter("a New webhook")
	k.arrives("New webhook")
	k.to("input Address")
	k.writes("https://hooks.example.com/in")
	k.enter("button Make webhook")
	k.arrives("The webhook is made")
	p.Press("g", "w")
	k.arrives("Webhooks")
	k.enter("a 127.0.0.1")
	k.arrives("127.0.0.1")
	k.enter("a Test")
	k.arrives("127.0.0.1")
	k.enter("button Send a test")
	p.WaitText("#result-card", "200 OK")
	k.arrives("127.0.0.1")
	p.Check()
}

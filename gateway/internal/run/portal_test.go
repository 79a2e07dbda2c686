package run

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// customer is the receiver of a customer of the platform, which refuses everything while it is broken.
type customer struct {
	broken atomic.Bool
	taken  atomic.Int64
}

func (c *customer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if c.broken.Load() {
		http.Error(w, "the table is <gone>", http.StatusBadRequest)
		return
	}
	c.taken.Add(1)
}

// portalLink makes a portal link, whose URL has a host.
func (s *site) portalLink(host, body string) string {
	s.t.Helper()
	_, port, _ := strings.Cut(s.started.Address, ":")
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+host+":"+port+"/v1/tenants/default/portal-links", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.started.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		s.t.Fatalf("%d %s %v", res.StatusCode, text, err)
	}
	_, after, _ := strings.Cut(string(text), `"url":"`)
	link, _, _ := strings.Cut(after, `"`)
	return link
}

const everything = `"capabilities":["webhooks","deliveries","replay","bodies","connections","rules"],"name":"Lumen Surveys","accent":"#7c3aed"`

// TestPortalStory: on a phone, a customer makes a webhook, tests one, breaks it, and has 100 deliveries sent again that failed meanwhile.
// Then the pages with the most on them are looked at, in both widths and both themes, with scripts and without them.
func TestPortalStory(t *testing.T) {
	t.Parallel()
	s, mine := newSite(t), &customer{}
	hook := httptest.NewServer(mine)
	t.Cleanup(hook.Close)
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, title: Data warehouse, url: %q, events: [response.completed], body: event, secrets: ["${HOOK_SECRET}"]}
`, hook.URL))
	s.start()
	p := browser.Start(t).Page(t, browser.Look{Width: browser.Narrow})
	base, _, _ := strings.Cut(s.portalLink("127.0.0.1", `{"capabilities":["webhooks"]}`), "/portal/")
	p.Open(s.portalLink("127.0.0.1", "{"+everything+"}"))
	p.WaitText("h1", "Webhooks")

	p.Follow("=New webhook")
	p.Fill("#url", "https://hooks.example.com/in")
	p.Follow("=Make webhook")
	p.WaitText("h1", "The webhook is made")
	if secret := p.Text(".once .copied"); !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret is %q", secret)
	}
	p.Check()
	made := strings.TrimPrefix(p.Attribute("a.main", "href"), "/portal")

	p.Open(base + "/portal/webhooks/hook/test")
	p.Select("#type", "response.completed")
	p.Follow("=Send a test")
	p.WaitText("#result-card", "200 OK")
	if sent := p.Text("#result-card"); !strings.Contains(sent, "This is a test delivery") {
		t.Errorf("the request is not shown: %s", sent)
	}
	mine.broken.Store(true)
	p.Follow("=Send another")
	p.WaitText("#result-card", "the table is <gone>")
	p.Check()

	const many = 100
	for i := range many {
		s.publish(fmt.Sprint("lost-", i), i%11)
	}
	s.until("all have failed", func() bool {
		d := call[view.Destination](s, http.MethodGet, "/v1/destinations/hook?include=standing", "")
		return d.Standing != nil && d.Standing.Dead == many+1
	})
	mine.broken.Store(false)
	before := mine.taken.Load()
	p.Open(base + "/portal/webhooks/hook")
	p.Check()
	p.Follow("=Send again…")
	p.Follow("=Count first")
	p.WaitText("#counted", "101 failed deliveries")
	p.Check()
	p.Follow("=Send 101 deliveries again")
	p.WaitText(".note", "sent again")
	s.until("all are taken", func() bool { return mine.taken.Load() == before+many+1 })

	plain := p.Tab(t, browser.Look{NoScript: true})
	newest := call[view.Page[view.Delivery]](s, http.MethodGet, "/v1/deliveries?destination=hook&limit=1", "").Data[0].ID
	hookPage := strings.TrimSuffix(made, "/test")
	for _, path := range []string{
		"/webhooks", "/new/webhook", hookPage, hookPage + "/settings", hookPage + "/secrets", "/deliveries", "/deliveries/" + url.PathEscape(newest), "/event-types/verify", "/new/rule",
	} {
		p.CheckPage(plain, base+"/portal"+path)
	}
}

// TestPortalInAFrame: a page of another site shows the portal; its links, its forms and the same link once more work there.
func TestPortalInAFrame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var link atomic.Pointer[string]
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Platform</title><link rel="icon" href="data:,"><h1>Platform</h1><iframe title="Webhooks" width="1000" height="800" src="%s"></iframe>`, *link.Load())
	}))
	t.Cleanup(platform.Close)
	s.writeText(fmt.Sprintf(`
portal: {origins: [%q]}
webhooks:
  - {name: hook, url: "https://hooks.example.com/in", events: [response.completed], signature: none}
`, platform.URL))
	s.start()
	made := s.portalLink("localhost", `{"origin":"`+platform.URL+`","at":"/webhooks",`+everything+"}")
	link.Store(&made)
	p := browser.Start(t).Page(t, browser.Look{})
	for range 2 { // the link opens once: the second time, the session is there
		p.Open(platform.URL)
		framed := p.Frame("iframe")
		framed.WaitText("h1", "Webhooks")
		framed.Click("=New webhook")
		framed.WaitText("h1", "New webhook")
	}
	framed := p.Frame("iframe")
	framed.Fill("#url", "https://hooks.example.com/framed")
	framed.Click("=Make webhook")
	framed.WaitText("h1", "The webhook is made")
	p.Check()
}

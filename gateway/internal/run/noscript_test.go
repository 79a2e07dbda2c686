//go:build !race

// The race detector looks at the pages of TestPortalStory: those of this file are shown by the same goroutines.

package run

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestFormsWithoutScripts: where a browser runs no scripts, a person signs in, filters, tries a delivery again, makes webhooks in the
// console and in the portal, changes a rule, and signs out.
func TestFormsWithoutScripts(t *testing.T) {
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
	b := browser.Start(t)
	for i, width := range []int{browser.Wide, browser.Narrow} {
		mine.broken.Store(true)
		lost := s.publish(fmt.Sprint("lost-", i), 3)
		s.until("it has failed", func() bool {
			return len(call[view.Page[view.Delivery]](s, http.MethodGet, "/v1/deliveries?state=dead&event="+lost, "").Data) == 1
		})
		mine.broken.Store(false)
		base := "http://" + s.started.Address
		p := b.Page(t, browser.Look{Width: width, NoScript: true})

		p.Open(base + "/console/t/default/deliveries")
		p.Fill("#token", s.started.Token)
		p.Follow("=Sign in")
		p.WaitText("h1", "Deliveries")
		p.Select("[name=state]", "dead")
		p.Follow("form[role=search] button")
		if n := p.Count("main tbody tr"); n != 1 {
			t.Errorf("%d deliveries are dead", n)
		}
		p.Follow("main tbody .when a")
		p.WaitText("h1", "Delivery to hook")
		p.Follow("=Try now")
		p.Wait(".note")
		s.until("it is taken", func() bool { return mine.taken.Load() == int64(i+1) })
		for p.Text("#now .tag") != "delivered" {
			p.Reload()
		}

		p.Open(base + "/console/t/default/new/webhook")
		p.Fill("[name=name]", fmt.Sprint("plain-", i))
		p.Fill("#text", "url: https://hooks.example.com/in\nevents: [response.completed]\n")
		p.Follow("=Save")
		p.WaitText("main", "whsec_")
		p.Open(base + "/console/t/default/rules/low/edit")
		p.Fill("#text", fmt.Sprintf("when: nps_score <= %d\nsend: [hook]\n", 7+i))
		p.Follow("=Save")
		p.WaitText("main", fmt.Sprint("nps_score <= ", 7+i))

		p.Open(s.portalLink("127.0.0.1", "{"+everything+"}"))
		p.WaitText("h1", "Webhooks")
		p.Follow("=New webhook")
		p.Fill("#url", fmt.Sprint("https://hooks.example.com/portal-", i))
		p.Follow("=Make webhook")
		p.WaitText("h1", "The webhook is made")
		p.WaitText(".once", "whsec_")

		p.Open(base + "/console/t/default/")
		p.Follow("=Sign out")
		p.WaitText("h1", "Sign in")
		p.CheckWithoutAxe()
	}
}

package web

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// plainWebhook is the document of a webhook of a tenant.
func plainWebhook(name string) config.Document {
	return config.Document{Name: "webhook/" + name, Spec: []byte(`{"url": "https://hook.example.com/in", "events": ["response.updated"], "signature": "none"}`)}
}

// TestPortalFiguresOfManyWebhooks: each page of the list has the figures of its own webhooks, however many other destinations there are.
func TestPortalFiguresOfManyWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := []config.Document{plainWebhook("zz")}
	var counts []state.Count
	for i := range 349 {
		all = append(all, plainWebhook(fmt.Sprintf("hook%03d", i)))
		counts = append(counts, attempts("acme", fmt.Sprintf("hook%03d", i), noon.Add(-time.Hour), 777))
	}
	for i := range 310 { // of connections
		counts = append(counts, attempts("acme", fmt.Sprintf("other%03d", i), noon.Add(-time.Hour), 1))
	}
	r.keep(t, "acme", all...)
	r.count(t, append(counts, attempts("acme", "zz", noon.Add(-time.Hour), 555))...)
	jo, _ := r.opened(t, allOfPortal)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	at := "/portal/webhooks"
	for n := range 7 {
		got := r.does(t, ask{path: at, header: jo}, 200)
		if n < 6 && strings.Count(got.body, ">777<") != 50 || n == 6 && (strings.Count(got.body, ">777<") != 49 || strings.Count(got.body, ">555<") != 1) || strings.Contains(got.body, ">–<") {
			t.Fatalf("page %d: %d with figures, %d without: %s", n, strings.Count(got.body, ">777<"), strings.Count(got.body, ">–<"), got.body)
		}
		if n < 6 {
			at = strings.ReplaceAll(next.FindStringSubmatch(got.body)[1], "&amp;", "&")
		}
	}
}

// TestPortalHeadOfAWebhook: every page of a webhook says the same of its state.
func TestPortalHeadOfAWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", plainWebhook("mine"))
	if err := r.store.Hold(t.Context(), "acme", "mine", state.Hold{Kind: state.HoldPaused, Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	jo, _ := r.opened(t, allOfPortal)
	for _, tab := range []string{"", "/settings", "/secrets", "/test"} {
		lacks(t, r.does(t, ask{path: "/portal/webhooks/mine" + tab, header: jo}, 200, "paused"), "</svg>active<")
	}
}

// TestPortalSearchesOn: a search that stops early leads on, and says how far back it got.
func TestPortalSearchesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range state.MaxListEntries/state.EventEntries + 10 {
		body := pollqr(fmt.Sprint("r", i), 3)
		r.does(t, ask{method: "POST", path: "/t/acme/in/branch", header: map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign("acme-"+pollqrSecret, body)}, body: body}, 200)
		r.decide(t, state.Delivered)
	}
	jo, _ := r.opened(t, allOfPortal)
	lacks(t, r.does(t, ask{path: "/portal/deliveries?type=response.updated", header: jo}, 200, "None so far", "Search on", "Searched back to", "type=response.updated&amp;cursor="), "No delivery is like that")
	r.does(t, ask{path: "/console/t/acme/deliveries?type=response.updated", header: r.visitor(t, acmeToken)}, 200, "None so far", "Search on")
}

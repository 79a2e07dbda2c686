package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// notMeasured are the addresses of the console and the portal that show no page of their own: they lead to another one, or give a file.
var notMeasured = []string{
	"/console/", "/console/*", "/console/t/:tenant/settings", "/console/t/:tenant/settings/export", "/portal/", "/portal/*", "/portal/logo", "/portal/deliveries/:id/event",
}

// consolePages are the pages of the console as they are asked for with a seed: by the path that they are mounted at, what follows it in
// each case. Where the path has a name, the case begins with what stands in its place, and a slash before the query.
//
// A page that is not here fails TestEveryPageIsMeasured.
func (s *seeded) consolePages() map[string][]string {
	source, rule, destination := sourceName(0), ruleName(0), destinationName(0)
	webhook := destinationName(s.destinations - 1)
	named := func(names ...string) []string { return names }
	pages := map[string][]string{
		"/": {""},
		"/deliveries": {
			"", "?state=waiting", "?state=dead", "?state=delivered", "?destination=" + destination, "?status=4xx", "?status=200", "?rule=" + rule, "?type=response.completed",
			"?since=1h", "?verdict=rejected", "?source=" + source, "?event=" + s.event, "?failed=true", "?state=dead&destination=" + destination + "&status=404",
			"?q=" + s.delivery, "?q=" + s.event, "?q=" + s.respondent, "?q=" + s.response, "?q=nobody@customer.example",
		},
		"/deliveries/replay":   {"?state=dead&destination=" + destination},
		"/deliveries/drop":     {"?state=dead&destination=" + destination},
		"/drops":               {""},
		"/drops/:id":           named(s.drop),
		"/drops/:id/cancel":    named(s.drop),
		"/deliveries/:id":      named(s.delivery, s.dead, s.waiting),
		"/deliveries/:id/drop": named(s.waiting),
		"/events": {
			"", "?dead=true", "?matched=false", "?matched=true", "?rule=" + rule, "?type=response.completed", "?source=" + source, "?survey=" + surveyName(0), "?since=1h",
			"?q=" + s.event, "?q=" + s.respondent, "?q=" + s.response,
		},
		"/events/:id":           named(s.event),
		"/events/:id/replay":    named(s.event),
		"/events/:id/normalise": named(s.event),
		"/events/:id/drop":      named(s.event),
		"/destinations": {
			"", "?q=00", "?sort=-name", "?sort=attempts", "?sort=-attempts", "?sort=success", "?sort=-p95", "?sort=-waiting", "?sort=-oldest", "?sort=-dead", "?sort=-failed",
		},
		"/destinations/:name":                    named(destination, destination+"?span=7d", destination+"?span=30d", webhook),
		"/destinations/:name/pause":              named(destination),
		"/destinations/:name/disable":            named(webhook),
		"/destinations/:name/test":               named(destination),
		"/destinations/:name/edit":               named(destination, webhook),
		"/destinations/:name/delete":             named(destination),
		"/destinations/:name/secrets/:id/delete": nil, // of a webhook in the store: below
		"/new/:kind":                             named("rule", "webhook", "connection", "source"),
		"/sources":                               {""},
		"/sources/:name":                         named(source, source+"?span=30d"),
		"/sources/:name/questions":               named(source + "?survey=" + surveyName(0)),
		"/sources/:name/suggestions":             named(source), // with ?look=yes, it asks the API for what takes up to a second
		"/sources/:name/test":                    named(source),
		"/sources/:name/rejected/:id":            named(source + "|" + s.rejected),
		"/sources/:name/captured/:id":            named(source + "|" + s.captured),
		"/sources/:name/edit":                    named(source),
		"/sources/:name/delete":                  named(source),
		"/rules":                                 {""},
		"/rules/:name":                           named(rule),
		"/rules/:name/edit":                      named(rule),
		"/rules/:name/delete":                    named(rule),
		"/rules/:name/disable":                   named(rule),
		"/surveys":                               {"", "?q=first"},
		"/surveys/:source/:survey":               named(source+"|"+surveyName(0), source+"|"+surveyName(0)+"?days=365"),
		"/replays":                               {""},
		"/replays/new":                           {"", "?destination=" + destination + "&state=dead&since=24h&count=1"},
		"/replays/:id":                           named(s.replay),
		"/replays/:id/cancel":                    named(s.replay),
		"/sample":                                {""},
		"/settings/tokens":                       {""},
		"/settings/tokens/:name":                 named("integration-000"),
		"/settings/audit":                        {"", "?by=token:platform-admin"},
		"/settings/erasures":                     {""},
		"/settings/erasures/:id":                 named(s.erasure),
		"/settings/links":                        {""},
		"/settings/links/:id/delete":             named(s.link),
		"/settings/transfer":                     {""},
		"/settings/gateway":                      {""},
		"/settings/tenant":                       {""},
		"/settings/tenant/delete":                {""},
	}
	return pages
}

// tenantPages are those that are asked for one of many tenants too, in the same form.
var tenantPages = map[string][]string{
	"/": {""}, "/deliveries": {""}, "/events": {""}, "/destinations": {"", "?sort=-failed"}, "/destinations/:name": {"hook-00"}, "/destinations/:name/edit": {"hook-00"}, "/sources": {""}, "/rules": {""},
	"/surveys": {""}, "/settings/tokens": {""}, "/settings/audit": {""}, "/settings/links": {""}, "/settings/erasures": {""}, "/settings/tenant": {""}, "/settings/gateway": {""}, "/settings/transfer": {""},
}

// portalPages are those of the portal, in the same form, of the tenant default and with every capability.
func (s *seeded) portalPages() map[string][]string {
	hook, rule := destinationName(s.destinations-1), ruleName(0)
	return map[string][]string{
		"/webhooks": {""}, "/webhooks/:name": {hook, s.ownWebhook}, "/webhooks/:name/settings": {s.ownWebhook}, "/webhooks/:name/secrets": {s.ownWebhook},
		"/webhooks/:name/test": {s.ownWebhook}, "/webhooks/:name/recover": {hook},
		"/deliveries":     {"", "?state=dead", "?destination=" + hook, "?status=4xx", "?type=response.completed"},
		"/deliveries/:id": {s.delivery, s.dead, s.waiting},
		"/event-types":    {""}, "/event-types/verify": {""}, "/event-types/:type": {"response.completed"},
		"/new/webhook": {""}, "/new/connection": {""}, "/new/rule": {""}, "/connections": {""}, "/connections/:name": {destinationName(0)},
		"/rules": {""}, "/rules/:name": {rule},
	}
}

// addressed is a page with the path that it is mounted at, and the headers of who visits it.
type addressed struct {
	mounted, path string
	visitor       map[string]string
}

// addresses are the addresses of all pages: of the console as an operator visits them who sees everything, and of the portal.
func (s *seeded) addresses(t testing.TB) (all []addressed) {
	t.Helper()
	operator := s.visitor(t, operatorToken)
	add := func(begin, mounted string, visitor map[string]string, pages map[string][]string) {
		for _, path := range slices.Sorted(maps.Keys(pages)) {
			for _, of := range pages[path] {
				names, query, asked := strings.Cut(of, "?")
				filled := path
				for name := range strings.SplitSeq(names, "|") {
					if before, after, ok := strings.Cut(filled, ":"); ok {
						_, rest, more := strings.Cut(after, "/")
						if filled = before + url.PathEscape(name); more {
							filled += "/" + rest
						}
					}
				}
				if asked {
					filled += "?" + query
				}
				all = append(all, addressed{mounted + path, begin + filled, visitor})
			}
		}
	}
	const tenantPath = "/console/t/:tenant"
	add("/console/t/default", tenantPath, operator, s.consolePages())
	add("/console/t/"+tenantName(s.tenants/2), tenantPath, operator, tenantPages)
	add("/console/t/default/destinations", tenantPath+"/destinations", operator, map[string][]string{"/:name/secrets/:id/delete": {s.ownWebhook + "|" + s.secret}})
	add("/portal", "/portal", s.customer(t), s.portalPages())
	for _, query := range []string{"", "?q=customer-00", "?q=number 7"} {
		all = append(all, addressed{"/console/tenants", "/console/tenants" + strings.ReplaceAll(query, " ", "+"), operator})
	}
	return all
}

// customer opens a portal link of the tenant default, and returns the headers of who visits.
func (s *seeded) customer(t testing.TB) map[string]string {
	t.Helper()
	made := decoded[view.MadePortalLink](t, s.does(t, ask{method: "POST", path: "/v1/tenants/default/portal-links", token: operatorToken, body: allOfPortal}, 201))
	_, key, _ := strings.Cut(made.URL, "?k=")
	return withCookie(cookieOf(t, s.does(t, ask{path: "/portal/open?k=" + key}, 303)), "Sec-Fetch-Site", "same-origin")
}

// shown is a page as a browser gets it.
type shown struct {
	took              time.Duration
	html, transferred int
}

// show asks for a page as a browser does. The time is until its last byte, without what unpacks it.
func (s *seeded) show(t testing.TB, page addressed, unpack bool) (p shown) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway"+page.path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range page.visitor {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	began := time.Now()
	res, err := s.tcp.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	p.took = time.Since(began)
	if err = firstError(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	p.transferred, p.html = len(body), len(body)
	if unpack || res.StatusCode != http.StatusOK {
		if res.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unpacked); err != nil {
				t.Fatal(err)
			}
			p.html = len(body)
		}
		if bytes.Count(body, []byte(`<h1 tabindex="-1"`)) != 1 {
			t.Errorf("%s has not one heading that takes the focus", page.path)
		}
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%s: %d %s", page.path, res.StatusCode, body)
	}
	return p
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestEveryPageIsMeasured: each page of the console and the portal that is mounted is among those whose speed and size are measured.
func TestEveryPageIsMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{path: "/console/login"}, 200) // a server that was never asked anything may be stopped before it serves
	s := &seeded{rig: r, size: small, ownWebhook: "own", secret: "s1"}
	measured := map[string]bool{}
	for _, each := range s.addresses(t) {
		measured[each.mounted] = true
	}
	for _, each := range pageRoutes(r) {
		if each.method != http.MethodGet || slices.Contains(notMeasured, each.path) {
			continue
		}
		if !measured[each.path] {
			t.Errorf("%s is mounted, and not among the pages that are measured (consolePages, portalPages)", each.path)
		}
		delete(measured, each.path)
	}
	for path := range measured {
		t.Errorf("%s is measured, and not mounted", path)
	}
}

// maxHTML and maxTransferred bound a page: what a browser has to read, and what it has to wait for.
const (
	maxHTML        = 60 << 10
	maxTransferred = 12 << 10
)

// TestPagesAreSmall: no page is larger than a phone on a slow line can take, however much there is to list.
func TestPagesAreSmall(t *testing.T) {
	t.Parallel()
	s := newRig(t).seed(t, small)
	var requests sparse
	for _, each := range s.addresses(t) {
		if requests.leavesOut() {
			continue
		}
		p := s.show(t, each, true)
		if p.html > maxHTML || p.transferred > maxTransferred {
			t.Errorf("%s has %d bytes, packed %d; at most %d and %d", each.path, p.html, p.transferred, maxHTML, maxTransferred)
		}
		t.Logf("%7d %7d %s", p.html, p.transferred, each.path)
	}
}

// cpuTime is how long this process has been running on a processor.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPages asks for each page of the console and the portal with a large seed, over each engine. p50-ms and
// p95-ms are the time until a client in the same process has the whole page; cpu-ms is the processor's time for one, of client and server,
// which depends less on what else the machine does. The bounds on a machine that does nothing else are 50 ms
// over the embedded engine and 80 ms over Redis at p95.
func BenchmarkPages(b *testing.B) {
	seedSize := large
	if testing.Short() {
		seedSize = small
	}
	for _, engine := range []string{"embedded", "redis"} {
		b.Run(engine, func(b *testing.B) {
			s := engines[engine](b).seed(b, seedSize)
			for _, each := range s.addresses(b) {
				b.Run(strings.TrimPrefix(each.path, "/console"), func(b *testing.B) {
					p := s.show(b, each, true)
					var took []time.Duration
					before := cpuTime(b)
					for b.Loop() {
						took = append(took, s.show(b, each, false).took)
					}
					b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1e3/float64(len(took)), "cpu-ms")
					slices.Sort(took)
					b.ReportMetric(float64(p.html), "html-B")
					b.ReportMetric(float64(p.transferred), "gzip-B")
					for _, percent := range []int{50, 95} {
						b.ReportMetric(float64(took[(len(took)-1)*percent/100])/1e6, fmt.Sprintf("p%d-ms", percent))
					}
				})
			}
		})
	}
}

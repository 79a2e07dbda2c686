//go:build !race

// The race detector looks at the pages of TestPortalStory: those of this file are shown by the same goroutines.

package run

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// hostile is what a stranger might write where a text is expected: it ends attributes and elements of HTML, runs a script, asks by htmx,
// names a script as an address, is a template, turns the direction of writing round, and has characters of no width.
const hostile = `'"></p></td></textarea></script><img data-evil src=/evil onerror="alert(1)"><script data-evil>alert(2)</script>` +
	`<b data-evil hx-get="/evil" hx-trigger="load" style="position:fixed" onclick='alert(3)'>javascript:alert(4) {{7*7}} {{.}} ${7*7}` +
	"\u202egnp.exe\u202c\u200b\u200d\ufeff\u2028&lt;&#60;"

// short is what is hostile in a name of bounded length.
const short = `"><script data-evil>alert(1)</script>` + "\u202egnp\u202c"

// from is hostile text that says where it was written.
func from(place string) string { return "from-" + place + " " + hostile }

// brief is from where a text is bounded.
func brief(place string) string { return "from-" + place + " " + short }

// long is a word that has no place to be broken.
var long = strings.Repeat("W", 10_000)

// asJSON is a value in JSON, which is YAML too, with as little escaped as JSON allows.
func asJSON(v any) string {
	var text strings.Builder
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	if err := to.Encode(v); err != nil {
		panic(err) // the values of this file are JSON
	}
	return strings.ReplaceAll(strings.TrimSpace(text.String()), `\u2028`, "\u2028")
}

// hostileEvent is an event whose every text is what text makes for a place.
func hostileEvent(id string, text func(place string) string) map[string]any {
	return map[string]any{
		"type": "response.completed", "id": id,
		"account": map[string]any{"id": text("account")},
		"survey":  map[string]any{"id": text("survey-id"), "title": text("title"), "type": text("survey-type"), "version": text("version")},
		"response": map[string]any{
			"id": text("response"), "score": map[string]any{"nps": 0}, "feedback": text("feedback"), "permalink": "javascript:alert('permalink')",
			"review_state": text("review"), "result": map[string]any{text("result-name"): text("result")},
			"answers": []any{
				map[string]any{
					"question_id": text("question-id"), "question": text("question"), "type": text("answer-type"),
					"value": text("answer"), "comment": text("comment"),
				},
				map[string]any{"question_id": "several", "question": "several", "value": []string{text("first"), text("second")}},
				map[string]any{"question_id": "parts", "question": "parts", "value": map[string]any{text("part-name"): text("part")}},
			},
		},
		"respondent": map[string]any{
			"id": text("respondent"), "external_id": text("external"), "email": text("email"), "name": text("name"), "first_name": text("first-name"),
			"last_name": text("last-name"), "phone": text("phone"), "params": map[string]any{text("parameter-name"): text("parameter")},
		},
		"context": map[string]any{
			"user_agent": text("agent"), "page_url": "javascript:alert('page')", "channel": text("channel"),
			"language": text("language"), "country": text("country"), "collector_id": text("collector"),
		},
	}
}

// send makes a request as a platform or a stranger would, and returns the status.
func (s *site) send(path string, header map[string]string, body string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.started.Address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode
}

// abuser is a receiver whose answers are hostile: their bodies, and the values of their headers.
func abuser(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	body := "a\x00b\xff\xfe\xc3( " + from("bytes")
	if r.URL.Path != "/bytes" {
		body = from("body") + "\n" + long
		w.Header().Set("X-Long", long[:1000])
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Hostile", from("header"))
	w.Header().Set("Location", "javascript:alert('location')")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, body)
}

// hostileConfig takes the secret of a source, the title of a webhook, two addresses of receivers, a question and a condition.
const hostileConfig = `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
sources:
  forms: {profile: pollqr, secrets: [%[1]s], capture: 1h, roles: {%[5]s: feedback}}
webhooks:
  - {name: hook, title: %[2]s, url: %[3]q, secrets: ["${HOOK_SECRET}"], capture: all}
  - {name: bytes, url: %[4]q, secrets: ["${HOOK_SECRET}"], capture: all}
rules:
  - name: low
    when: %[6]s
    send: [hook, bytes]
`

// TestHostileText: what strangers write is text on every page of the console and the portal that shows it. Nothing of it becomes an
// element or the address of a link, runs, or asks for anything; and a word of 10,000 letters makes no page wider than a phone.
func TestHostileText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hook := httptest.NewServer(http.HandlerFunc(abuser))
	t.Cleanup(hook.Close)
	const secret = "0123456789abcdef0123456789abcdef"
	s.writeText(fmt.Sprintf(hostileConfig, secret, asJSON(brief("webhook")), hook.URL, hook.URL+"/bytes", asJSON(short),
		asJSON(`nps_score <= 6 or feedback == "<script data-evil>alert(1)</script>`+"\u202e"+`" or survey.title == "`+long[:500]+`"`)))
	s.start()
	p := hostileSite(t, s, secret)
	base, _, _ := strings.Cut(p.console, "/console/")

	b := browser.Start(t)
	tab := b.Page(t, browser.Look{Width: browser.Narrow})
	shown := map[string]bool{}
	look := func(address string) {
		t.Helper()
		tab.Open(address)
		tab.WaitFor(`!document.querySelector(".htmx-request")`) // what a page adds to itself is looked at too
		tab.CheckWithoutAxe(allowed(tab.Status())...)
		lookForHarm(t, tab, shown)
	}
	tab.Open(p.console)
	tab.WaitText("h1", "Overview")
	console := tab.Crawl(base, p.pages, kindsWith(p.pages), look)
	tab.Open(p.portal)
	tab.WaitText("h1", "Webhooks")
	portal := tab.Crawl(base, p.portalPages, kindsWith(p.portalPages), look)
	t.Logf("%d pages of the console and %d of the portal: %v %v", len(console), len(portal), console, portal)

	for _, question := range tab.Dialogs() {
		t.Errorf("a text ran, and asked %q", question)
	}
	ours := []string{base + "/console/", base + "/portal/", base + "/v1/live", "data:,"}
	for _, request := range tab.Requests() {
		page := slices.ContainsFunc(ours, func(at string) bool { return strings.HasPrefix(request, "GET "+at) })
		try := strings.HasPrefix(request, "POST "+base+"/console/t/default/") && strings.Contains(request, "?part=") // of the editor
		if !page && !try {
			t.Errorf("a text asked: %s", request)
		}
	}
	for _, place := range p.places {
		if !shown[place] {
			t.Errorf("no page shows what was written as %s", place)
		}
	}
}

// places are where a visitor of the hostile site can begin, and what its pages have to show.
type places struct {
	console, portal    string // links that sign in
	pages, portalPages []string
	places             []string
}

// hostileSite fills a gateway with hostile text, wherever a stranger or a customer can write it.
func hostileSite(t *testing.T, s *site, secret string) places {
	t.Helper()
	publish := func(source, body string) string {
		t.Helper()
		got, err := s.client.Publish(t.Context(), source, []byte(body))
		if err != nil || len(got) != 1 || got[0].ID == "" {
			t.Fatal(got, err)
		}
		return got[0].ID
	}
	var p places
	written := func(place string) string {
		p.places = append(p.places, place)
		return from(place)
	}
	events := []string{
		publish("", asJSON(hostileEvent("evil", from))),
		publish("", asJSON(hostileEvent("long", func(place string) string { return long }))),
		publish("", asJSON(map[string]any{"type": "response.completed", "id": written("event-id"), "nps_score": 0})),
		// Half a character, and one that ends strings of C.
		publish("", `{"type": "response.completed", "id": "bytes", "nps_score": 0,
			"feedback": "a\u0000b`+"\xff\xc3("+`<b data-evil>", "survey": {"id": "\u0000", "title": "`+"\xff"+`<b data-evil>"}}`),
	}
	p.places = append(p.places, "title", "survey-id", "survey-type", "response", "feedback", "question", "question-id", "answer", "comment", "first",
		"part-name", "part",
		"external", "email", "name", "phone", "parameter", "agent", "channel", "country", "body", "header", "bytes")

	// What a platform sends, with its signature and without one.
	form := asJSON(map[string]any{
		"event": "response.created", "survey_id": from("form"), "response_id": "r1", "timestamp": "2026-11-30T00:00:00Z",
		"survey":   map[string]any{"title": from("form-title")},
		"response": map[string]any{"answers": map[string]any{written("form-question"): written("form-answer")}},
	})
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(form))
	header := map[string]string{
		"Content-Type": "application/json", "User-Agent": written("user-agent"), "X-Hostile": written("request-header"), "X-Long": long[:4000],
	}
	header["X-PollQR-Signature"] = hex.EncodeToString(mac.Sum(nil))
	if status := s.send("/in/forms?"+url.QueryEscape(hostile)+"="+url.QueryEscape(hostile), header, form); status != http.StatusOK {
		t.Errorf("what the platform signed is answered %d", status)
	}
	header["X-PollQR-Signature"] = from("signature")
	for _, body := range []string{written("rejected-body"), "\x00\xff" + hostile, long} {
		if status := s.send("/in/forms", header, body); status != http.StatusUnauthorized {
			t.Errorf("a forged request is answered %d", status)
		}
	}

	// What a customer and a colleague write.
	call[view.Tenant](s, http.MethodPut, "/v1/tenants/default", asJSON(map[string]any{
		"title": brief("tenant"), "metadata": map[string]string{"plan": short},
	}))
	call[view.Webhook](s, http.MethodPut, "/v1/webhooks/evil", asJSON(map[string]any{
		"url": "https://hooks.example.com/?" + url.QueryEscape(hostile), "title": brief("document"),
		"events": []string{"response.completed"}, "headers": map[string]string{"X-Hostile": short},
	}))
	if _, err := s.client.Pause(t.Context(), "evil", brief("reason")); err != nil {
		t.Fatal(err)
	}
	p.places = append(p.places, "document", "reason", "tenant", "portal", "actor")
	s.until("all have failed", func() bool {
		d := call[view.Page[view.Destination]](s, http.MethodGet, "/v1/destinations?include=standing", "")
		dead := map[string]int{}
		for _, one := range d.Data {
			if one.Standing != nil {
				dead[one.Name] = int(one.Standing.Dead)
			}
		}
		return dead["hook"] >= len(events) && dead["bytes"] >= len(events)
	})
	events = append(events, call[view.Page[view.Event]](s, http.MethodGet, "/v1/events?source=forms", "").Data[0].ID)
	job := call[view.Job](s, http.MethodPost, "/v1/replays", asJSON(map[string]any{
		"of": map[string]any{"destination": "evil"}, "as": "same", "reason": written("replay-reason"),
	}))

	const tenant = "/console/t/default"
	for _, id := range events {
		p.pages = append(p.pages, tenant+"/events/"+id)
	}
	for _, of := range []string{"destination=hook&event=" + events[0], "destination=hook&event=" + events[1], "destination=bytes&event=" + events[0]} {
		d := call[view.Page[view.Delivery]](s, http.MethodGet, "/v1/deliveries?"+of, "").Data[0]
		p.pages = append(p.pages, tenant+"/deliveries/"+d.ID)
		p.portalPages = append(p.portalPages, "/portal/deliveries/"+d.ID)
	}
	for _, list := range []string{"rejected", "captured"} {
		for _, r := range call[view.Page[view.Request]](s, http.MethodGet, "/v1/sources/forms/"+list, "").Data {
			p.pages = append(p.pages, tenant+"/sources/forms/"+list+"/"+r.RequestID)
		}
	}
	p.pages = append(p.pages, tenant+"/replays/"+job.ID, tenant+"/new/rule?event="+events[0],
		tenant+"/surveys/api/"+url.PathEscape(from("survey-id")), tenant+"/rules/low/edit")
	// What a link leads to that a stranger has made: hostile names, searches and filters.
	text := url.QueryEscape(from("address"))
	for _, path := range []string{
		"/deliveries?q=", "/deliveries?destination=", "/deliveries?status=", "/deliveries?cursor=", "/deliveries/replay?destination=", "/events?q=",
		"/events?type=", "/events?respondent=", "/destinations?q=", "/destinations?sort=", "/surveys?q=", "/replays/new?destination=",
		"/settings/audit?of=", "/settings/audit?by=", "/events/", "/deliveries/", "/destinations/", "/sources/", "/rules/",
		"/surveys/api/", "/replays/", "/new/", "/settings/tokens/", "/nowhere/",
	} {
		if strings.HasSuffix(path, "/") {
			p.pages = append(p.pages, tenant+path+url.PathEscape(from("address")))
		} else {
			p.pages = append(p.pages, tenant+path+text)
		}
	}
	p.pages = append(p.pages, tenant+"/", "/console/t/"+url.PathEscape(short)+"/")
	for _, path := range []string{"/deliveries?webhook=", "/deliveries?cursor="} {
		p.portalPages = append(p.portalPages, "/portal"+path+text)
	}
	for _, path := range []string{"/webhooks/", "/deliveries/", "/event-types/", "/rules/", "/connections/", "/nowhere/"} {
		p.portalPages = append(p.portalPages, "/portal"+path+url.PathEscape(from("address")))
	}
	p.portalPages = append(p.portalPages, "/portal/webhooks")

	p.console = call[view.LoginLink](s, http.MethodPost, "/v1/login-links", "{}").URL
	p.portal = s.portalLink("127.0.0.1", asJSON(map[string]any{
		"capabilities": []string{"webhooks", "deliveries", "replay", "bodies", "connections", "rules"}, "name": brief("portal"), "actor": brief("actor"),
	}))
	return p
}

// kindOfPage tells pages apart by their path, with one mark in place of all ids.
func kindOfPage(address string) string {
	path, _, _ := strings.Cut(address, "?")
	ours := strings.HasPrefix(path, "/console/t/") || strings.HasPrefix(path, "/portal/")
	if !ours || strings.HasSuffix(path, "/export") || strings.HasSuffix(path, "/raw") || strings.HasSuffix(path, "/event") {
		return ""
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.ContainsFunc(part, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// allowed is what a page has to say in the browser's console for its status.
func allowed(status int) []string {
	if status < http.StatusBadRequest {
		return nil
	}
	return []string{fmt.Sprintf("the server responded with a status of %d", status)}
}

// harm looks for what hostile text has done to a page, and for the texts that it shows.
const harm = `({
	Elements: [...document.querySelectorAll("[data-evil], [onclick], [onerror], [onload], [style], [srcdoc]")].map(e => e.outerHTML.slice(0, 200)),
	Addresses: ["href", "src", "action", "formaction", "hx-get", "hx-post"].flatMap(name => [...document.querySelectorAll("[" + name + "]")].map(e => e.getAttribute(name)))
		.filter(a => !["http:", "https:"].includes(new URL(a, location.href).protocol) && !a.startsWith("data:,") && !a.startsWith("data:image/")),
	Text: [document.title, document.body.textContent, ...[...document.querySelectorAll("input, textarea")].map(e => e.value)].join("\n"),
})`

func lookForHarm(t *testing.T, p *browser.Page, shown map[string]bool) {
	t.Helper()
	found := browser.Ask[struct {
		Elements, Addresses []string
		Text                string
	}](p, harm)
	for _, element := range found.Elements {
		t.Errorf("%s: a text became an element: %s", p.URL(), element)
	}
	for _, address := range found.Addresses {
		t.Errorf("%s: a text became an address: %s", p.URL(), address)
	}
	for part := range strings.SplitSeq(found.Text, "from-") {
		place, text, _ := strings.Cut(part, " ")
		for _, whole := range []string{hostile, short, strings.Trim(asJSON(hostile), `"`)} {
			shown[place] = shown[place] || strings.HasPrefix(text, whole)
		}
	}
}

// kindsWith is kindOfPage where each of the addresses is a kind of its own.
func kindsWith(addresses []string) func(string) string {
	return func(address string) string {
		if slices.Contains(addresses, address) {
			return address
		}
		return kindOfPage(address)
	}
}

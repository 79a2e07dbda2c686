package web

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// rowsOf are the names that the rows of a list lead to, in their order.
func rowsOf(got told, part string) string {
	var names []string
	for _, match := range regexp.MustCompile(`<tr data-row><td[^>]*><a href="[^"]*/`+part+`/([^"/]+)"`).FindAllStringSubmatch(got.body, -1) {
		names = append(names, match[1])
	}
	return strings.Join(names, " ")
}

func TestDestinationsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	const list = "/console/t/default/destinations"
	r.decideOne(t, "r1", 3, dead)
	r.accept(t, pollqr("waits", 3))
	r.decide(t, state.Waiting)
	r.count(t, attempts("default", "alarms", noon.Add(-time.Hour), 1233), attempts("default", "warehouse", noon.Add(-time.Hour), 2))
	if err := r.store.Hold(t.Context(), "default", "warehouse", state.Hold{Kind: state.HoldPaused, Reason: hostile, Since: noon.Add(-time.Hour)}, nil); err != nil {
		t.Fatal(err)
	}
	got := r.does(t, ask{path: list, header: who}, 200, "1,234", "99.9 %", "paused", "disabled", "<svg", `aria-sort="ascending"`, "hx-get")
	noMarkup(t, got)
	lacks(t, got, "/new/webhook", "crm")
	for query, want := range map[string]string{
		"": "alarms relay signed warehouse", "?sort=-name": "warehouse signed relay alarms", "?sort=-attempts": "alarms warehouse relay signed", "?sort=success": "warehouse alarms relay signed",
		"?q=SLACK": "alarms", "?q=zzz": "",
	} {
		if rows := rowsOf(r.does(t, ask{path: list + query, header: who}, 200), "destinations"); rows != want {
			t.Errorf("%s: %s, want %s", query, rows, want)
		}
	}
	got = r.does(t, ask{path: list + "?sort=-dead&q=a", header: who}, 200, `aria-sort="descending"`, `href="/console/t/default/destinations?q=a&amp;sort=dead"`, `<option value="-dead" selected>`)
	lacks(t, got, "hx-get=\"/console/t/default/destinations") // rows must not move under the hand
	r.does(t, ask{path: list + "?q=" + url.QueryEscape(hostile), header: who}, 200, "No destination is like that.", "&lt;img src=x")
	r.does(t, ask{path: list + "?sort=height", header: who}, 422)
	lacks(t, r.does(t, ask{path: list + "?part=rows", header: who}, 200), "<html")
	r.does(t, ask{path: list, header: r.visitor(t, publishToken)}, 403)
	r.does(t, ask{path: "/console/t/acme/destinations", header: r.visitor(t, acmeToken)}, 200, "crm", "/new/webhook")
}

// The list has 50 rows a page, and the next page goes on in the same order.
func TestManyDestinations(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all []config.Document
	for i := range 60 {
		all = append(all, config.Document{Name: fmt.Sprintf("webhook/hook%02d", i), Spec: []byte(`{"url": "https://hook.example.com/in", "events": ["response.updated"]}`)})
	}
	r.keep(t, "acme", all...)
	who := r.visitor(t, acmeToken)
	for _, sort := range []string{"", "?sort=-waiting"} {
		first := r.does(t, ask{path: "/console/t/acme/destinations" + sort, header: who}, 200)
		next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(first.body)
		if next == nil {
			t.Fatalf("there is no next page: %s", first.body)
		}
		second := r.does(t, ask{path: strings.ReplaceAll(next[1], "&amp;", "&"), header: who}, 200)
		if rows := strings.Fields(rowsOf(first, "destinations") + " " + rowsOf(second, "destinations")); len(rows) != 61 || len(strings.Fields(rowsOf(first, "destinations"))) != 50 {
			t.Errorf("%q: %d rows: %s", sort, len(rows), rows)
		}
		lacks(t, second, `rel="next"`)
	}
}

func TestDestinationPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, reader := r.visitor(t, everyToken), r.visitor(t, readToken)
	const one = "/console/t/default/destinations/alarms"
	for i := range 3 {
		r.decideOne(t, fmt.Sprint("r", i), 3, func(d *state.Delivery) { dead(d); d.Reason = hostile })
	}
	r.accept(t, pollqr("waits", 3))
	r.decide(t, state.Waiting)
	r.count(t, attempts("default", "alarms", noon.Add(-time.Hour), 30))
	got := r.does(t, ask{path: one, header: who}, 200, "30", "96.8 %", "detractor", "promoter", "3 deliveries", "dead from 16 Jan", "Attempts", "Response time", "show as table",
		`action="/console/t/default/replays/new"`, "surveygate.yaml:", "/pause", "/check", "/test")
	noMarkup(t, got)
	lacks(t, got, "/delete", `>Edit<`, "abcdefghijkl")
	if n := strings.Count(got.body, `<h1 tabindex="-1"`); n != 1 {
		t.Errorf("%d headings", n)
	}
	lacks(t, r.does(t, ask{path: one, header: reader}, 200), "/pause", "/check", "Count them")
	for _, span := range []string{"7d", "30d", "nonsense"} {
		r.does(t, ask{path: one + "?span=" + span, header: who}, 200, "<figure")
	}
	lacks(t, r.does(t, ask{path: one + "?part=now", header: who}, 200, `id="now"`), "<html")
	r.does(t, ask{path: "/console/t/default/destinations/crm", header: who}, 404)
	r.does(t, ask{path: "/console/t/default/destinations/warehouse", header: who}, 200, "https://hook.example.com/in", "response.updated", "nps_score &lt;= 8", "The configuration has its secrets.")

	lacks(t, r.does(t, ask{path: "/console/t/default/destinations/signed", header: who}, 200, "it gets nothing until a rule names it"), "every event")

	// A pause says first what it means, and keeps what was typed where it is refused.
	r.does(t, ask{path: one + "/pause", header: who}, 200, "1 delivery waits", "becomes a dead letter from")
	long := url.QueryEscape(strings.Repeat("x", 201))
	r.does(t, ask{method: "POST", path: one + "/pause", header: who, body: "reason=" + long}, 422, "at most 200 bytes", `value="`+strings.Repeat("x", 201)+`"`)
	r.does(t, ask{method: "POST", path: one + "/pause", header: reader, body: "reason=x"}, 403)
	if note := noteOf(t, r.does(t, ask{method: "POST", path: one + "/pause", header: who, body: "reason=moving"}, 303)); note != "alarms is paused: its deliveries wait until it is resumed." {
		t.Error(note)
	}
	lacks(t, r.does(t, ask{path: one, header: who}, 200, "moving", ">Resume<", "1 delivery waits"), "/pause")
	if err := r.store.Hold(t.Context(), "default", "warehouse", state.Hold{Kind: state.HoldRevoked, Reason: "401 Unauthorized", Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	lacks(t, r.does(t, ask{path: "/console/t/default/destinations/warehouse", header: who}, 200, "401 Unauthorized", "surveygate.yaml"), "the tenant&#39;s document")

	// A test of what is paused waits, and its page says so.
	to := r.does(t, ask{method: "POST", path: one + "/test", header: who, body: "email=jo@example.com"}, 303).header.Get("Location")
	r.does(t, ask{path: to, header: who}, 200, "The test is on its way.", `value="jo@example.com"`)
	r.decide(t, state.Waiting)
	r.does(t, ask{path: to, header: who}, 200, "503 Service Unavailable", "attempt 1", "moving")
	r.does(t, ask{method: "POST", path: one + "/test", header: who, body: "type=nonsense&event="}, 422, "nonsense")
	r.does(t, ask{method: "POST", path: one + "/test", header: who, body: "event=" + strings.Repeat("0", 32)}, 404, `value="`+strings.Repeat("0", 32)+`"`)
	r.does(t, ask{path: one + "/test", header: reader}, 200, "lacks the scope")

	if note := noteOf(t, r.does(t, ask{method: "POST", path: one + "/resume", header: who}, 303)); note != "alarms is resumed: what waits for it is due now." {
		t.Error(note)
	}
	r.does(t, ask{method: "POST", path: "/console/t/default/destinations/nothing/resume", header: who}, 404)
}

// The test of a destination shows the request and the answer of its attempt.
func TestPageOfATest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.decideOne(t, "r1", 3, dead)
	noMarkup(t, r.does(t, ask{path: "/console/t/default/destinations/alarms/test?delivery=" + id, header: r.visitor(t, everyToken)}, 200, "404 Not Found", "12345678901234567890", "X-Api-Key: [secret]", "&lt;img src=x"))
	lacks(t, r.does(t, ask{path: "/console/t/acme/destinations/crm/test?delivery=" + id, header: r.visitor(t, acmeToken)}, 200, "on its way"), "404 Not Found")
}

// A webhook that the tenant made has secrets, which are shown once, and can be switched off and on.
func TestWebhookPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, reader := r.visitor(t, settingsToken), r.visitor(t, readToken)
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/mine", token: settingsToken, body: `{"url": "https://hook.example.com/mine", "events": ["response.completed"]}`}, 201)
	r.await(func(p *decide.Plan) bool { return p.Destination("default", "mine") != nil })
	const one = "/console/t/default/destinations/mine"
	got := r.does(t, ask{path: one, header: who}, 200, "https://hook.example.com/mine", "response.completed", one+"/edit", one+"/delete", one+"/disable", "Make another secret")
	lacks(t, r.does(t, ask{path: one, header: reader}, 200), one+"/edit", one+"/delete", one+"/disable", "Make another secret")
	ends := regexp.MustCompile(one + `/secrets/[^/"]+/delete`)
	if n := len(ends.FindAllString(got.body, -1)); n != 1 {
		t.Fatalf("%d secrets: %s", n, got.body)
	}
	r.does(t, ask{method: "POST", path: one + "/secrets", header: who, body: "overlap=soon"}, 422, `value="soon"`, "from 0s to 720h")
	got = r.does(t, ask{method: "POST", path: one + "/secrets", header: who, body: "overlap=2h"}, 200, "shown this once", "whsec_")
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=&#;]{20,}`).FindString(got.body)
	if all := ends.FindAllString(got.body, -1); len(all) != 2 || secret == "" {
		t.Fatalf("%q, %q", secret, all)
	}
	got = r.does(t, ask{path: one, header: who}, 200)
	lacks(t, got, secret)
	end := ends.FindString(got.body)
	r.does(t, ask{path: end, header: who}, 200, "refuses every request")
	r.does(t, ask{method: "POST", path: end, header: reader}, 403)
	r.does(t, ask{method: "POST", path: end, header: who}, 303)
	left := ends.FindString(r.does(t, ask{path: one, header: who}, 200).body)
	if left == "" || left == end {
		t.Errorf("what is left after %s: %s", end, left)
	}
	r.does(t, ask{method: "POST", path: left, header: who}, 409, "refuses every request")
	r.does(t, ask{path: one + "/secrets/nothing/delete", header: who}, 404)

	r.does(t, ask{path: one + "/disable", header: who}, 200, "Nothing waits.")
	r.does(t, ask{method: "POST", path: one + "/disable", header: who}, 303)
	r.await(func(p *decide.Plan) bool { return !p.Destination("default", "mine").Enabled })
	r.does(t, ask{path: one, header: who}, 200, "disabled", one+"/enable")
	r.does(t, ask{method: "POST", path: one + "/enable", header: who}, 303)
	r.does(t, ask{method: "POST", path: "/console/t/default/destinations/warehouse/disable", header: who}, 403)
}

func TestSourcesPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	hour := func(n int) time.Time { return noon.Add(time.Duration(-n) * time.Hour) }
	counts := []state.Count{countOf(state.SourceStats, "default", "poltio", hour(1), state.EventsAccepted, 1234, int64(state.RequestsRefused+int(state.RefusedSignature)), 31)}
	for n := range 20 {
		counts = append(counts, countOf(state.SourceStats, "default", "pollqr", hour(30+n), state.EventsAccepted, 6))
	}
	r.count(t, counts...)
	const list = "/console/t/default/sources"
	got := r.does(t, ask{path: list, header: who}, 200, "1,234", "31", "silent", "usually every 10 min", "unverified", "disabled", "<svg")
	lacks(t, got, "branch", pathToken, pollqrSecret, "/new/source")
	if rows := rowsOf(got, "sources"); rows != "anyone off pollqr poltio" {
		t.Error(rows)
	}
	lacks(t, r.does(t, ask{path: list + "?part=rows", header: who}, 200), "<html")
	r.does(t, ask{path: list, header: r.visitor(t, publishToken)}, 403)
	r.does(t, ask{path: "/console/t/acme/sources", header: r.visitor(t, acmeToken)}, 200, "branch", "/new/source")
}

func TestSourcePage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, reader := r.visitor(t, adminToken), r.visitor(t, readToken)
	const one = "/console/t/default/sources/pollqr"
	r.does(t, ask{path: one, header: who}, 200, "http://gateway/in/pollqr", "X-PollQR-Signature", "No request was rejected in the last day.", "No request is captured.", "1 secret is set", "<figure")
	r.does(t, ask{path: "/console/t/default/sources/branch", header: who}, 404)

	// The path token is shown to those who may see secrets, when they ask.
	const poltio = "/console/t/default/sources/poltio"
	lacks(t, r.does(t, ask{path: poltio, header: who}, 200, "[secret]", "Show the whole address"), pathToken)
	r.does(t, ask{path: poltio + "?show=token", header: who}, 200, "http://gateway/in/poltio/"+pathToken)
	lacks(t, r.does(t, ask{path: poltio + "?show=token", header: reader}, 200), pathToken, "Show the whole address")

	// A request that is refused is shown with what was hashed and what was given, and never with the right signature.
	body := `{"event":"response.created","note":"` + strings.ReplaceAll(hostile, `"`, `\"`) + `"}`
	r.ask(t, ask{method: "POST", path: "/in/pollqr", header: map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": "feedface"}, body: body})
	got := r.does(t, ask{path: one, header: who}, 200, "signature")
	link := regexp.MustCompile(one + `/rejected/[^"]+`).FindString(got.body)
	got = r.does(t, ask{path: link, header: who}, 200, "feedface", "Signed text", "{body}", "Nothing proves that the platform sent it.")
	noMarkup(t, got)
	lacks(t, got, sign(pollqrSecret, body), pollqrSecret)
	r.does(t, ask{path: one + "/rejected/nothing", header: who}, 404)
	r.does(t, ask{path: one + "/captured/nothing", header: who}, 404)

	// A capture keeps what comes.
	r.watchCaptures(t)
	r.does(t, ask{method: "POST", path: one + "/capture", header: reader, body: "for=1h"}, 403)
	r.does(t, ask{method: "POST", path: one + "/capture", header: who, body: "for=soon"}, 422, `value="soon"`)
	if note := noteOf(t, r.does(t, ask{method: "POST", path: one + "/capture", header: who, body: "for=1h"}, 303)); note != "Each request is kept until 13:00:00Z, accepted or not." {
		t.Error(note)
	}
	r.until(t, "it captures", func() bool { return !r.captured(t, "", readToken).CaptureUntil.IsZero() })
	r.accept(t, pollqr("r1", 3))
	got = r.does(t, ask{path: one + "?part=requests", header: who}, 200, "Stop capturing", "capturing")
	link = regexp.MustCompile(one + `/captured/[^"]+`).FindString(got.body)
	r.does(t, ask{path: link, header: who}, 200, "Captured request", "&#34;response_id&#34;:&#34;r1&#34;", "proved")
	r.does(t, ask{path: strings.Replace(link, "/t/default/", "/t/acme/", 1), header: who}, 403)
	if note := noteOf(t, r.does(t, ask{method: "POST", path: one + "/capture", header: who, body: "for=0s"}, 303)); note != "No more requests are kept." {
		t.Error(note)
	}

	// Its settings say what its questions are.
	r.does(t, ask{method: "PUT", path: "/v1/sources/mine", token: settingsToken, body: `{"profile": "pollqr", "secrets": ["` + pollqrSecret + `"], "roles": {"2": "feedback"}, "surveys": {"s1": {"roles": {"1": "nps_score"}}}}`}, 201)
	r.await(func(p *decide.Plan) bool { return p.Source("default", "mine") != nil })
	r.does(t, ask{path: "/console/t/default/sources/mine", header: who}, 200, "feedback", "every survey", "nps_score", "/sources/mine/edit", "/sources/mine/delete")
}

// A body that is pasted is read as its source would read it, and stays in its field.
func TestPastedBody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, readToken)
	const one = "/console/t/default/sources/pollqr/test"
	r.does(t, ask{path: one, header: who}, 200, "nothing is kept")
	body := strings.Replace(pollqr("r1", 3), `"2":"slow"`, `"2":"12345678901234567890"`, 1)
	form := func(body, headers string) string {
		return url.Values{"body": {body}, "headers": {headers}}.Encode()
	}
	r.does(t, ask{method: "POST", path: one, header: who, body: form(body, "X-PollQR-Signature: "+sign(pollqrSecret, body))}, 200, ">proved<", "1 event", "response.completed", "12345678901234567890", "all read", "200 OK")
	extra := strings.Replace(body, `"business_id"`, `"colour":"red","business_id"`, 1)
	r.does(t, ask{method: "POST", path: one, header: who, body: form(extra, "")}, 200, "Not mapped", "colour")
	lacks(t, r.does(t, ask{method: "POST", path: one, header: who, body: form(body, "")}, 200, "not proved", "401 Unauthorized"), sign(pollqrSecret, body))
	r.does(t, ask{method: "POST", path: one, header: who, body: form(body, "no colon")}, 422, "no colon</textarea>", "a header is a name")
	noMarkup(t, r.does(t, ask{method: "POST", path: one, header: who, body: form(hostile, "")}, 200, "No event", "&lt;img src=x"))
	r.does(t, ask{method: "POST", path: one, header: who, body: form("", "")}, 200)
	r.does(t, ask{path: "/console/t/default/sources/nothing/test", header: who}, 404)
}

// The questions of a survey are shown with their roles, and the rules whose conditions use them.
func TestQuestionsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "default", config.Document{Name: "rule/slow", Spec: []byte(`{"when": "answer(\"2\") == \"slow\"", "send": ["alarms"]}`)})
	r.accept(t, pollqr("r1", 3))
	who := r.visitor(t, readToken)
	const one = "/console/t/default/sources/pollqr/questions?survey="
	r.does(t, ask{path: one + "s1", header: who}, 200, "newest 1 event", "no role", `/rules/slow"`, "roles: {&#34;2&#34;: FIELD}")
	noMarkup(t, r.does(t, ask{path: one + url.QueryEscape(hostile), header: who}, 200, "No answer of this survey is kept."))
	r.does(t, ask{path: one, header: who}, 422)
}

// TestLinkEnd: a portal link ends after a question, which says whose session it is.
func TestLinkEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, acmeAdminToken)
	r.opened(t, `{"capabilities":["webhooks"],"actor":"jo@acme.example"}`)
	const all = "/console/t/acme/settings/links"
	list := r.does(t, ask{path: all, header: who}, 200, "jo@acme.example")
	end := regexp.MustCompile(`href="(` + all + `/[^"]+/delete)"`).FindStringSubmatch(list.body)
	if end == nil || strings.Contains(list.body, `/delete"><button`) {
		t.Fatal(list.body)
	}
	r.does(t, ask{path: end[1], header: who}, 200, "End the link of jo@acme.example?", "The session ends at once")
	r.does(t, ask{path: all, header: who}, 200, "jo@acme.example")
	r.does(t, ask{path: all + "/nothing/delete", header: who}, 404)
	r.does(t, ask{path: end[1], header: r.visitor(t, acmeToken)}, 403)
	r.does(t, ask{method: "POST", path: end[1], header: who}, 303)
	lacks(t, r.does(t, ask{path: all, header: who}, 200), "jo@acme.example")
}

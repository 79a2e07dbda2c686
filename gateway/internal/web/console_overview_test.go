package web

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// noteOf returns the note that the next page shows.
func noteOf(t testing.TB, got told) string {
	t.Helper()
	for _, cookie := range got.header.Values("Set-Cookie") {
		if value, ok := strings.CutPrefix(cookie, "sg-note="); ok {
			value, _, _ = strings.Cut(value, ";")
			note, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			return string(note)
		}
	}
	return ""
}

// A tenant that has received nothing is told how to begin, with its own addresses.
func TestOverviewOfANewTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.does(t, ask{path: "/console/t/default/", header: r.visitor(t, everyToken)}, 200,
		"Nothing was received yet", "http://gateway/in/pollqr", "&#39;http://gateway/v1/events&#39; -d", "/in/poltio/[secret]", `href="/console/t/default/sample"`)
	if strings.Contains(got.body, pathToken) || strings.Contains(got.body, pollqrSecret) {
		t.Error("it shows a secret")
	}
	acme := r.does(t, ask{path: "/console/t/acme/", header: r.visitor(t, acmeToken)}, 200, "http://gateway/t/acme/in/branch", "v1/events?tenant=acme")
	if strings.Contains(acme.body, "pollqr</a>") {
		t.Error("it shows another tenant's source")
	}
	if reader := r.does(t, ask{path: "/console/t/default/", header: r.visitor(t, readToken)}, 200); strings.Contains(reader.body, "/sample") {
		t.Error("who may not publish is offered to")
	}
	r.does(t, ask{path: "/console/t/default/", header: r.visitor(t, publishToken)}, 303)
}

func TestOverviewPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	r.decideOne(t, "r1", 3, dead)
	r.accept(t, pollqr("waits", 3))
	r.decide(t, state.Waiting)
	hold := func(name string, h state.Hold) {
		t.Helper()
		if err := r.store.Hold(t.Context(), "default", name, h, nil); err != nil {
			t.Fatal(err)
		}
	}
	hold("alarms", state.Hold{Kind: state.HoldRevoked, Reason: hostile, Since: noon.Add(-time.Hour)})
	r.count(t, attempts("default", "alarms", noon.Add(-time.Minute), 30), attempts("default", "", noon.Add(-time.Minute), 30),
		countOf(state.SourceStats, "default", "", noon.Add(-time.Minute), state.EventsAccepted, 1234),
		countOf(state.SurveyStats, "default", "pollqr/s1", noon, state.Responses, 40, state.NPSPromoters, 30, state.NPSDetractors, 10))
	got := r.does(t, ask{path: "/console/t/default/", header: who}, 200,
		"revoked", "its credentials are refused", "1 delivery waits", `href="/console/t/default/destinations/alarms"`, "what waits becomes dead letters from",
		"1 dead letter: 404 Not Found", `href="/console/t/default/deliveries/replay?destination=alarms&amp;state=dead&amp;status=404"`,
		"1,234", "oldest ", "Onboarding", "n 40", ">50<", `href="/console/t/default/surveys/pollqr/s1"`, "<svg")
	noMarkup(t, got)
	if n := strings.Count(got.body, `<h1 tabindex="-1"`); n != 1 { // the focus goes there
		t.Errorf("%d headings", n)
	}
	part := r.does(t, ask{path: "/console/t/default/?part=now", header: who}, 200)
	if strings.Contains(part.body, "<html") || !strings.Contains(part.body, `id="now"`) {
		t.Error("the part is not a part")
	}
	if reader := r.does(t, ask{path: "/console/t/default/", header: r.visitor(t, readToken)}, 200); strings.Contains(reader.body, ">Resume<") || strings.Contains(reader.body, "Replay…") {
		t.Error("who may only read is offered acts")
	}
	if note := noteOf(t, r.does(t, ask{method: "POST", path: "/console/t/default/resume", header: who, body: "destination=alarms"}, 303)); note != "alarms is resumed: what waits for it is due now." {
		t.Error(note)
	}
	r.does(t, ask{method: "POST", path: "/console/t/default/resume", header: who, body: "destination=nothing"}, 404, "Not found", "Needs attention")

	for i := range 9 {
		hold(fmt.Sprint("gone", i), state.Hold{Kind: state.HoldPaused, Since: noon})
	}
	if few := r.does(t, ask{path: "/console/t/default/", header: who}, 200, "Show all"); strings.Count(few.body, ">Resume<") >= 9 {
		t.Error("the list is not short")
	}
	if all := r.does(t, ask{path: "/console/t/default/?all=1", header: who}, 200, "Show fewer"); strings.Count(all.body, ">Resume<") != 9 {
		t.Errorf("%d are shown", strings.Count(all.body, ">Resume<"))
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	const page = "/console/t/default/sample"
	got := r.does(t, ask{path: page, header: who}, 200, "<option selected>response.completed</option>", "&#34;nps&#34;: 9")
	if strings.Contains(got.body, "<option>gateway.") {
		t.Error("it offers events of the gateway itself")
	}
	for _, event := range []string{"response.completed", "response.started"} {
		got = r.does(t, ask{path: page + "?type=" + event, header: who}, 200, "<option selected>"+event)
		_, body, _ := strings.Cut(got.body, "required>")
		body, _, _ = strings.Cut(body, "</textarea>")
		body = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(body)
		to := r.does(t, ask{method: "POST", path: page, header: who, body: "type=" + event + "&body=" + url.QueryEscape(body)}, 303).header.Get("Location")
		id, ok := strings.CutPrefix(to, "/console/t/default/events/")
		if !ok {
			t.Fatalf("%s leads to %s", body, to)
		}
		r.does(t, ask{path: "/v1/events/" + id, token: everyToken}, 200, `"type":"`+event+`"`)
	}
	noMarkup(t, r.does(t, ask{method: "POST", path: page, header: who, body: "type=response.completed&body=" + url.QueryEscape(hostile)}, 400, "&lt;img src=x"))
	r.does(t, ask{method: "POST", path: page, header: who, body: "type=response.completed&body=" + url.QueryEscape(`{"type":"nonsense"}`)}, 422, "nonsense&#34;}</textarea>")
	r.does(t, ask{method: "POST", path: page, header: r.visitor(t, readToken), body: "body={}"}, 403)
}

func TestSurveyPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	r.count(t,
		countOf(state.SurveyStats, "default", "pollqr/s1", day(0), state.Responses, 40, state.NPSPromoters, 30, state.NPSDetractors, 10),
		countOf(state.SurveyStats, "default", "pollqr/s1", day(8), state.Responses, 10, state.NPSPromoters, 3, state.NPSDetractors, 10),
		countOf(state.SurveyStats, "default", "pollqr/few", day(1), state.Responses, 3, state.NPSPromoters, 3))
	r.does(t, ask{path: "/console/t/default/surveys/pollqr/s1", header: who}, 200, "Responses a day", "NPS by week", ">50<", "24.5", "53 scores", "show as table", "<td>few</td>")
	r.does(t, ask{path: "/console/t/default/surveys/pollqr/s1?days=90", header: who}, 200, `aria-current="true">90 days`)
	r.does(t, ask{path: "/console/t/default/surveys/pollqr/few", header: who}, 200, "<b>few</b>", "3 scores: too few for an NPS")
	r.does(t, ask{path: "/console/t/default/surveys/gone/s1?questions=1", header: who}, 200, "Its source is not configured any more")
	// Questions of what was received, with the line that would read them.
	r.accept(t, pollqr("r1", 3))
	r.clock.Advance(5 * time.Minute) // for so long it counts as a survey without a title
	r.does(t, ask{path: "/console/t/default/surveys/pollqr/s1", header: who}, 200, "Show its questions")
	got := r.does(t, ask{path: "/console/t/default/surveys/pollqr/s1?questions=1", header: who}, 200, `>Onboarding</h1>`, "in the newest 1 event")
	if strings.Contains(got.body, "No answers are known") {
		t.Errorf("no question: %s", got.body)
	}
	r.does(t, ask{path: "/console/t/default/surveys", header: who}, 200, "Onboarding", "/console/t/default/surveys/pollqr/few", "few, n 3")
	r.does(t, ask{path: "/console/t/default/surveys?q=onboard", header: who}, 200, "Onboarding", `value="onboard"`)
	noMarkup(t, r.does(t, ask{path: "/console/t/default/surveys?q=" + url.QueryEscape(hostile), header: who}, 200, "No survey is like that."))
	noMarkup(t, r.ask(t, ask{path: "/console/t/default/surveys/pollqr/" + url.PathEscape(hostile), header: who}))
}

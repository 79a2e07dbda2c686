package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// names returns the names of a list, read in pages of two.
func (r *rig) names(t testing.TB, path, token string) (names []string) {
	t.Helper()
	joint := "?"
	if strings.Contains(path, "?") {
		joint = "&"
	}
	for cursor := ""; ; {
		p := decoded[view.Page[listed]](t, r.does(t, ask{path: path + joint + "limit=2&cursor=" + cursor, token: token}, 200))
		for _, each := range p.Data {
			names = append(names, each.Name+each.ID)
		}
		if p.Next == nil || len(names) > 100 {
			return names
		}
		cursor = *p.Next
	}
}

// Destinations are searched, sorted by each figure in both directions, and shown with their attempts.
func TestDestinationsAreSortedAndSearched(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.accept(t, pollqr("dead", 3))
		r.decide(t, state.Dead) // for alarms
		r.clock.Advance(time.Minute)
		r.accept(t, pollqr("waits", 9))
		r.decide(t, state.Waiting) // for alarms and warehouse
		at := noon.Add(-time.Hour)
		r.count(t, attempts("default", "alarms", at, 30), attempts("default", "relay", at, 9), attempts("default", "relay", at.Add(-time.Hour), 0), attempts("default", "relay", at.Add(-48*time.Hour), 1000))
		for query, want := range map[string]string{
			"":                "alarms relay signed warehouse",
			"?sort=name":      "alarms relay signed warehouse",
			"?sort=-name":     "warehouse signed relay alarms",
			"?sort=attempts":  "relay alarms signed warehouse",
			"?sort=-attempts": "alarms relay signed warehouse",
			"?sort=-failed":   "relay alarms signed warehouse",
			"?sort=success":   "relay alarms signed warehouse",
			"?sort=-success":  "alarms relay signed warehouse",
			"?sort=p95":       "alarms relay signed warehouse",
			"?sort=-dead":     "alarms relay signed warehouse",
			"?sort=dead":      "relay signed warehouse alarms",
			"?sort=-waiting":  "alarms warehouse relay signed",
			"?sort=-oldest":   "alarms warehouse relay signed",
			"?q=SLACK":        "alarms",
			"?q=a&sort=-dead": "alarms relay warehouse",
			"?q=nothing":      "",
		} {
			if got := strings.Join(r.names(t, "/v1/destinations"+query, everyToken), " "); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		got := decoded[view.Page[view.Destination]](t, r.does(t, ask{path: "/v1/destinations?include=standing,trend", token: everyToken}, 200))
		alarms, signed := got.Data[0], got.Data[2]
		if alarms.Trend.Attempts != 31 || alarms.Trend.Failed != 1 || *alarms.Trend.SuccessRate != 0.9677 || *alarms.Trend.P95 != 99 || alarms.Trend.Hourly[22] != 31 || alarms.Trend.HourlyFailed[22] != 1 || alarms.Standing.Dead != 1 {
			t.Errorf("%+v", alarms.Trend)
		}
		if signed.Trend.Attempts != 0 || signed.Trend.SuccessRate != nil || len(signed.Trend.Hourly) != 24 {
			t.Errorf("%+v", signed.Trend)
		}
		if one := decoded[view.Destination](t, r.does(t, ask{path: "/v1/destinations/alarms?include=trend", token: everyToken}, 200)); one.Trend == nil || one.Standing != nil {
			t.Errorf("%+v", one)
		}
		r.does(t, ask{path: "/v1/destinations?sort=height", token: everyToken}, 422, `"loc":["sort"]`)
		r.does(t, ask{path: "/v1/destinations?include=standing,colour", token: everyToken}, 422, `"loc":["include"]`)
		r.does(t, ask{path: "/v1/destinations?sort=dead&tenant=*", token: platformWide}, 422, `"loc":["sort"]`)
		r.does(t, ask{path: "/v1/destinations?q=crm&tenant=*&include=trend", token: platformWide}, 200, `"tenant":"acme"`, `"hourly":`)
		r.does(t, ask{path: "/v1/destinations?sort=dead&cursor=nothing", token: everyToken}, 422, `"loc":["cursor"]`)
	})
}

// A list of sources or rules says with `include=seen` what each is used for.
func TestListsOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		hour := func(n int) time.Time { return noon.Add(time.Duration(-n) * time.Hour) }
		counts := []state.Count{
			countOf(state.SourceStats, "default", "poltio", hour(1), state.EventsAccepted, 5, int64(state.RequestsRefused+int(state.RefusedNotJSON)), 3),
			countOf(state.RuleStats, "default", "detractor", hour(3), state.RuleMatched, 2, state.RuleNo, 7, state.RuleErred, 1),
			countOf(state.RuleStats, "default", "promoter", hour(24*40), state.RuleMatched, 2),
			countOf(state.RuleStats, "acme", "angry", hour(1), state.RuleMatched, 2),
		}
		for n := range 20 {
			counts = append(counts, countOf(state.SourceStats, "default", "pollqr", hour(30+n), state.EventsAccepted, 6))
		}
		r.count(t, counts...)
		sources := map[string]view.Source{}
		for _, s := range decoded[view.Page[view.Source]](t, r.does(t, ask{path: "/v1/sources?include=seen", token: everyToken}, 200)).Data {
			sources[s.Name] = s
		}
		if s := sources["poltio"]; s.SourceSeen == nil || s.Last24h.Accepted != 5 || s.Refused24h != 3 || s.Hourly[22] != 5 || !s.LastSeen.Equal(hour(1)) || !s.SilentSince.IsZero() || len(s.URLs) != 1 {
			t.Errorf("%+v", s.SourceSeen)
		}
		if s := sources["pollqr"]; s.SourceSeen == nil || s.Last24h.Accepted != 0 || !s.LastSeen.Equal(hour(30)) || !s.SilentSince.Equal(hour(29)) || s.UsualGapS != 600 {
			t.Errorf("%+v", s.SourceSeen)
		}
		if s := decoded[view.Source](t, r.does(t, ask{path: "/v1/sources/pollqr", token: everyToken}, 200)); !s.SilentSince.Equal(hour(29)) || len(s.Hourly) != 24 {
			t.Errorf("%+v", s.SourceSeen)
		}
		rules := map[string]view.Rule{}
		for _, v := range decoded[view.Page[view.Rule]](t, r.does(t, ask{path: "/v1/rules?include=seen", token: everyToken}, 200)).Data {
			rules[v.Name] = v
		}
		if v := rules["detractor"]; v.RuleSeen == nil || v.Hits24h != 2 || v.Errors24h != 1 || v.Asked24h != 10 || !v.LastMatch.Equal(hour(3)) {
			t.Errorf("%+v", v.RuleSeen)
		}
		if v := rules["promoter"]; v.RuleSeen == nil || v.Hits24h != 0 || !v.LastMatch.Equal(hour(24*40).Truncate(24*time.Hour)) {
			t.Errorf("%+v", v.RuleSeen)
		}
		if got := r.does(t, ask{path: "/v1/rules", token: everyToken}, 200); strings.Contains(got.body, "hits_24h") {
			t.Errorf("without include: %s", got.body)
		}
		r.does(t, ask{path: "/v1/rules?include=standing", token: everyToken}, 422, `"loc":["include"]`)
		r.does(t, ask{path: "/v1/sources?include=seen&tenant=*", token: platformWide}, 200)
	})
}

// Surveys are listed with those of most responses first, and searched by name and title.
func TestSurveys(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.accept(t, pollqr("r1", 3))
		r.count(t, countOf(state.SurveyStats, "acme", "api/theirs", noon, state.Responses, 99))
		for i, n := range []int64{5, 30, 20} {
			r.count(t, countOf(state.SurveyStats, "default", fmt.Sprint("pollqr/s", i), noon.AddDate(0, 0, -i), state.Responses, n))
		}
		for query, want := range map[string][]string{"": {"pollqr/s1", "pollqr/s2", "pollqr/s0"}, "?q=S2": {"pollqr/s2"}, "?q=onboard": {"pollqr/s1"}, "?q=theirs": nil} {
			if diff := cmp.Diff(want, r.names(t, "/v1/surveys"+query, everyToken)); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		}
		if got := r.does(t, ask{path: "/v1/surveys", token: acmeToken}, 200, `"api/theirs"`); strings.Contains(got.body, "Onboarding") {
			t.Errorf("acme: %s", got.body)
		}
	})
}

// Tenants are found by a part of their name or title.
func TestTenantsAreSearched(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, title := range map[string]string{"globex": "Globex Corporation", "initech": "The Big One", "hooli": ""} {
		r.does(t, ask{method: "PUT", path: "/v1/tenants/" + name, token: operatorToken, body: `{"title":"` + title + `"}`}, http.StatusCreated)
	}
	for query, want := range map[string][]string{"GLO": {"globex"}, "corp": {"globex"}, "big": {"initech"}, "i": {"globex", "hooli", "initech"}, "zzz": nil} {
		if got := r.names(t, "/v1/tenants?q="+query, operatorToken); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	r.does(t, ask{path: "/v1/tenants?q=glo", token: adminToken}, 403)
}

// A list of deliveries has the last attempt of each, and neither what was sent nor what was answered: a portal link that may list
// deliveries may not see bodies.
func TestListedDeliveriesHaveNoBodies(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.accept(t, pollqr("r1", 3))
		r.decideAs(t, func(d *state.Delivery) {
			d.State, d.Due, d.Reason = state.Waiting, noon.Add(time.Minute), "429 Too Many Requests"
			d.Log[0].Verdict, d.Log[0].Status, d.Log[0].Reason = "retry", 429, "429 Too Many Requests"
			d.Log[0].Request, d.Log[0].Response = []byte("POST [secret]\n\n{\"text\":\"slow\"}"), []byte("429\nretry-after: 60\n\nbusy")
		})
		got := r.does(t, ask{path: "/v1/deliveries", token: readToken}, 200)
		d := decoded[view.Page[view.Delivery]](t, got).Data[0]
		want := &view.LastAttempt{At: view.Time{Time: noon}, TookMS: 45, Verdict: "retry", Status: 429, Reason: "429 Too Many Requests"}
		if diff := cmp.Diff(want, d.Last); diff != "" || !d.DueAsked || strings.Contains(got.body, "slow") || strings.Contains(got.body, "busy") || strings.Contains(got.body, `"log"`) {
			t.Errorf("%s%s", diff, got.body)
		}
		if one := decoded[view.Delivery](t, r.does(t, ask{path: "/v1/deliveries/" + d.ID, token: readToken}, 200, "slow", "busy")); len(one.Log) != 1 || one.Last == nil {
			t.Errorf("%+v", one)
		}
	})
}

// Deliveries are searched by what a person has at hand, through an index; the answer says which.
func TestDeliveriesAreSearched(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		publish := func(tenant, response string) (event, delivery string) {
			t.Helper()
			body := `{"type":"response.completed","id":"` + response + `","nps_score":1,"email":"jo@example.com","response":{"id":"` + response + `"}}`
			got := r.does(t, ask{method: "POST", path: "/v1/events?tenant=" + tenant, token: operatorToken, body: body}, 200)
			r.clock.Advance(time.Second)
			return ids.FindString(got.body), r.decide(t, state.Dead).Deliveries[0].ID
		}
		first, firstDelivery := publish("default", "r1")
		_, secondDelivery := publish("default", "r2")
		_, theirs := publish("acme", "r3")
		search := func(query, token string) (found []string, by string) {
			t.Helper()
			p := decoded[view.Page[view.Delivery]](t, r.does(t, ask{path: "/v1/deliveries?" + query, token: token}, 200))
			for i := range p.Data {
				found = append(found, p.Data[i].ID)
			}
			return found, p.SearchedBy
		}
		for query, want := range map[string][]string{
			"q=" + firstDelivery:                     {"delivery", firstDelivery},
			"q=" + first:                             {"event", firstDelivery},
			"q=r2":                                   {"response", secondDelivery},
			"q=JO@example.com":                       {"respondent", secondDelivery, firstDelivery},
			"q=jo@example.com&state=waiting":         {"respondent"},
			"q=jo@example.com&status=5xx&limit=1":    {"respondent", secondDelivery},
			"q=nobody@example.com":                   {""},
			"q=r3":                                   {""},
			"q=" + theirs:                            {""},
			"q=jo@example.com&destination=warehouse": {"respondent"},
			"q=r1&include=event&type=response.completed": {"response", firstDelivery},
		} {
			found, by := search(query, readToken)
			if got := append([]string{by}, found...); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		var all []string
		for query, more := "q=jo@example.com&limit=1", true; more; {
			p := decoded[view.Page[view.Delivery]](t, r.does(t, ask{path: "/v1/deliveries?" + query, token: readToken}, 200))
			if len(p.Data) > 1 || len(all) > 2 {
				t.Fatalf("a page of one has %d; before it %q", len(p.Data), all)
			}
			for i := range p.Data {
				all = append(all, p.Data[i].ID)
			}
			if more = p.Next != nil; more {
				query = "q=jo@example.com&limit=1&cursor=" + url.QueryEscape(*p.Next)
			}
		}
		if !slices.Equal(all, []string{secondDelivery, firstDelivery}) {
			t.Errorf("its pages have %q", all)
		}
		portal := withCookie(r.portalOf(t, "deliveries"))
		for query, want := range map[string]int{"jo@example.com": 0, "r3": 0, theirs: 1, firstDelivery: 0} {
			p := decoded[view.Page[view.Delivery]](t, r.does(t, ask{path: "/v1/deliveries?q=" + query, header: portal}, 200))
			if len(p.Data) != want {
				t.Errorf("a portal link without bodies finds %d by %s", len(p.Data), query)
			}
		}
		r.does(t, ask{path: "/v1/deliveries?q=r1&event=" + first, token: readToken}, 422, `"loc":["q"]`)
		r.does(t, ask{path: "/v1/deliveries?q=r1&tenant=*", token: platformWide}, 422, `"loc":["q"]`)
		r.does(t, ask{path: "/v1/deliveries?q=r1&cursor=zz", token: readToken}, 422, `"loc":["cursor"]`)
		r.does(t, ask{path: "/v1/deliveries?q=nobody&cursor=zz", token: readToken}, 422, `"loc":["cursor"]`)
	})
}

// The questions of a survey are those of its newest events; the setting that is missing for one can be loaded as it is.
func TestQuestions(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources:\n  pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"], surveys: {s1: {roles: {\"1\": response.score.nps}}}}\nconnections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T1/B1/abcdefghijkl\"}}}\n")
	for i := range 3 {
		r.accept(t, pollqr(fmt.Sprint("r", i), 3))
	}
	got := decoded[view.Questions](t, r.does(t, ask{path: "/v1/sources/pollqr/questions?survey=s1", token: readToken}, 200))
	want := view.Questions{Source: "pollqr", Survey: "s1", Events: 3, Unread: 1, Data: []view.Question{
		{ID: "1", Type: "nps", Answers: 3, Roles: []string{"response.score.nps"}},
		{ID: "2", Answers: 3, Roles: []string{}, Missing: `surveys: {"s1": {roles: {"2": FIELD}}}`},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	load(t, "sources:\n  pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"], "+strings.Replace(got.Data[1].Missing, "FIELD", "response.feedback", 1)+"}\n")
	r.does(t, ask{path: "/v1/sources/pollqr/questions?survey=none", token: readToken}, 200, `"events":0`, `"data":[]`)
	r.does(t, ask{path: "/v1/sources/pollqr/questions", token: readToken}, 422, `"loc":["survey"]`)
	r.does(t, ask{path: "/v1/sources/none/questions?survey=s1", token: readToken}, 404)
}

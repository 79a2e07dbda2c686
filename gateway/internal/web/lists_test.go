package web

import (
	"fmt"
	"net/http"
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

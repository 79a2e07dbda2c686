package web

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// TestEventsByDecision: events are found by what was decided on them, by a misspelt rule nothing, and never those of another tenant.
func TestEventsByDecision(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	low := r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Delivered)
	high := r.accept(t, pollqr("r2", 9))
	r.decide(t, state.Delivered)
	publish := func(token, body string) string {
		t.Helper()
		return ids.FindString(r.ask(t, ask{method: "POST", path: "/v1/events", token: token, body: body}).body)
	}
	none := publish(everyToken, `{"type": "response.started", "id": "n1"}`)
	r.decide(t, state.Delivered)
	publish(everyToken, `{"type": "response.completed", "id": "pending", "nps_score": 3}`)
	for query, want := range map[string][]string{
		"rule=detractor":                {low},
		"rule=detractor&matched=true":   {low},
		"rule=detractor&matched=false":  {none, high},
		"matched=false":                 {none},
		"matched=true":                  {high, low},
		"matched=true&response=r2":      {high},
		"rule=warehouse":                nil,
		"rule=detractor&source=api":     nil,
		"rule=detractor&source=pollqr":  {low},
		"matched=false&type=test":       nil,
		"matched=false&since=2026-1-1T": {"invalid"},
	} {
		got := r.ask(t, ask{path: "/v1/events?" + query, token: readToken})
		var page view.Page[view.Event]
		if len(want) == 1 && want[0] == "invalid" {
			if got.status != 422 {
				t.Errorf("%s: %d", query, got.status)
			}
			continue
		}
		r.into(t, &page, "/v1/events?"+query)
		var found []string
		for i := range page.Data {
			found = append(found, page.Data[i].ID)
		}
		if strings.Join(found, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", query, found, want)
		}
	}
	for query, part := range map[string]string{
		"rule=warehose": "did you mean `warehouse`", "matched=maybe": `"loc":["matched"]`,
	} {
		if got := r.ask(t, ask{path: "/v1/events?" + query, token: readToken}); got.status/100 != 4 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/v1/events?matched=true", token: acmeToken}); got.status != 200 || strings.Contains(got.body, low) {
		t.Errorf("another tenant sees %s", got.body)
	}
	if got := r.ask(t, ask{path: "/v1/events/" + low + "?include=raw", token: readToken}); got.status != 200 || !strings.Contains(got.body, `"body":"{\"event\"`) {
		t.Errorf("include=raw: %d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/v1/events/" + low + "?include=all", token: readToken}); got.status != 422 {
		t.Errorf("include=all: %d", got.status)
	}
}

// TestDeliveriesWithEvents: a list of deliveries has the heads of their events, and an explanation is found by a delivery's id.
func TestDeliveriesWithEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	d := r.decide(t, state.Delivered).Deliveries[0]
	var page view.Page[view.Delivery]
	r.into(t, &page, "/v1/deliveries?include=event")
	if len(page.Data) == 0 || page.Data[0].EventHead == nil || page.Data[0].EventHead.ResponseID != "r1" || page.Data[0].EventHead.ID != id {
		t.Fatalf("%+v", page.Data)
	}
	if got := r.ask(t, ask{path: "/v1/deliveries?include=event", token: readToken}); strings.Contains(got.body, "slow") {
		t.Errorf("an answer of the respondent is in a list: %s", got.body)
	}
	if got := r.ask(t, ask{path: "/v1/deliveries?include=events", token: readToken}); got.status != 422 {
		t.Errorf("include=events: %d", got.status)
	}
	var x view.Explanation
	r.into(t, &x, "/v1/events/"+d.ID+"/explain")
	if x.Event.ID != id {
		t.Errorf("explained %q", x.Event.ID)
	}
	for _, path := range []string{"/v1/events/" + d.ID + "/explain", "/v1/events/dl_x/explain", "/v1/events/dl_x_y/explain"} {
		if got := r.ask(t, ask{path: path, token: acmeToken}); got.status != 404 {
			t.Errorf("%s for another tenant: %d", path, got.status)
		}
	}
	if got := r.ask(t, ask{path: "/v1/deliveries?include=event", token: acmeToken}); got.status != 200 || strings.Contains(got.body, id) {
		t.Errorf("another tenant sees %s", got.body)
	}
}

// TestEventTypes: all types are listed with an example that the gateway accepts as a CloudEvent.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all view.EventTypes
	r.into(t, &all, "/v1/event-types")
	if len(all.Data) != len(event.Types)+len(event.NoticeTypes) || len(all.Fields) == 0 {
		t.Fatalf("%d types, %d fields", len(all.Data), len(all.Fields))
	}
	for _, each := range all.Data {
		if strings.HasPrefix(each.Name, event.GatewayPrefix) { // nobody can publish it
			continue
		}
		got := r.ask(t, ask{method: "POST", path: "/v1/try", token: readToken, body: `{"events": {"body": ` + string(each.Example) + `}, "show": ["explain"]}`})
		if got.status != 200 || !strings.Contains(got.body, `"type":"`+each.Name+`"`) {
			t.Errorf("%s: %d %s", each.Name, got.status, got.body)
		}
	}
}

// TestSourcesAndRulesAreSeen: one source has the URL to enter, what proves its requests and what came; one rule how it decided. A
// token of the path is shown to those who may see it, and counts of another tenant to nobody.
func TestSourcesAndRulesAreSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hour := r.clock.Now().Add(-time.Hour)
	r.count(t,
		state.Count{Tenant: "default", Kind: state.SourceStats, Name: "pollqr", At: hour, Counts: countsOf(state.EventsAccepted, 3, state.EventsInvalid, 1)},
		state.Count{Tenant: "default", Kind: state.SourceStats, Name: "poltio", At: hour.Add(-72 * time.Hour), Counts: countsOf(state.EventsAccepted, 7)},
		state.Count{Tenant: "acme", Kind: state.SourceStats, Name: "pollqr", At: hour, Counts: countsOf(state.EventsAccepted, 99)},
		state.Count{Tenant: "default", Kind: state.RuleStats, Name: "detractor", At: hour, Counts: countsOf(state.RuleMatched, 2, state.RuleNo, 4, state.RuleErred, 1)},
	)
	var s view.Source
	r.into(t, &s, "/v1/sources/pollqr")
	if s.SourceSeen == nil || len(s.URLs) != 1 || s.URLs[0] != "http://gateway/in/pollqr" || !strings.Contains(s.Asks, "HMAC-SHA256 in hex in header `X-PollQR-Signature`") ||
		s.LastSeen == nil || !s.LastSeen.Equal(hour) || s.Last24h.Accepted != 3 || s.Last24h.Invalid != 1 {
		t.Errorf("%+v", s.SourceSeen)
	}
	var old view.Source
	r.into(t, &old, "/v1/sources/poltio")
	if old.LastSeen == nil || !old.LastSeen.Equal(noon.Add(-73*time.Hour).Truncate(24*time.Hour)) || old.Last24h.Accepted != 0 || !strings.HasSuffix(old.URLs[0], "/in/poltio/[secret]") {
		t.Errorf("%+v", old.SourceSeen)
	}
	var shown, never view.Source
	r.into(t, &shown, "/v1/sources/poltio?show_secrets=true")
	if !strings.HasSuffix(shown.URLs[0], "/in/poltio/"+pathToken) {
		t.Errorf("%v", shown.URLs)
	}
	if got := r.ask(t, ask{path: "/v1/sources/poltio?show_secrets=true", token: readToken}); got.status != 403 || strings.Contains(got.body, pathToken) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/v1/sources/anyone", token: readToken}); !strings.Contains(got.body, `"last_seen":null`) || !strings.Contains(got.body, `"asks":""`) {
		t.Errorf("%s", got.body)
	}
	r.into(t, &never, "/v1/sources/anyone")
	var rule, other view.Rule
	r.into(t, &rule, "/v1/rules/detractor")
	if rule.RuleSeen == nil || rule.Hits24h != 2 || rule.Errors24h != 1 || rule.Asked24h != 7 || rule.LastMatch == nil || !rule.LastMatch.Equal(hour) {
		t.Errorf("%+v", rule.RuleSeen)
	}
	r.into(t, &other, "/v1/rules/promoter")
	if other.Hits24h != 0 || other.LastMatch != nil {
		t.Errorf("%+v", other.RuleSeen)
	}
	if got := r.ask(t, ask{path: "/v1/sources", token: readToken}); strings.Contains(got.body, "last_seen") {
		t.Errorf("a list reads what was counted of each: %s", got.body)
	}
	if got := r.ask(t, ask{path: "/v1/sources/pollqr", socket: true}); !regexp.MustCompile(`"urls":\["http://127\.0\.0\.1:[0-9]+/in/pollqr"\]`).MatchString(got.body) {
		t.Errorf("over the socket: %s", got.body)
	}
	if got := r.ask(t, ask{path: "/v1/sources/pollqr", token: readToken, header: map[string]string{"Host": "x"}}); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

func countsOf(pairs ...int64) (c [state.MaxCounters]int64) {
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = pairs[i+1]
	}
	return c
}

package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// engines makes a rig over each engine.
var engines = map[string]func(t testing.TB) *rig{
	"embedded": newRig,
	"redis": func(t testing.TB) *rig {
		r := &rig{clock: clock.NewManual(noon)}
		store, err := redis.Open(redis.Options{URL: redistest.Start(t).URL(), Clock: r.clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		r.store = store
		return r.start(t)
	},
}

// onEngines runs a test over each engine.
func onEngines(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// countOf makes a count; counters are pairs of a counter and its value.
func countOf(kind state.StatKind, tenant, name string, at time.Time, counters ...int64) state.Count {
	c := state.Count{Tenant: tenant, Kind: kind, Name: name, At: at}
	for i := 0; i < len(counters); i += 2 {
		c.Counts[counters[i]] = counters[i+1]
	}
	return c
}

func (r *rig) overview(t testing.TB, query, token string) (v view.Overview) {
	t.Helper()
	return decoded[view.Overview](t, r.ask(t, ask{path: "/v1/overview" + query, token: token}))
}

// about are the lines of what needs attention: KIND SEVERITY OF CODE COUNT ACTION MSG.
func about(all []view.Attention) (lines []string) {
	for _, a := range all {
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(a.Tenant, " ", a.Kind, " ", a.Severity, " ", a.Of, " ", a.Code, " ", a.Count, " ", a.Action, ": ", a.Msg)), " "))
	}
	return lines
}

// What has just arrived is not in the statistics yet, and is no empty tenant; the gateway's own notices are not received.
func TestOverviewIsEmpty(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		notice, err := event.New(event.Header{
			Tenant: "default", Source: event.NoticeSource, SourceKind: "gateway", Type: "gateway.settings.changed", Received: noon, DedupeKey: "settings.changed/1", Verified: "token",
		}, &event.Data{}, event.Raw{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Append(t.Context(), []*event.Event{notice}); err != nil {
			t.Fatal(err)
		}
		if !r.overview(t, "", everyToken).Empty {
			t.Error("a tenant with a notice is not empty")
		}
		r.accept(t, pollqr("first", 8))
		if v := r.overview(t, "", everyToken); v.Empty || v.Tiles.Events.LastHour != 0 {
			t.Errorf("after the first event: %+v", v)
		}
		if !r.overview(t, "", acmeToken).Empty {
			t.Error("another tenant is not empty")
		}
	})
}

func TestOverview(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		if v := r.overview(t, "", everyToken); !v.Empty || len(v.Attention) != 0 || v.Tiles.Events == nil || len(v.Tiles.Events.Hourly) != 24 {
			t.Errorf("a new gateway: %+v", v)
		}
		for i := range 3 {
			r.accept(t, pollqr(fmt.Sprint("r", i), 3))
			r.decide(t, state.Dead)
		}
		r.accept(t, pollqr("waits", 3))
		r.decide(t, state.Waiting)
		ctx := context.Background()
		for name, h := range map[string]state.Hold{
			"alarms": {Kind: state.HoldRevoked, Reason: "401 Unauthorized", Since: noon.Add(-time.Hour)},
			"signed": {Kind: state.HoldPaused, Since: noon.Add(-time.Minute)},
			"relay":  {Kind: state.HoldRate, Since: noon, Until: noon.Add(time.Hour)}, // nothing waits for it
		} {
			if err := r.store.Hold(ctx, "default", name, h, nil); err != nil {
				t.Fatal(err)
			}
		}
		hour := func(n int) time.Time { return noon.Add(time.Duration(-n) * time.Hour) }
		counts := []state.Count{
			attempts("default", "alarms", hour(3), 30), attempts("default", "", hour(3), 30), attempts("default", "", noon.Add(-time.Minute), 9),
			attempts("default", "warehouse", hour(2), 50), attempts("default", "removed", hour(2), 50), attempts("default", "alarms", hour(24), 1000),
			countOf(state.SourceStats, "default", "", hour(30), state.EventsAccepted, 70),
			countOf(state.SourceStats, "default", "", hour(5), state.EventsAccepted, 7),
			countOf(state.SourceStats, "default", "", noon.Add(-10*time.Minute), state.EventsAccepted, 2),
			countOf(state.SourceStats, "default", "poltio", hour(2), int64(state.RequestsRefused+int(state.RefusedSignature)), 31),
			countOf(state.RuleStats, "default", "", hour(1), state.RuleErred, 12, state.RuleMatched, 288),
			countOf(state.RuleStats, "default", "promoter", hour(1), state.RuleErred, 12, state.RuleMatched, 288),
			countOf(state.RuleStats, "default", "warehouse", hour(1), state.RuleErred, 11, state.RuleMatched, 89),
			countOf(state.RuleStats, "default", "gone-since", hour(1), state.RuleErred, 11, state.RuleMatched, 89),
			countOf(state.RuleStats, "default", "detractor", hour(1), state.RuleMatched, 288),
		}
		for n := range 20 { // three an hour, until nine hours ago
			counts = append(counts, countOf(state.SourceStats, "default", "pollqr", hour(10+n), state.EventsAccepted, 3))
		}
		r.count(t, counts...)
		v := r.overview(t, "", everyToken)
		want := []string{
			"hold bad destination/alarms revoked 1 resume: its credentials are refused: 401 Unauthorized; 1 delivery waits",
			"dead_letters bad destination/alarms 503 3 replay: 3 dead letters: 503 Service Unavailable",
			"source_rejects bad source/poltio signature 31 rejected: it refuses everything: 31 requests, signature",
			"hold warn destination/signed paused 0 resume: paused by hand",
			"rule_errs warn rule/promoter 12 open: its condition could not be evaluated for 12 of 300 events in 24 hours",
			"rule_errs warn webhook/warehouse 11 open: its condition could not be evaluated for 11 of 100 events in 24 hours",
			"source_silent warn source/pollqr 0 open: silent for 9 h, usually every 20 min",
		}
		if diff := cmp.Diff(want, about(v.Attention)); diff != "" || v.AttentionTotal != len(want) {
			t.Errorf("%d in all (-want +got):\n%s", v.AttentionTotal, diff)
		}
		first := v.Attention[0]
		if !first.DeadFrom.Equal(noon.Add(14*24*time.Hour)) || !first.Since.Equal(noon.Add(-time.Hour)) || first.Link == nil || first.Link.Page != "destinations" || first.Link.Name != "alarms" {
			t.Errorf("%+v %+v", first, first.Link)
		}
		if diff := cmp.Diff(map[string]string{"destination": "alarms", "state": "dead", "status": "503"}, v.Attention[1].Link.Query); diff != "" {
			t.Error(diff)
		}
		if link := v.Attention[5].Link; link == nil || link.Page != "destinations" || link.Name != "warehouse" {
			t.Errorf("the webhook is at %+v", link)
		}
		if since := v.Attention[6].Since; !since.Equal(hour(9)) {
			t.Errorf("silent since %v", since)
		}
		tiles := v.Tiles
		if tiles.Events.LastHour != 2 || tiles.Events.Last24h != 9 || tiles.Events.Hourly[23] != 0 || tiles.Events.Hourly[22] != 2 || tiles.Events.Hourly[18] != 7 {
			t.Errorf("events: %+v", tiles.Events)
		}
		if tiles.Deliveries.LastHour != 9 || tiles.Deliveries.Last24h != 39 || tiles.Waiting.Count != 1 || !tiles.Waiting.Oldest.Equal(noon) || tiles.Dead != 3 {
			t.Errorf("%+v %+v", tiles.Deliveries, tiles)
		}
		if rate := tiles.SuccessRate; *rate.Last24h != 0.9512 || rate.Hourly[0] != nil || *rate.Hourly[20] != 0.9677 {
			t.Errorf("%+v", rate)
		}
		if p := tiles.P95; *p.Last24h != 99 || p.N != 39 || p.Hourly[22] != nil || *p.Hourly[20] != 99 {
			t.Errorf("%+v", p)
		}
		// The attempts of 24 hours ago are of an hour that is no longer shown, and a destination that was removed is not shown.
		if len(v.Destinations) != 2 || v.Destinations[0].Name != "warehouse" || v.Destinations[1].Attempts != 31 || v.Destinations[1].State != "revoked" ||
			v.Destinations[1].Product != "slack" || v.Destinations[0].HourlyFailed[21] != 1 || v.Destinations[0].Hourly[21] != 51 || v.Empty {
			t.Errorf("%+v", v.Destinations)
		}
	})
}

// Surveys are compared by weeks, with n; a title is that of the newest events.
func TestOverviewOfSurveys(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.accept(t, pollqr("r1", 3))
		day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
		survey := func(name string, at time.Time, responses, promoters, passives, detractors int64) state.Count {
			return countOf(state.SurveyStats, "default", name, at, state.Responses, responses, state.NPSPromoters, promoters, state.NPSPassives, passives, state.NPSDetractors, detractors)
		}
		r.count(t,
			survey("pollqr/s1", day(0), 30, 20, 5, 5), survey("pollqr/s1", day(8), 10, 2, 1, 7), survey("pollqr/s1", day(28), 40, 10, 10, 20),
			survey("pollqr/few", day(27), 5, 5, 0, 0), survey("pollqr/old", day(30), 100, 50, 50, 0), survey("other", day(1), 9, 0, 0, 0))
		got := r.overview(t, "", everyToken).Surveys
		f := func(v float64) *float64 { return &v }
		at := func(n int) *view.Time { return &view.Time{Time: day(n).Truncate(24 * time.Hour)} }
		want := []view.Survey{
			{
				Name: "pollqr/s1", Source: "pollqr", Survey: "s1", Title: "Onboarding", LastSeen: at(0), Responses: 40, ResponsesWeekly: []int64{0, 0, 10, 30},
				NPS: view.SurveyNPS{Score: f(25), N: 40, Weekly: []*float64{nil, nil, nil, f(50)}, Change: f(50)},
			},
			{
				Name: "pollqr/few", Source: "pollqr", Survey: "few", LastSeen: at(27), Responses: 5, ResponsesWeekly: []int64{5, 0, 0, 0},
				NPS: view.SurveyNPS{N: 5, Few: true, Weekly: []*float64{nil, nil, nil, nil}},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// An overview shows nothing of another tenant; that of the whole gateway says whose each thing is, and has no figures of one tenant.
func TestOverviewIsOfTheTenant(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.keep(t, "acme", config.Document{Name: "webhook/broken", Spec: []byte(`{"url": 7}`)}, config.Document{Name: "connection/crm", Spec: []byte(`{"slack": {}}`)})
		if err := r.store.Hold(t.Context(), "acme", "crm", state.Hold{Kind: state.HoldGone, Since: noon}, nil); err != nil {
			t.Fatal(err)
		}
		r.count(t, attempts("acme", "crm", noon.Add(-time.Minute), 30), attempts("acme", "", noon.Add(-time.Minute), 30))
		got := r.does(t, ask{path: "/v1/overview", token: everyToken}, 200)
		if v := decoded[view.Overview](t, got); !v.Empty || strings.Contains(got.body, "acme") || strings.Contains(got.body, "crm") || strings.Contains(got.body, "broken") {
			t.Errorf("default sees %s", got.body)
		}
		want := []string{"hold bad destination/crm gone 0 resume: the receiver asked never to be called again"}
		v := r.overview(t, "", acmeToken)
		if lines := about(v.Attention); len(lines) != 3 || lines[0] != want[0] || !strings.HasPrefix(lines[1], "document_broken bad webhook/broken 0 edit: it is not in use: ") || !strings.HasPrefix(lines[2], "document_shadowed warn connection/crm 0 edit: ") {
			t.Errorf("acme: %q", lines)
		}
		if link := v.Attention[1].Link; link.Page != "webhooks" || link.Name != "broken" || len(v.Destinations) != 1 || v.Tiles.Deliveries.LastHour != 30 {
			t.Errorf("%+v", v)
		}
		whole := r.overview(t, "?tenant=*", platformWide)
		if lines := about(whole.Attention); len(lines) < 3 || lines[0] != "acme "+want[0] || whole.Tiles.Events != nil || len(whole.Destinations)+len(whole.Surveys) != 0 || whole.Empty {
			t.Errorf("all: %q %+v", lines, whole)
		}
		r.does(t, ask{path: "/v1/overview?tenant=*", token: everyToken}, 403)
		r.does(t, ask{path: "/v1/overview", token: publishToken}, 403)
		portal := r.portalOf(t, "webhooks", "deliveries", "replay", "bodies", "connections", "rules")
		r.does(t, ask{path: "/v1/overview", header: withCookie(portal)}, 403, "this portal link does not allow that")
	})
}

// portalOf opens a portal link of acme, and returns its cookie.
func (r *rig) portalOf(t testing.TB, capabilities ...string) string {
	t.Helper()
	made := decoded[view.MadePortalLink](t, r.does(t, ask{
		method: "POST", path: "/v1/tenants/acme/portal-links", token: operatorToken,
		body: `{"actor":"jo@acme.example","accent":"#2b6cb0","capabilities":["` + strings.Join(capabilities, `","`) + `"],"session":"1h","at":"/webhooks"}`,
	}, 201))
	_, key, _ := strings.Cut(made.URL, "?k=")
	return cookieOf(t, r.does(t, ask{path: "/portal/open?k=" + key}, 303))
}

// Dead letters for many reasons, and those older than the newest, are counted; what is shown is bounded.
func TestOverviewIsBounded(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		for i := range 6 {
			r.accept(t, pollqr(fmt.Sprint("r", i), 3))
			r.decideAs(t, func(d *state.Delivery) {
				d.State, d.Reason = state.Dead, fmt.Sprint("400 Bad Request: field ", max(i-1, 0))
				d.Log[0].Verdict, d.Log[0].Status = "rejected", 400
			})
		}
		lines := about(r.overview(t, "", everyToken).Attention)
		if want := []string{
			"dead_letters bad destination/alarms 3 replay: 3 dead letters, for 3 other reasons",
			"dead_letters bad destination/alarms 400 2 replay: 2 dead letters: 400 Bad Request: field 0",
			"dead_letters bad destination/alarms 400 1 replay: 1 dead letter: 400 Bad Request: field",
		}; len(lines) != 3 || !slices.Equal(lines[:2], want[:2]) || !strings.HasPrefix(lines[2], want[2]) {
			t.Errorf("%q", lines)
		}
		for i := range 60 {
			if err := r.store.Hold(t.Context(), "default", fmt.Sprint("gone", i), state.Hold{Kind: state.HoldPaused, Since: noon}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if v := r.overview(t, "", everyToken); len(v.Attention) != 50 || v.AttentionTotal != 63 {
			t.Errorf("%d of %d", len(v.Attention), v.AttentionTotal)
		}
	})
}

// A source is silent when it has sent nothing for much longer than usual; one that sends rarely is not judged.
func TestSilentSources(t *testing.T) {
	t.Parallel()
	hour := func(n int) time.Time { return noon.Add(time.Duration(-n) * time.Hour) }
	for name, test := range map[string]struct {
		hours map[int]int64 // events by how many hours ago
		want  string
	}{
		"now":            {map[int]int64{0: 9, 1: 9}, ""},
		"a short pause":  {map[int]int64{1: 60, 2: 60}, ""},
		"an hour":        {map[int]int64{2: 60, 3: 60}, "silent for 60 min, usually every 1 min"},
		"every 20 min":   {map[int]int64{3: 3, 4: 3, 5: 3}, "silent for 2 h, usually every 20 min"},
		"in time":        {map[int]int64{2: 3, 3: 3, 4: 3}, ""},
		"twice a day":    {map[int]int64{12: 1, 24: 1, 36: 1, 48: 1, 60: 1, 72: 1}, ""},
		"no longer":      {map[int]int64{73: 1, 85: 1, 97: 1, 109: 1, 121: 1, 133: 1}, "silent for 3 days, usually every 12 h"},
		"four in a week": {map[int]int64{100: 4}, ""},
		"last month":     {map[int]int64{200: 60, 201: 60}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for n, events := range test.hours {
				r.count(t, countOf(state.SourceStats, "default", "pollqr", hour(n), state.EventsAccepted, events))
			}
			got := ""
			for _, a := range r.overview(t, "", everyToken).Attention {
				got += a.Msg
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// decideAs is decide with deliveries that a test changes.
func (r *rig) decideAs(t testing.TB, change func(d *state.Delivery)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	claimed, err := r.store.Claim(ctx, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ev, now := claimed[0].Event, r.clock.Now()
	decision := r.plan.Load().Decide(ev, now)
	o := state.Outcome{Position: claimed[0].Position, Tenant: ev.Tenant, EventID: ev.ID, At: now, Rules: decision.Rules, Generation: r.plan.Load().Config.Generation}
	for _, owed := range decision.Owed {
		d := owed.Delivery
		d.Attempts, d.Log = 1, []state.Attempt{{N: 1, At: now, Took: 45 * time.Millisecond}}
		change(&d)
		o.Deliveries = append(o.Deliveries, d)
	}
	if _, err := r.store.Commit(ctx, &state.Commit{Events: []state.Outcome{o}}); err != nil {
		t.Fatal(err)
	}
}

// Everybody may ask who they are; a portal session is told how its pages look, and of no other tenant.
func TestMe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/acme", token: operatorToken, body: `{"title":"Acme Inc."}`}, 201)
	me := func(a ask) view.Me {
		t.Helper()
		a.path = "/v1/me" + a.path
		return decoded[view.Me](t, r.ask(t, a))
	}
	short := r.makeToken(t, operatorToken, "acme", `{"name":"short","scopes":["read"],"expires":"30m"}`)
	soon := view.Time{Time: noon.Add(30 * time.Minute)}
	for name, test := range map[string]struct {
		ask  ask
		want view.Me
	}{
		"token":     {ask{token: acmeToken}, view.Me{By: "token:acme", Kind: "token", Name: "acme", Tenant: "acme", Title: "Acme Inc.", Scopes: []string{"read", "write", "publish", "settings"}, Sources: []string{"api"}, Version: "test"}},
		"no scope":  {ask{token: publishToken}, view.Me{By: "token:publisher", Kind: "token", Name: "publisher", Tenant: "default", Scopes: []string{"publish"}, Sources: []string{"*"}, Version: "test"}},
		"expires":   {ask{token: short}, view.Me{By: "token:short", Kind: "token", Name: "short", Tenant: "acme", Title: "Acme Inc.", Scopes: []string{"read"}, Expires: soon, Version: "test"}},
		"its login": {ask{header: withCookie(r.session(t, short))}, view.Me{By: "token:short", Kind: "token", Name: "short", Tenant: "acme", Title: "Acme Inc.", Scopes: []string{"read"}, Session: true, Expires: soon, Version: "test"}},
		"socket":    {ask{socket: true, path: "?tenant=acme"}, view.Me{By: "socket", Kind: "socket", Name: "socket", Tenant: "*", Title: "Acme Inc.", Scopes: config.Scopes, Sources: []string{"*"}, Version: "test"}},
		"portal": {ask{header: withCookie(r.portalOf(t, "deliveries", "webhooks"))}, view.Me{
			By: "portal:jo@acme.example", Kind: "portal", Name: "jo@acme.example", Tenant: "acme", Title: "Acme Inc.", Scopes: []string{}, Capabilities: []string{"deliveries", "webhooks"},
			Session: true, Expires: view.Time{Time: noon.Add(time.Hour)}, Link: &view.MeLink{Theme: "auto", Accent: "#2b6cb0", Title: "Acme Inc.", At: "/webhooks"}, Version: "test",
		}},
	} {
		got := me(test.ask)
		if got.Link != nil {
			if !strings.HasPrefix(got.Link.ID, "pl_") {
				t.Errorf("%s: %+v", name, got.Link)
			}
			got.Link.ID = ""
		}
		slices.Sort(got.Scopes)
		slices.Sort(test.want.Scopes)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := r.ask(t, ask{path: "/v1/me"}); got.status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", got.status)
	}
	r.does(t, ask{path: "/v1/me?tenant=default", header: withCookie(r.portalOf(t, "bodies"))}, 403)
}

package web

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Sources, rules, webhooks and connections of files and of documents are searched, whatever the case; sources and rules are sorted by the figures of a day.
func TestSettingsAreSortedAndSearched(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		r.keep(t, "default",
			config.Document{Name: "source/shop", Spec: []byte(`{"profile": "pollqr", "secrets": ["shop-secret-0123456789"]}`)},
			config.Document{Name: "rule/angry", Spec: []byte(`{"when": "nps_score <= 2", "send": ["alarms"]}`)},
			config.Document{Name: "rule/broken", Spec: []byte(`{"when": "nps_scor <= 2", "send": ["alarms"]}`)},
			config.Document{Name: "webhook/help", Spec: []byte(`{"title": "Help desk", "url": "https://help.example.com/in", "events": ["response.updated"], "signature": "none"}`)},
		)
		at := noon.Add(-time.Hour)
		r.count(t,
			countOf(state.SourceStats, "default", "poltio", at, state.EventsAccepted, 5, int64(state.RequestsRefused+int(state.RefusedSignature)), 3),
			countOf(state.SourceStats, "default", "shop", at, state.EventsAccepted, 9),
			countOf(state.SourceStats, "default", "anyone", noon.Add(-48*time.Hour), state.EventsAccepted, 1000),
			countOf(state.SourceStats, "acme", "branch", at, state.EventsAccepted, 99),
			countOf(state.RuleStats, "default", "promoter", at, state.RuleMatched, 4),
			countOf(state.RuleStats, "default", "angry", at, state.RuleMatched, 7, state.RuleErred, 1),
		)
		for path, want := range map[string]string{
			"/v1/sources":                               "anyone off pollqr poltio shop",
			"/v1/sources?q=POL":                         "off pollqr poltio shop",
			"/v1/sources?q=shop":                        "shop",
			"/v1/sources?q=nothing":                     "",
			"/v1/sources?sort=-name":                    "shop poltio pollqr off anyone",
			"/v1/sources?sort=-events":                  "shop poltio anyone off pollqr",
			"/v1/sources?sort=events":                   "anyone off pollqr poltio shop",
			"/v1/sources?sort=-refused&include=seen":    "poltio anyone off pollqr shop",
			"/v1/sources?sort=-events&q=pol":            "shop poltio off pollqr",
			"/v1/rules?q=R":                             "angry broken detractor promoter",
			"/v1/rules?q=desk":                          "",
			"/v1/rules?q=O":                             "broken detractor promoter",
			"/v1/rules?sort=-matched":                   "angry promoter broken detractor",
			"/v1/rules?sort=-errors&include=seen,tests": "angry broken detractor promoter",
			"/v1/webhooks?q=desk":                       "help",
			"/v1/webhooks?q=ware&include=standing":      "warehouse",
			"/v1/connections?q=ALARM":                   "alarms",
		} {
			if got := strings.Join(r.names(t, path, everyToken), " "); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		for _, path := range []string{"/v1/sources?sort=matched", "/v1/rules?sort=events", "/v1/webhooks?sort=name", "/v1/sources?sort=-events&tenant=*", "/v1/sources?sort=-events&cursor=x"} {
			r.does(t, ask{path: path, token: operatorToken}, 422)
		}
		if got := strings.Join(r.names(t, "/v1/sources?tenant=*&q=bran", operatorToken), " "); got != "branch" {
			t.Errorf("of all tenants: %s", got)
		}
		for _, s := range decoded[view.Page[view.Source]](t, r.does(t, ask{path: "/v1/sources?sort=-events&include=seen&limit=1", token: everyToken}, 200)).Data {
			if s.Name != "shop" || s.SourceSeen == nil || s.Last24h.Accepted != 9 {
				t.Errorf("%+v", s)
			}
		}

		who := r.visitor(t, everyToken)
		got := r.visits(t, who, "/sources?q=pol&sort=-events", 200, `value="pol"`, `<option value="-events" selected>`, `aria-sort="descending"`, `href="/console/t/default/sources?q=pol&amp;sort=events"`)
		if rows := rowsOf(got, "sources"); rows != "shop poltio off pollqr" {
			t.Error(rows)
		}
		r.visits(t, who, "/sources?q=nothing", 200, "No source is like that.")
		noMarkup(t, r.visits(t, who, "/rules?q="+strings.ReplaceAll("%3Cimg src=x onerror=alert(1)%3E", " ", "+"), 200, "No rule is like that."))
		if rows := rowsOf(r.visits(t, who, "/rules?sort=-matched", 200, "most errors"), "rules"); rows != "angry promoter broken detractor" {
			t.Error(rows)
		}
	})
}

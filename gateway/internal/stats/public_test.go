package stats

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Without a token, metrics name what the files of the default tenant define, and nothing else: everything else is one sum. A scrape
// changes nothing of the next one.
func TestPublicScrape(t *testing.T) {
	t.Parallel()
	st := &store{
		health: state.Health{Counted: true, Waiting: 5},
		held: []state.DestinationOnHold{
			{Tenant: "acme", Destination: "crm", Hold: state.Hold{Kind: state.HoldPaused}},
			{Tenant: "default", Destination: "hook", Hold: state.Hold{Kind: state.HoldPaused}},
		},
	}
	s, _ := newStats(st)
	for tenant, n := range map[string]int{"default": 1, "acme": 2, "zeta": 4} {
		for _, name := range []string{"pollqr", "api", "ofdocument"} {
			source := s.Source(tenant, name)
			source.Accepted(n, start)
			source.Refused(state.RefusedTooDeep, start)
		}
		for range n {
			for _, name := range []string{"crm", "alarms"} {
				s.Attempt(to(tenant, name), connectors.Delivered, state.Answered, time.Millisecond, start)
				s.TokenFetched(tenant, name, "ok")
			}
		}
	}
	for range 2 {
		text, err := s.Scrape(false)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"acme", "zeta", "ofdocument", "alarms"} {
			if strings.Contains(string(text), word) {
				t.Errorf("the scrape names %s", word)
			}
		}
		for _, line := range []string{
			`surveygate_events_total{outcome="accepted",source="pollqr"} 1`,
			`surveygate_events_total{outcome="accepted",source="api"} 1`,
			`surveygate_events_total{outcome="accepted",source="other"} 19`, // 1 of a document, 3 × 2, 3 × 4
			`surveygate_rejected_total{reason="too deep",source="other"} 7`,
			`surveygate_deliveries_total{connector="hubspot",destination="crm",verdict="delivered"} 1`,
			`surveygate_deliveries_total{connector="hubspot",destination="other",verdict="delivered"} 13`,
			`surveygate_token_fetches_total{destination="other",result="ok"} 13`,
			`surveygate_destination_waiting{destination="hook"} 0`,
			`surveygate_destination_held{destination="hook",kind="paused"} 1`,
			`surveygate_destinations_on_hold{kind="paused"} 2`,
		} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("the scrape lacks %s", line)
			}
		}
		if text, err = s.Scrape(true); err != nil || !strings.Contains(string(text), `destination="zeta/alarms",verdict="delivered"} 4`) ||
			!strings.Contains(string(text), `surveygate_destination_waiting{destination="acme/crm"} 4`) {
			t.Errorf("%v: a whole scrape lacks names of tenants", err)
		}
	}
}

// A metric of which nothing is public is left out.
func TestNothingPublic(t *testing.T) {
	t.Parallel()
	st := &store{health: state.Health{Counted: true}, held: []state.DestinationOnHold{{Tenant: "acme", Destination: "crm", Hold: state.Hold{Kind: state.HoldPaused}}}}
	s, _ := newStats(st)
	s.options.Public = nil
	text, err := s.Scrape(false)
	if err != nil || strings.Contains(string(text), nameOnHold) || !strings.Contains(string(text), "surveygate_store_up 1") {
		t.Errorf("%v\n%s", err, text)
	}
}

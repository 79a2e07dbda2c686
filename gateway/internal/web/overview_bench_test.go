package web

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// The seed of benchmarks of pages.
const (
	seedDestinations = 500
	seedDeliveries   = 100_000
	seedSurveys      = 40
)

// seed fills a rig with as many destinations and deliveries as a large platform has, and with what was counted of them: every hour of a day
// for destinations, of a week for sources, and every day of eight weeks for surveys. Each tenth delivery is a dead letter.
func (r *rig) seed(b *testing.B) {
	b.Helper()
	ctx := context.Background()
	text := "connections:\n"
	for i := range seedDestinations {
		text += fmt.Sprintf("  d%04d: {slack: {webhook: \"https://hooks.slack.com/services/T1/B1/abcdefghijkl\"}}\n", i)
	}
	text += "sources:\n"
	for i := range 20 {
		text += fmt.Sprintf("  s%02d: {profile: pollqr, secrets: [%s]}\n", i, pollqrSecret)
	}
	r.reload(b, text)
	const each = 500
	for done := 0; done < seedDeliveries; done += each {
		var events []*event.Event
		for i := range each {
			key := fmt.Sprintf("k%06d", done+i)
			ev, err := event.New(event.Header{
				ID: event.ID("default", "api", key), Tenant: "default", Source: "api", Type: event.TypeResponseCompleted, Time: noon, Received: noon, DedupeKey: key,
			}, &event.Data{
				Survey:   event.Survey{ID: fmt.Sprint("s", i%seedSurveys), Title: "Onboarding"},
				Response: event.Response{ID: "r-" + key, Feedback: repeat("slow ", 80)},
			}, event.Raw{ContentType: "application/json", Body: []byte(`{"text":"` + repeat("slow ", 200) + `"}`)})
			if err != nil {
				b.Fatal(err)
			}
			events = append(events, ev)
		}
		if _, err := r.store.Append(ctx, events); err != nil {
			b.Fatal(err)
		}
		for left := each; left > 0; {
			claimed, err := r.store.Claim(ctx, left, 0)
			if err != nil {
				b.Fatal(err)
			}
			c := &state.Commit{}
			now := r.clock.Now()
			for i, x := range claimed {
				n := done + each - left + i
				name := fmt.Sprintf("d%04d", n*7%seedDestinations)
				d := state.Delivery{
					ID: state.DeliveryID(x.Event, state.Origin{Kind: state.Rule, Name: "rule"}, name), Tenant: "default", EventID: x.Event.ID, Step: name, Destination: name,
					Origin: state.Origin{Kind: state.Rule, Name: "rule"}, Connector: "slack", State: state.Delivered, Attempts: 1,
					Log: []state.Attempt{{N: 1, At: now, Took: 12 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 2100, Received: 2}},
				}
				if n%10 == 0 {
					d.State, d.Reason = state.Dead, "404 Not Found"
					d.Log[0].Verdict, d.Log[0].Status, d.Log[0].Response = "rejected", 404, []byte(repeat("no ", 100))
				}
				c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: "default", EventID: x.Event.ID, At: now, Deliveries: []state.Delivery{d}})
			}
			if _, err := r.store.Commit(ctx, c); err != nil {
				b.Fatal(err)
			}
			left -= len(claimed)
		}
	}
	var counts []state.Count
	flush := func() {
		r.count(b, counts...)
		counts = counts[:0]
	}
	for hour := range 24 * 7 {
		at := noon.Add(-time.Duration(hour) * time.Hour)
		for i := range seedDestinations {
			if hour >= 24 {
				break
			}
			counts = append(counts, attempts("default", fmt.Sprintf("d%04d", i), at, 30))
		}
		counts = append(counts, attempts("default", "", at, 15000))
		for i := range 20 {
			counts = append(counts, countOf(state.SourceStats, "default", fmt.Sprintf("s%02d", i), at, state.EventsAccepted, 60))
		}
		counts = append(counts, countOf(state.RuleStats, "default", "rule", at, state.RuleErred, 1, state.RuleMatched, 50), countOf(state.RuleStats, "default", "", at, state.RuleErred, 1, state.RuleMatched, 50))
		flush()
	}
	for day := range 56 {
		for i := range seedSurveys {
			counts = append(counts, countOf(state.SurveyStats, "default", fmt.Sprintf("api/s%d", i), noon.AddDate(0, 0, -day), state.Responses, 30, state.NPSPromoters, 20, state.NPSDetractors, 10))
		}
	}
	flush()
}

// BenchmarkPages asks for what the pages of a console ask for, with the seed, over each engine.
func BenchmarkPages(b *testing.B) {
	for _, engine := range []string{"embedded", "redis"} {
		b.Run(engine, func(b *testing.B) {
			r := engines[engine](b)
			r.seed(b)
			for _, path := range []string{
				"/v1/overview", "/v1/destinations?include=standing,trend", "/v1/destinations?include=standing,trend&sort=-failed", "/v1/destinations?include=trend&sort=-dead",
				"/v1/sources?include=seen", "/v1/rules?include=seen", "/v1/surveys", "/v1/deliveries", "/v1/deliveries?state=dead&include=event",
			} {
				b.Run(path[len("/v1/"):], func(b *testing.B) {
					for b.Loop() {
						if got := r.ask(b, ask{path: path, token: everyToken}); got.status != http.StatusOK {
							b.Fatal(got.status, got.body)
						}
					}
				})
			}
		})
	}
}

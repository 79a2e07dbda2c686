package web

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// size is how much a seed has. All is of the tenant default, but for the tenants with webhooks of their own.
type size struct {
	destinations, webhooks, sources, rules, surveys int
	// events have each so many deliveries, one after the other in 24 hours. Each tenth delivery is a dead letter, each hundredth waits.
	events, each int
	// days are those with statistics of each destination and source; the last one has them by hour.
	days int
	// listed is how many there are of what settings list: tokens, portal links, replays, lines of the audit, rejected requests.
	listed          int
	tenants, theirs int
}

var (
	// large is the size that the bounds of pages hold for.
	large = size{destinations: 500, webhooks: 20, sources: 60, rules: 100, surveys: 60, events: 20_000, each: 5, days: 30, listed: 110, tenants: 1000, theirs: 10}
	// small fills each list with more than a page of it, and is quickly made.
	small = size{destinations: 70, webhooks: 10, sources: 60, rules: 60, surveys: 60, events: 100, each: 5, days: 2, listed: 110, tenants: 110, theirs: 2}
)

// names of what there are many of.
func destinationName(n int) string { return fmt.Sprintf("customer-success-%04d", n) }
func sourceName(n int) string      { return fmt.Sprintf("onboarding-form-%03d", n) }
func ruleName(n int) string        { return fmt.Sprintf("detractor-of-segment-%03d", n) }
func tenantName(n int) string      { return fmt.Sprintf("customer-%04d", n) }
func surveyName(n int) string      { return fmt.Sprintf("5e0d1c2b-7a64-4c1e-9f3b-%012d", n) }

const surveyTitle = "How was your first week with us? (onboarding, round two)"

// configuration is that of the seed, as files have it.
func (s size) configuration() string {
	var b strings.Builder
	b.WriteString("connections:\n")
	for i := range s.destinations - s.webhooks {
		fmt.Fprintf(&b, "  %s: {slack: {webhook: \"https://hooks.slack.com/services/T1/B1/abcdefghijkl\"}}\n", destinationName(i))
	}
	b.WriteString("webhooks:\n")
	for i := range s.webhooks {
		fmt.Fprintf(&b, "  - {name: %s, url: \"https://hook.example.com/in/%d\", events: [response.updated], secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}\n", destinationName(s.destinations-s.webhooks+i), i)
	}
	b.WriteString("sources:\n")
	for i := range s.sources {
		fmt.Fprintf(&b, "  %s: {profile: pollqr, secrets: [%s]}\n", sourceName(i), pollqrSecret)
	}
	b.WriteString("rules:\n")
	for i := range s.rules {
		fmt.Fprintf(&b, "  - name: %s\n    when: nps_score <= %d and survey.id == \"s%d\"\n    send: [%s, %s]\n", ruleName(i), 3+i%7, 1+i%12, destinationName(i), destinationName(i+1))
		fmt.Fprintf(&b, "    tests:\n      - {given: {nps_score: 0, survey: {id: s%d}}, expect: [%s, %s]}\n      - {given: {nps_score: 10}, expect: []}\n", 1+i%12, destinationName(i), destinationName(i+1))
	}
	return b.String()
}

// seeded is a rig with a seed, and the names of one of each that pages are about.
type seeded struct {
	*rig
	size
	event, delivery, dead, waiting, replay, drop, erasure, link, rejected, captured, respondent, response string
	// ownWebhook is a webhook of the store, secret the id of its secret.
	ownWebhook, secret string
}

// seed fills a rig as a large platform does. The rig's clock is then a day later.
func (r *rig) seed(t testing.TB, s size) *seeded {
	t.Helper()
	r.reload(t, s.configuration())
	all := &seeded{rig: r, size: s}
	all.addEvents(t)
	all.addCounts(t)
	all.addSettings(t)
	all.addTenants(t)
	return all
}

// addEvents adds the events and their deliveries in portions, as they come.
func (s *seeded) addEvents(t testing.TB) {
	t.Helper()
	const portion = 25
	ctx := t.Context()
	answers := repeat("It took three calls until somebody could help me. ", 6)
	for done := 0; done < s.events; done += portion {
		var events []*event.Event
		for n := done; n < done+portion; n++ {
			key, source := fmt.Sprintf("k%06d", n), sourceName(n%s.sources)
			respondent, response := fmt.Sprintf("person%d@customer.example", n), "r-"+key
			now := s.clock.Now()
			ev, err := event.New(event.Header{
				ID: event.ID("default", source, key), Tenant: "default", Source: source, Type: event.TypeResponseCompleted, Time: now, Received: now, DedupeKey: key,
				SurveyID: surveyName(n % s.surveys), ResponseID: response,
			}, &event.Data{
				Survey:     event.Survey{ID: surveyName(n % s.surveys), Title: surveyTitle},
				Response:   event.Response{ID: response, Feedback: answers},
				Respondent: event.Respondent{Email: respondent},
			}, event.Raw{ContentType: "application/json", Body: []byte(strings.Replace(pollqr(response, n%10), "slow", answers, 1))})
			if err != nil {
				t.Fatal(err)
			}
			events, s.respondent, s.response = append(events, ev), respondent, response
		}
		if _, err := s.store.Append(ctx, events); err != nil {
			t.Fatal(err)
		}
		for left := portion; left > 0; {
			claimed, err := s.store.Claim(ctx, left, 0)
			if err != nil {
				t.Fatal(err)
			}
			c := &state.Commit{}
			for i, x := range claimed {
				c.Events = append(c.Events, s.outcome(x, done+portion-left+i))
			}
			if _, err := s.store.Commit(ctx, c); err != nil {
				t.Fatal(err)
			}
			left -= len(claimed)
		}
		s.clock.Advance(24 * time.Hour * portion / time.Duration(s.events))
	}
	// One that the rules decide, and that waits.
	body := pollqr("r-last", 3)
	s.event, _ = s.post(t, "/in/"+sourceName(0), "", body, signed(body))
	o := s.decide(t, state.Waiting)
	s.waiting = o.Deliveries[0].ID
}

// outcome is what became of the event of a number.
func (s *seeded) outcome(x state.Claimed, number int) state.Outcome {
	now := s.clock.Now()
	o := state.Outcome{Position: x.Position, Tenant: "default", EventID: x.Event.ID, At: now, Generation: s.plan.Load().Config.Generation}
	origin := state.Origin{Kind: state.Rule, Name: ruleName(number % s.rules)}
	o.Rules = []state.RuleOutcome{{Origin: origin}}
	for i := range s.each {
		n := number*s.each + i
		name := destinationName(n * 7 % s.destinations)
		d := state.Delivery{
			ID: state.DeliveryID(x.Event, origin, name), Tenant: "default", EventID: x.Event.ID, Step: name, Destination: name,
			Origin: origin, Connector: "slack", State: state.Delivered, Attempts: 1,
			Log: []state.Attempt{{N: 1, At: now, Took: 12 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 2100, Received: 2}},
		}
		switch {
		case n%10 == 0:
			d.State, d.Reason, s.dead = state.Dead, "404 Not Found", d.ID
			d.Log[0].Verdict, d.Log[0].Status, d.Log[0].Reason = "rejected", 404, d.Reason
			d.Log[0].Request, d.Log[0].Response = []byte("POST [secret]\n\n{}"), []byte("404\n\n"+repeat("no ", 100))
		case n%100 == 1:
			d.State, d.Reason, d.Due = state.Waiting, "503 Service Unavailable", now.Add(48*time.Hour)
			d.Log[0].Verdict, d.Log[0].Status, d.Log[0].Reason = "retry", 503, d.Reason
		default:
			s.delivery = d.ID
		}
		o.Deliveries = append(o.Deliveries, d)
	}
	return o
}

// addCounts adds what was counted: of each destination, source and rule every hour of the last day and once a day before that, of the first
// of each every hour, and of surveys every day of eight weeks.
func (s *seeded) addCounts(t testing.TB) {
	t.Helper()
	now := s.clock.Now()
	var counts []state.Count
	add := func(kind state.StatKind, name string, at time.Time, counters ...int64) {
		counts = append(counts, countOf(kind, "default", name, at, counters...))
	}
	for hour := range 24 * s.days {
		at := now.Add(-time.Duration(hour) * time.Hour)
		most := 1 // how many of each kind are counted in this hour
		if hour < 24 || hour%24 == 0 {
			most = 1 << 20
		}
		for i := range min(s.destinations, most) {
			counts = append(counts, attempts("default", destinationName(i), at, int64(30+i%7*hour%11)))
		}
		for i := range min(s.sources, most) {
			add(state.SourceStats, sourceName(i), at, state.EventsAccepted, int64(60+hour%5))
		}
		for i := range min(s.rules, most) {
			add(state.RuleStats, ruleName(i), at, state.RuleErred, 1, state.RuleMatched, 50)
		}
		counts = append(counts, attempts("default", "", at, 15000))
		add(state.SourceStats, "", at, state.EventsAccepted, 3000)
		add(state.RuleStats, "", at, state.RuleErred, 1, state.RuleMatched, 50)
		s.count(t, counts...)
		counts = counts[:0]
	}
	for day := range 56 {
		for i := range s.surveys {
			add(state.SurveyStats, sourceName(i%s.sources)+"/"+surveyName(i), now.AddDate(0, 0, -day), state.Responses, 30, state.NPSPromoters, int64(20+day%3), state.NPSDetractors, 10)
		}
	}
	s.count(t, counts...)
}

// addSettings adds what the pages of settings list.
func (s *seeded) addSettings(t testing.TB) {
	t.Helper()
	s.watchCaptures(t)
	s.does(t, ask{method: "PUT", path: "/v1/tenants/default", token: operatorToken, body: `{"limits":{"tokens":1000}}`}, 201)
	s.ownWebhook = "own"
	s.does(t, ask{method: "PUT", path: "/v1/webhooks/own", token: adminToken, body: `{"url":"https://hook.example.com/own","events":["response.updated"]}`}, 201)
	s.secret = decoded[view.Page[view.WebhookSecret]](t, s.does(t, ask{path: "/v1/webhooks/own/secrets", token: adminToken}, 200)).Data[0].ID
	for i := range s.listed {
		s.makeToken(t, operatorToken, "default", fmt.Sprintf(`{"name":"integration-%03d","scopes":["read","write","settings"],"expires":"90d"}`, i))
		made := s.does(t, ask{method: "POST", path: "/v1/tenants/default/portal-links", token: operatorToken, body: fmt.Sprintf(`{"capabilities":["webhooks","deliveries","replay"],"actor":"person%d@customer.example"}`, i)}, 201)
		s.link = decoded[view.MadePortalLink](t, made).ID
	}
	for range min(s.listed, 60) {
		var job view.Job
		s.postInto(t, "/v1/replays", everyToken, `{"of":{"events":["`+s.event+`"],"state":"delivered"},"reason":"an outage of the receiver"}`, 202, &job)
		s.replay = job.ID
	}
	var dropped view.Job
	s.postInto(t, "/v1/drops", everyToken, `{"of":{"events":["`+s.event+`"],"state":"dead"},"reason":"the receiver is gone"}`, 202, &dropped)
	s.drop = dropped.ID
	var erased view.Erasure
	s.postInto(t, "/v1/erasures", adminToken, `{"respondent":"nobody-of-these@customer.example"}`, 202, &erased)
	s.erasure = erased.ID
	one := "/v1/sources/" + sourceName(0)
	s.does(t, ask{method: "POST", path: one + "/capture", token: adminToken, body: `{"for":"1h"}`}, 200)
	for i := range 20 {
		s.does(t, ask{method: "POST", path: "/in/" + sourceName(0), header: map[string]string{"X-PollQR-Signature": "feedface"}, body: pollqr(fmt.Sprint("rejected", i), 3)}, 401)
	}
	for which, id := range map[string]*string{"/rejected": &s.rejected, "/captured": &s.captured} {
		page := decoded[view.Page[struct {
			ID        string `json:"id"`
			RequestID string `json:"request_id"`
		}]](t, s.does(t, ask{path: one + which, token: everyToken}, 200))
		*id = cmp.Or(page.Data[0].ID, page.Data[0].RequestID)
	}
}

// addTenants adds the tenants, each with webhooks of its own.
func (s *seeded) addTenants(t testing.TB) {
	t.Helper()
	const writers = 16
	numbers := make(chan int)
	errs := make([]error, writers)
	versions := make([]uint64, s.tenants)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range numbers {
				for i := range s.theirs {
					spec := fmt.Sprintf(`{"title":"Webhook of the CRM","url":"https://hook.example.com/%d/%d","events":["response.completed"],"when":"nps_score <= 6"}`, n, i)
					version, err := s.book.Writer.Put(context.Background(), tenantName(n), settings.Draft{Name: fmt.Sprintf("webhook/hook-%02d", i), Spec: []byte(spec)}, 0)
					if err != nil {
						errs[w] = err
					}
					versions[n] = version
				}
			}
		})
	}
	for n := range s.tenants {
		s.does(t, ask{method: "PUT", path: "/v1/tenants/" + tenantName(n), token: operatorToken, body: fmt.Sprintf(`{"title":"The customer number %d","metadata":{"plan":"team"}}`, n)}, 201)
		numbers <- n
	}
	close(numbers)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.await(func(p *decide.Plan) bool {
		for n, version := range versions {
			if p.DocumentVersion(tenantName(n), fmt.Sprintf("webhook/hook-%02d", s.theirs-1)) < version {
				return false
			}
		}
		return true
	})
}

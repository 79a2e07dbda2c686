package stats

import (
	"math"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// Source counts what one source receives. It is safe for concurrent use.
type Source struct {
	accepted, duplicate, invalid, unavailable *Counter

	tenant, name string
	stats        *Stats
}

// Source returns the counters of a source. Callers keep the result. Names must come from a configuration, never from a request.
func (s *Stats) Source(tenant, name string) *Source {
	counter := func(outcome string) *Counter { return s.events.get(labels{tenant, name, outcome}) }
	return &Source{
		accepted: counter("accepted"), duplicate: counter("duplicate"), invalid: counter("invalid"), unavailable: counter("unavailable"),
		tenant: tenant, name: name, stats: s,
	}
}

func (s *Source) count(counter, n int, at time.Time) {
	s.stats.cells.add(state.SourceStats, s.tenant, s.name, counter, n, at)
}

// Accepted counts events that were made durable.
func (s *Source) Accepted(n int, at time.Time) {
	s.accepted.Add(n)
	s.count(state.EventsAccepted, n, at)
}

// Duplicate counts events that were known already.
func (s *Source) Duplicate(n int, at time.Time) {
	s.duplicate.Add(n)
	s.count(state.EventsDuplicate, n, at)
}

// Invalid counts events that no event can be made of: published ones, and entries of a stream.
func (s *Source) Invalid(n int, at time.Time) {
	s.invalid.Add(n)
	s.count(state.EventsInvalid, n, at)
}

// Unavailable counts one request, with its events, that could not be accepted now. The reader of a stream asks once for each batch.
func (s *Source) Unavailable(events int, at time.Time) {
	s.unavailable.Add(events)
	s.count(state.RequestsUnavailable, 1, at)
}

// Refused counts a request that was refused.
func (s *Source) Refused(why state.Refusal, at time.Time) {
	s.stats.rejected.get(labels{s.tenant, s.name, why.String()}).Add(1)
	s.count(state.RequestsRefused+int(why), 1, at)
}

// Accept records the time until a request's events were durable.
func (s *Stats) Accept(took time.Duration) { s.accept.Observe(took.Seconds()) }

// Attempt counts one attempt of the delivery loop. The metrics count all of them, also those that were not sent; statistics count
// those that were, without skipped ones and tests.
func (s *Stats) Attempt(d *state.Delivery, verdict connectors.Kind, reached state.Reached, took time.Duration, began time.Time) {
	s.deliveries.get(labels{d.Tenant, d.Destination, d.Connector, string(verdict)}).Add(1)
	if reached == state.Answered {
		s.delivery.Observe(took.Seconds())
	}
	var counter int
	switch verdict {
	case connectors.Delivered:
		counter = state.AttemptsDelivered
	case connectors.Retry:
		counter = state.AttemptsRetry
	case connectors.Rejected:
		counter = state.AttemptsRejected
	case connectors.Revoked:
		counter = state.AttemptsRevoked
	default:
		return
	}
	if reached == state.NotSent || d.Origin.IsAlone() {
		return
	}
	p := s.cells.part(d.Tenant)
	p.mu.Lock()
	defer p.mu.Unlock()
	cell := s.cells.cell(p, cellKey{kind: state.DestinationStats, tenant: d.Tenant, name: d.Destination, minute: minuteOf(began)})
	switch {
	case cell == nil:
		return
	case reached == state.Answered:
		cell.took = cell.took.add(took)
	case verdict != connectors.Delivered:
		cell.counts[state.AttemptsTimeout]++
	}
	cell.counts[counter]++
}

// Ended counts a delivery that has ended, by its state, in the minute of its last change. received is when its event was received;
// zero: unknown. A delivery that is made once more, by a person's retry or replay, ends once more.
func (s *Stats) Ended(d *state.Delivery, received time.Time) {
	var counter int
	switch d.State {
	case state.Delivered:
		counter = state.EndedDelivered
	case state.Dead:
		counter = state.EndedDead
	case state.Skipped:
		counter = state.EndedSkipped
	case state.Dropped:
		counter = state.EndedDropped
	default:
		return
	}
	if d.Origin.IsAlone() {
		return
	}
	at := d.Updated
	if at.IsZero() {
		at = s.options.Clock.Now()
	}
	p := s.cells.part(d.Tenant)
	p.mu.Lock()
	defer p.mu.Unlock()
	cell := s.cells.cell(p, cellKey{kind: state.DestinationStats, tenant: d.Tenant, name: d.Destination, minute: minuteOf(at)})
	if cell == nil {
		return
	}
	cell.counts[counter]++
	if d.State == state.Delivered && !received.IsZero() {
		cell.age = cell.age.add(at.Sub(received))
	}
}

// Overdue counts n deliveries to a destination that became dead letters because they waited too long, or were too many.
func (s *Stats) Overdue(tenant, destination string, n int) {
	s.cells.add(state.DestinationStats, tenant, destination, state.EndedDead, n, s.options.Clock.Now())
}

// Decided counts the decision on one event: what each of its tenant's rules said, and the response, if the event completes one.
// It takes time for the rules that were evaluated, not for all.
func (s *Stats) Decided(ev *event.Event, sets []*rules.Set, outcomes []state.RuleOutcome, unknown []string, at time.Time) {
	key := cellKey{kind: state.RuleStats, tenant: ev.Tenant, minute: minuteOf(at)}
	c := &s.cells
	p := c.part(ev.Tenant)
	completed := completesResponse(ev)
	nps, csat := math.NaN(), math.NaN()
	if completed {
		nps, csat = ev.Scores() // not by Data: an event that is delivered as it came is never decoded
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, set := range sets {
		c.ask(p, askedKey{set, ev.Tenant, ev.Type, key.minute})
	}
	count := func(name string, counter int) {
		key.name = name
		if cell := c.cell(p, key); cell != nil {
			cell.counts[counter]++
		}
	}
	for i := range outcomes {
		counter := state.RuleMatched
		if outcomes[i].Err != "" {
			counter = state.RuleErred
		}
		count(outcomes[i].Origin.Name, counter)
	}
	for _, name := range unknown {
		count(name, state.RuleUnknown)
	}
	if !completed {
		return
	}
	key.kind, key.name, key.survey = state.SurveyStats, ev.Source, ev.SurveyID
	if cell := c.cell(p, key); cell != nil {
		cell.score(nps, csat)
	}
}

// completesResponse reports whether an event completes a response of a survey with an ID. Every accepted response.completed counts, and
// no other type: partial responses are not complete, and an update would count the response twice.
func completesResponse(ev *event.Event) bool {
	return ev.Type == event.TypeResponseCompleted && ev.SurveyID != ""
}

// maxCSAT bounds the scores that are summed: scales end far below it.
const maxCSAT = 1000

// score counts a response and its scores; NaN: there is none.
func (c *cell) score(nps, csat float64) {
	c.counts[state.Responses]++
	if !math.IsNaN(nps) {
		switch event.NPSGroup(nps) {
		case "promoter":
			c.counts[state.NPSPromoters]++
		case "passive":
			c.counts[state.NPSPassives]++
		case "detractor":
			c.counts[state.NPSDetractors]++
		}
	}
	if csat >= 0 && csat <= maxCSAT {
		c.counts[state.CSATSum] += int64(math.Round(csat * CSATUnit))
		c.counts[state.CSATCount]++
	}
}

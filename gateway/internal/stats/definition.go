package stats

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// FewBelow is how many durations percentiles need. With fewer they say more about chance than about the destination, and "few" is
// shown in their place.
const FewBelow = 20

// CSATUnit is how a CSAT score is counted: in hundredths of a point of the survey's own scale.
const CSATUnit = 100

// Definition is what a figure means: for the API, pages and help texts of metrics alike. gateway/API.md lists them.
type Definition struct{ Figure, Meaning string }

// The texts that metrics and definitions share.
const (
	attemptMeaning      = "one request to a destination, or one chain of requests, by the last verdict on the delivery"
	responseTimeMeaning = "duration of attempts with an answer; an attempt without one counts as failed and as a timeout, and in no percentile"
)

// Definitions are all definitions, in the order in which they build on each other.
var Definitions = []Definition{
	{"attempt", attemptMeaning + ": delivered, retry, rejected or revoked. A delivery in a batch has an attempt with each request of the batch. " +
		"What was not sent, because its request cannot be built or its credentials cannot be had, is none; nor are skipped ones and tests"},
	{"success rate", "delivered / (delivered + retry + rejected + revoked), of attempts"},
	{"error rate", "1 − success rate"},
	{"timeouts", "attempts that failed without an answer: nothing came in time, or no connection"},
	{"response time", responseTimeMeaning},
	{"ended", "deliveries by how they ended, once each: delivered, dead (a dead letter), skipped (nothing to do for it) or dropped (by a person, or replaced by " +
		"a later revision). One that a person retries or replays ends once more"},
	{"delivery success", "delivered / (delivered + dead), of deliveries that ended"},
	{"age", "from the receipt of the event to the end of the attempt that delivered it, with every delay and retry in between: what a customer feels"},
	{"percentile", "the geometric middle of its bucket, which is within 9.1 % of the exact value; “few” for fewer than 20 durations"},
	{"asked", "events of a type that the rule accepts, at their first decision: matched + no + unknown + erred"},
	{"unknown", "the condition was evaluated, and the event lacks a field. `no` are all other events that did not match, also those that lack a value that the " +
		"condition requires to be equal to something (`survey.id == \"s1\" and …`): the gateway need not evaluate it then"},
	{"responses", "accepted events `response.completed`, by source and survey, once for each event at its first decision; duplicates, partial responses and updates are not counted"},
	{"NPS", "100 × (promoters − detractors) / (promoters + passives + detractors)"},
	{"CSAT", "the mean of the scores, in the survey's own scale"},
}

// Attempts returns how many attempts of a destination were counted.
func Attempts(c *state.Count) int64 {
	n := &c.Counts
	return n[state.AttemptsDelivered] + n[state.AttemptsRetry] + n[state.AttemptsRejected] + n[state.AttemptsRevoked]
}

// Failed returns how many attempts of a destination were not delivered.
func Failed(c *state.Count) int64 { return Attempts(c) - c.Counts[state.AttemptsDelivered] }

// SuccessRate returns the success rate of a destination's attempts; nil without any.
func SuccessRate(c *state.Count) *float64 {
	return ratio(c.Counts[state.AttemptsDelivered], Attempts(c))
}

// ErrorRate returns the error rate of a destination's attempts; nil without any.
func ErrorRate(c *state.Count) *float64 {
	return ratio(Failed(c), Attempts(c))
}

// DeliverySuccess returns which part of a destination's deliveries was delivered in the end; nil where none was delivered or dead.
func DeliverySuccess(c *state.Count) *float64 {
	n := &c.Counts
	return ratio(n[state.EndedDelivered], n[state.EndedDelivered]+n[state.EndedDead])
}

// Sent returns how many events a source was sent that are events, also those that were known already.
func Sent(c *state.Count) int64 {
	return c.Counts[state.EventsAccepted] + c.Counts[state.EventsDuplicate]
}

// Refused returns how many requests a source refused, for whatever reason.
func Refused(c *state.Count) (n int64) {
	for reason := range state.RefusalReasons {
		n += c.Counts[state.RequestsRefused+reason]
	}
	return n
}

// Asked returns how many events a rule was asked about.
func Asked(c *state.Count) int64 {
	n := &c.Counts
	return n[state.RuleMatched] + n[state.RuleNo] + n[state.RuleUnknown] + n[state.RuleErred]
}

// NPSScores returns how many NPS scores of a survey were counted.
func NPSScores(c *state.Count) int64 {
	n := &c.Counts
	return n[state.NPSPromoters] + n[state.NPSPassives] + n[state.NPSDetractors]
}

// NPS returns the net promoter score of a survey, from -100 to 100; nil without any score.
func NPS(c *state.Count) *float64 {
	n := &c.Counts
	score := ratio(n[state.NPSPromoters]-n[state.NPSDetractors], NPSScores(c))
	if score != nil {
		*score *= 100
	}
	return score
}

// CSAT returns the mean CSAT score of a survey; nil without any.
func CSAT(c *state.Count) *float64 {
	return ratio(c.Counts[state.CSATSum], CSATUnit*c.Counts[state.CSATCount])
}

// ratio returns a / of; nil where of is 0.
func ratio(a, of int64) *float64 {
	if of == 0 {
		return nil
	}
	r := float64(a) / float64(of)
	return &r
}

// Percentiles are those of durations. They are 0 where Few.
type Percentiles struct {
	N             int64
	Few           bool
	P50, P95, P99 time.Duration
}

// PercentilesOf returns the percentiles of durations.
func PercentilesOf(l state.Latencies) Percentiles {
	p := Percentiles{N: l.Total()}
	if p.Few = p.N < FewBelow; p.Few {
		return p
	}
	p.P50, p.P95, p.P99 = l.Percentile(50), l.Percentile(95), l.Percentile(99)
	return p
}

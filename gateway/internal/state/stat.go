package state

import "time"

// StatKind is what a Count counts.
type StatKind string

// The kinds of statistics. The name of a survey is SOURCE/SURVEY, as surveys are identified within their source.
const (
	DestinationStats StatKind = "destination"
	SourceStats      StatKind = "source"
	RuleStats        StatKind = "rule" // rules and webhooks that have events
	SurveyStats      StatKind = "survey"
)

// Counters of destinations, as indexes of Count.Counts. Attempts count by their last verdict; continue, skipped and tests are
// not attempts.
const (
	AttemptsDelivered = iota
	AttemptsRetry
	AttemptsRejected
	AttemptsRevoked
	AttemptsTimeout // of those above that failed: the ones without an answer
	EndedDelivered  // deliveries, once each
	EndedDead
	EndedSkipped
)

// Counters of sources. Events count as accepted, duplicate or invalid; requests as unavailable or refused.
const (
	EventsAccepted = iota
	EventsDuplicate
	EventsInvalid
	RequestsUnavailable
	// RequestsRefused is the first of the counters of refused requests, one for each reason: see RefusalReasons.
	RequestsRefused
)

// Counters of rules: events that the rule was asked about, by result.
const (
	RuleMatched = iota
	RuleNo
	RuleUnknown
	RuleErred
)

// Counters of surveys.
const (
	Responses = iota // completed responses
	NPSPromoters
	NPSPassives
	NPSDetractors
	CSATSum
	CSATCount
)

// StatStep is the length of the time that a Count covers.
type StatStep string

// The steps, each kept for a time of its own: minutes 24 hours, hours 30 days, days 400 days. Days and hours are UTC's.
const (
	ByMinute StatStep = "minute"
	ByHour   StatStep = "hour"
	ByDay    StatStep = "day"
)

// MaxCounters is how many counters a Count has.
const MaxCounters = 16

// Count is what was counted of one thing within a minute, hour or day.
type Count struct {
	Tenant string
	Kind   StatKind
	// Name is the destination's, source's, rule's or survey's; empty is the total of the tenant.
	Name string
	// At is the start of the minute, hour or day.
	At     time.Time
	Counts [MaxCounters]int64
	// Took are the durations of attempts with an answer; Age the times from an event's receipt to its successful delivery.
	Took, Age Latencies
}

// Latencies counts durations by buckets, four to each doubling: bucket i holds those from Floor(i) up to Floor(i+1). They reach
// from 1 ms to 5 min; shorter and longer ones are in the first and the last bucket.
type Latencies map[uint8]int64

// CountQuery selects counts.
type CountQuery struct {
	Kind StatKind
	// Names selects some; an empty name is the tenant's total. Nil selects all names, without the total.
	Names        []string
	Step         StatStep
	Since, Until time.Time
}

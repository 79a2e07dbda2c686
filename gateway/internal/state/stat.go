package state

import (
	"fmt"
	"slices"
	"time"
)

// StatKind is what a Count counts.
type StatKind string

// The kinds of statistics. Each has a letter in keys (Letter). The name of a survey is SOURCE/SURVEY, as surveys are identified within their source.
const (
	DestinationStats StatKind = "destination"
	SourceStats      StatKind = "source"
	RuleStats        StatKind = "rule" // rules and webhooks that have events
	SurveyStats      StatKind = "survey"
)

// StatKinds are all kinds.
var StatKinds = [...]StatKind{DestinationStats, SourceStats, RuleStats, SurveyStats}

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
	EndedDropped // by a person, or replaced by a revision
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
	CSATSum // in hundredths of a point
	CSATCount
)

// MaxCounters is how many counters a Count has.
const MaxCounters = 16

// OtherName is the name under which an engine counts names that it does not keep: those beyond MaxStatNames of a tenant and kind,
// and those longer than MaxStatName. A thing that is really called so shares its counts.
const OtherName = "other"

// Bounds of statistics.
const (
	// MaxStatNames is how many names of a tenant and kind have counts of their own, beside the total and OtherName. A name leaves
	// when it was not counted for as long as days are kept.
	MaxStatNames = 2000
	// MaxStatName is the length of a name in bytes.
	MaxStatName = 200
	// MaxCountCells is how many cells a query may ask for: its names times the steps of its span.
	MaxCountCells = 100_000
)

// Count is what was counted of one thing within a minute, hour or day.
type Count struct {
	Tenant string
	Kind   StatKind
	// Name is the destination's, source's, rule's or survey's; empty is the total of the tenant. The store adds nothing up over
	// names: who counts adds to the total by a Count of its own.
	Name string
	// At is the start of the minute, hour or day.
	At time.Time
	// Counts has the meaning that the constants above give it for the kind. No count is negative.
	Counts [MaxCounters]int64
	// Took are the durations of attempts with an answer; Age the times from an event's receipt to its successful delivery.
	Took, Age Latencies
}

// Add adds the counts of another Count.
func (c *Count) Add(o *Count) {
	for i, n := range o.Counts {
		c.Counts[i] += n
	}
	c.Took, c.Age = c.Took.Merge(o.Took), c.Age.Merge(o.Age)
}

// CountQuery selects counts.
type CountQuery struct {
	Kind StatKind
	// Names selects some; an empty name is the tenant's total. Nil selects all names, without the total.
	Names []string
	Step  StatStep
	// Since and Until select the cells that start at Since or later, and before Until. A zero Since is as far back as the step is
	// kept, a zero Until includes the present.
	Since, Until time.Time
	// Counters leaves Took and Age out, whose reading takes most of the time.
	Counters bool
	// Sum adds up what each name has: one Count of it, with the time of its first cell.
	Sum bool
}

// CheckCounts checks the arguments of AddCounts.
func CheckCounts(counts []Count) error {
	for i := range counts {
		c := &counts[i]
		if c.Tenant == "" || c.Kind.Letter() == 0 || c.At.IsZero() {
			return fmt.Errorf("%w: count of %s %q of tenant %q at %v: tenant, a kind and a time are required", ErrInvalid, c.Kind, c.Name, c.Tenant, c.At)
		}
		if !c.Took.valid() || !c.Age.valid() || slices.Min(c.Counts[:]) < 0 {
			return fmt.Errorf("%w: count of %s %q of tenant %q: a count is negative, or a bucket is unknown or out of order", ErrInvalid, c.Kind, c.Name, c.Tenant)
		}
	}
	return nil
}

// KeptName reports whether a name may have counts of its own: not the total, OtherName or one that is too long.
func KeptName(name string) bool { return name != "" && name != OtherName && len(name) <= MaxStatName }

// Letter returns the letter of a kind in keys; 0: there is no such kind.
func (k StatKind) Letter() byte {
	switch k {
	case DestinationStats:
		return 'd'
	case SourceStats:
		return 's'
	case RuleStats:
		return 'r'
	case SurveyStats:
		return 'v'
	}
	return 0
}

// UnreadCounts is the warning of Health about counts that cannot be read; empty if n is 0.
func UnreadCounts(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("statistics: %d times a count was left out that cannot be read: it is damaged, or of a newer version", n)
}

package config

import (
	"cmp"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Guard limits when and how often a rule sends. The zero value limits nothing.
type Guard struct {
	Quiet      Quiet
	AtMost     AtMost
	ContactCap ContactCap
}

// IsZero reports whether nothing is limited.
func (g *Guard) IsZero() bool { return *g == Guard{} }

// Words returns the guardrails as people read them; empty for those that are not set.
func (g *Guard) Words() (quiet, atMost, contactCap string) {
	if g.Quiet.Zone != nil {
		quiet = g.Quiet.String()
	}
	if g.AtMost.Count > 0 {
		atMost = fmt.Sprintf("%d per %s", g.AtMost.Count, ShortTime(g.AtMost.Per))
		if g.AtMost.Digest {
			atMost += ", then a digest"
		}
	}
	if g.ContactCap.Count > 0 {
		contactCap = fmt.Sprintf("%d per %s for each person", g.ContactCap.Count, ShortTime(g.ContactCap.Per))
	}
	return quiet, atMost, contactCap
}

// Quiet are hours in which nothing is sent; what is owed waits for their end. Zone nil: there are none.
type Quiet struct {
	// From and To are times of a day, in minutes from midnight. To may be before From: then they span midnight.
	From, To int
	Zone     *time.Location
}

// End returns when the quiet hours end that a time is in: at the first minute that is in none by the clock of the zone, which may jump
// meanwhile. Zero: the time is in none.
func (q *Quiet) End(now time.Time) (end time.Time) {
	if !q.in(now) {
		return end
	}
	const day = 24 * 60
	for end = now.Truncate(time.Minute); q.in(end); {
		end = end.Add(time.Duration((q.To-q.minute(end)+day)%day) * time.Minute)
	}
	for { // where the clock was put forward meanwhile
		before := end.Add(-time.Minute)
		if q.in(before) {
			return end
		}
		end = before
	}
}

// in reports whether a time is in the quiet hours.
func (q *Quiet) in(at time.Time) bool {
	if q.Zone == nil {
		return false
	}
	minute := q.minute(at)
	if q.From > q.To {
		return minute >= q.From || minute < q.To
	}
	return minute >= q.From && minute < q.To
}

// minute returns how many minutes after midnight the clock of the zone shows.
func (q *Quiet) minute(at time.Time) int {
	at = at.In(q.Zone)
	return at.Hour()*60 + at.Minute()
}

// String returns the hours as people write them.
func (q *Quiet) String() string {
	return fmt.Sprintf("%02d:%02d to %02d:%02d %s", q.From/60, q.From%60, q.To/60, q.To%60, q.Zone)
}

// AtMost bounds how many messages each step of a rule sends in each period. Count 0: no bound.
type AtMost struct {
	Per   time.Duration
	Count int
	// Digest sends one message about the others when the period ends; else they are skipped.
	Digest bool
}

// ContactCap bounds how often a person hears from all rules of a destination that have a cap. Count 0: no bound.
type ContactCap struct {
	Per   time.Duration
	Count int
}

// Bounds of guardrails.
const (
	minAtMostPer     = time.Minute
	maxAtMostPer     = 7 * 24 * time.Hour
	maxAtMost        = 1000
	maxContactCap    = 100
	maxContactCapPer = 400 * 24 * time.Hour
)

// quietSettings are hours of the day.
type quietSettings struct {
	// From is when the quiet hours begin, such as `"22:00"`.
	From dayTime `yaml:"from"`
	// To is when they end, such as `"08:00"`.
	To dayTime `yaml:"to"`
	// Timezone is that of the hours, such as `Europe/Istanbul`; without it, the rule's, or else UTC.
	Timezone zone `yaml:"timezone,omitempty"`
}

// atMostSettings bounds the messages of a period.
type atMostSettings struct {
	// Per is the period, from 1m to 7d.
	Per time.Duration `yaml:"per"`
	// Count is how many messages each step sends in a period.
	Count int `yaml:"count"`
	// Then is what becomes of the others: `skip`, or `digest`, one message about them when the period ends; without it, `skip`.
	Then overLimit `yaml:"then,omitempty"`
}

// contactCapSettings bounds how often a person hears.
type contactCapSettings struct {
	// Per is the period, from 1m to 400d.
	Per time.Duration `yaml:"per"`
	// Count is how often the person hears in a period; without it, once.
	Count *int `yaml:"count,omitempty"`
	// By is `respondent`: the e-mail address, or else the phone number, or else an id.
	By capBy `yaml:"by,omitempty"`
}

// dayTime is a time of a day in minutes from midnight.
type dayTime int

// UnmarshalText reads 22:00.
func (d *dayTime) UnmarshalText(b []byte) error {
	at, err := time.Parse("15:04", string(b))
	if err != nil {
		return fmt.Errorf("`%s` is not a time of a day; write it as \"22:00\"", b)
	}
	*d = dayTime(at.Hour()*60 + at.Minute())
	return nil
}

// overLimit is what becomes of messages beyond at_most.
type overLimit string

func (o *overLimit) UnmarshalText(b []byte) error {
	return unmarshalOneOf(o, b, "a value of `then`", "skip", "digest")
}

// capBy is whom a cap counts.
type capBy string

func (c *capBy) UnmarshalText(b []byte) error {
	return unmarshalOneOf(c, b, "a value of `by`", "respondent")
}

// guardrails applies the guardrails of a rule.
func (l *loader) guardrails(r *Rule, s *ruleSettings) {
	g := &r.Guard
	if at := s.Node.Key("quiet"); at != nil && at.Kind == document.Mapping && !at.HasUnset() && !l.hasFault(at) {
		g.Quiet = Quiet{From: int(s.Quiet.From), To: int(s.Quiet.To), Zone: s.Quiet.Timezone.Location}
		if g.Quiet.Zone == nil {
			g.Quiet.Zone = cmp.Or(r.Zone, time.UTC)
		}
		if g.Quiet.From == g.Quiet.To {
			l.fault(at.Fault("the quiet hours end when they begin", `write quiet: {from: "22:00", to: "08:00"}`))
		}
	}
	if at := s.Node.Key("at_most"); at != nil && at.Kind == document.Mapping && !at.HasUnset() && !l.hasFault(at) {
		g.AtMost = AtMost{Per: s.AtMost.Per, Count: s.AtMost.Count, Digest: s.AtMost.Then == "digest"}
		l.within(at, "per", g.AtMost.Per, minAtMostPer, maxAtMostPer)
		l.counted(at, g.AtMost.Count, maxAtMost, "to send nothing, write enabled: false")
		if g.AtMost.Digest {
			l.digests(r, at.Key("then"))
		}
	}
	if at := s.Node.Key("contact_cap"); at != nil && at.Kind == document.Mapping && !at.HasUnset() && !l.hasFault(at) {
		g.ContactCap = ContactCap{Per: s.ContactCap.Per, Count: 1}
		if s.ContactCap.Count != nil {
			g.ContactCap.Count = *s.ContactCap.Count
		}
		l.within(at, "per", g.ContactCap.Per, minAtMostPer, maxContactCapPer)
		l.counted(at, g.ContactCap.Count, maxContactCap, "write a number from 1")
	}
}

// digests refuses a digest of a step whose product has none.
func (l *loader) digests(r *Rule, at *document.Node) {
	for _, s := range r.Steps {
		for _, c := range s.Build {
			if _, ok := c.(connectors.Digester); !ok && c != nil {
				l.fault(at.Fault(fmt.Sprintf("`%s` has no digest", s.Name), "write then: skip, or give the step a rule of its own"))
				return
			}
		}
	}
}

func (l *loader) within(at *document.Node, name string, d, least, most time.Duration) {
	if n := at.Key(name); n != nil && (d < least || d > most) {
		l.fault(n.Fault(fmt.Sprintf("`%s` is not from %s to %s", name, ShortTime(least), ShortTime(most)), "write a time such as 1h"))
	}
}

// ShortTime returns a duration in the largest unit that fits it, as in settings: 30d, 2h, 5m, 1m30s.
func ShortTime(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return d.String()
	}
}

func (l *loader) counted(at *document.Node, count, most int, remedy string) {
	if n := at.Key("count"); n != nil && (count < 1 || count > most) {
		if count > most {
			remedy = fmt.Sprintf("write at most %d", most)
		}
		l.fault(n.Fault(fmt.Sprintf("`count` is not from 1 to %d", most), remedy))
	}
}

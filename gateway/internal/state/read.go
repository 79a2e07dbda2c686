package state

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Reader reads what is kept. Lists are newest first, in pages; the cursor of a page leads to the next one.
type Reader interface {
	Event(ctx context.Context, tenant, id string) (*Record, error)
	Events(ctx context.Context, tenant string, q EventQuery) (*Page[*Record], error)
	// Range calls each for a tenant's events from a position up, in the order of positions, as they were when Range was
	// called. An error of each ends it and is returned.
	Range(ctx context.Context, tenant string, from uint64, each func(*Record) error) error
	// Oldest returns when a tenant's oldest kept event was received, by the order of positions, which deviates by up to
	// MaxDisorder. "*" means all tenants. Zero: no event is kept. It reads the beginning of each tenant's events: it is for
	// upkeep, not for requests.
	Oldest(ctx context.Context, tenant string) (time.Time, error)

	// Delivery returns one delivery with its attempts, as long as its event is kept.
	Delivery(ctx context.Context, tenant, id string) (*Delivery, error)
	// Deliveries lists deliveries; ended ones for as long as history is kept. Waiting ones are ordered by Created, all others
	// by Updated.
	Deliveries(ctx context.Context, tenant string, q DeliveryQuery) (*Page[Delivery], error)
}

// Record is an event as kept, with its outcome.
type Record struct {
	Event    *event.Event
	Position uint64
	// Outcome is nil until the event is committed. Its deliveries are as they are now, without their attempts. If the event
	// was revised it is the decision of the newest revision, with the deliveries of all revisions.
	Outcome *Outcome
	// Former are the revisions before the newest, oldest first, as far as they are kept (MaxFormer).
	Former []Former
	Claims int
	// Size is how many bytes it takes.
	Size int
}

// Former is a revision that is no longer the newest, with its decision.
type Former struct {
	// Event has no raw bytes: they are the same as those of the newest revision.
	Event *event.Event
	// Generation, At, Rules and Dead are as in Outcome.
	Generation string
	At         time.Time
	Rules      []RuleOutcome
	Dead       string
}

// EventQuery selects events; zero fields select all. Response and Respondent are indexed, everything else is a scan
// with a budget.
type EventQuery struct {
	// Response is a response id as a person knows it: it selects the responses with this id of all sources and surveys.
	// Together with Source and Survey it identifies one response.
	Response   string
	Respondent string // e-mail, phone or external id, as a person writes it
	Type       string
	Source     string
	Survey     string
	// Dead selects events that are themselves dead letters.
	Dead bool
	// Rule selects decided events that this rule or webhook matched. Matched selects those that any rule or webhook matched, or with
	// false those that none did; with Rule, that this one did, or did not. One whose condition failed did not match. Both are a search
	// through outcomes: see MaxOutcomes.
	Rule         string
	Matched      *bool
	Since, Until time.Time // of Received
	// Bare leaves out what was decided: records have Event, Position and Size alone, which costs a fraction. It does not go together
	// with Dead, Rule and Matched. A page ends at MaxBareBytes too.
	Bare   bool
	Limit  int // 0 is 50, at most 200; with Bare at most MaxBare
	Cursor string
}

// DeliveryQuery selects deliveries; zero fields select all.
type DeliveryQuery struct {
	State       DeliveryState
	Destination string
	Rule        string // rule or webhook
	EventID     string
	// Failed selects deliveries with at least one attempt that was not delivered.
	Failed bool
	// Verdict and Status are those of the last attempt. Status is a number, 0 where there was no answer, or a class: 5xx. They
	// cost a read of the attempts of each delivery that everything above selects.
	Verdict, Status string
	// Type and Source are those of the event. They cost a read of the event of each delivery that everything above selects.
	Type, Source string
	Since, Until time.Time // of Updated
	Limit        int       // 0 is 50, at most 200
	Cursor       string
}

// Matches reports whether the query selects a kept event, regardless of Since and Until.
func (q *EventQuery) Matches(r *Record, people *People) bool {
	return (q.Type == "" || r.Event.Type == q.Type) &&
		(q.Source == "" || r.Event.Source == q.Source) &&
		(q.Survey == "" || r.Event.SurveyID == q.Survey) &&
		(q.Response == "" || r.Event.ResponseID == q.Response) &&
		(!q.Dead || r.Outcome != nil && r.Outcome.Dead != "") &&
		(q.Respondent == "" || people.Matches(r.Event, q.Respondent)) &&
		q.matchesOutcome(r.Outcome)
}

// ReadsOutcomes reports whether the query selects by what was decided, so that each event has to be read.
func (q *EventQuery) ReadsOutcomes() bool { return q.Rule != "" || q.Matched != nil }

func (q *EventQuery) matchesOutcome(o *Outcome) bool {
	if !q.ReadsOutcomes() {
		return true
	}
	if o == nil || o.Dead != "" {
		return false
	}
	matched := slices.ContainsFunc(o.Rules, func(r RuleOutcome) bool { return r.Err == "" && (q.Rule == "" || r.Origin.Name == q.Rule) })
	return matched == (q.Matched == nil || *q.Matched)
}

// List is one of the lists of a destination's deliveries that engines keep.
type List int

// The lists: waiting deliveries by Created, dead letters by Updated, and history by time. Entries of history with a failed
// attempt have a list of their own, so that a day of successes does not push the one failure out of sight.
const (
	WaitingList List = iota
	DeadList
	HistoryList
	FailureList
)

// Lists returns the lists that hold the deliveries which the query selects.
func (q *DeliveryQuery) Lists() []List {
	switch {
	case q.Failed:
		return []List{FailureList}
	case q.State == Waiting:
		return []List{WaitingList}
	case q.State == Dead:
		return []List{DeadList}
	case q.State == "":
		return []List{WaitingList, DeadList, HistoryList, FailureList}
	}
	return []List{HistoryList, FailureList}
}

// Matches reports whether the query selects a delivery, regardless of Failed and EventID, which decide which list is read, and of what
// MatchesAttempt and MatchesEvent report.
func (q *DeliveryQuery) Matches(d *Delivery) bool {
	return (q.State == "" || d.State == q.State) &&
		(q.Destination == "" || d.Destination == q.Destination) &&
		(q.Rule == "" || d.Origin.Name == q.Rule) &&
		(q.Since.IsZero() || !d.Updated.Before(q.Since)) &&
		(q.Until.IsZero() || d.Updated.Before(q.Until))
}

// MatchesAttempt reports whether the query selects a delivery by its last attempt that is kept, which its Log ends with.
func (q *DeliveryQuery) MatchesAttempt(d *Delivery) bool {
	if q.Verdict == "" && q.Status == "" {
		return true
	}
	if len(d.Log) == 0 {
		return false
	}
	last := &d.Log[len(d.Log)-1]
	return (q.Verdict == "" || last.Verdict == q.Verdict) && (q.Status == "" || matchesStatus(q.Status, last.Status))
}

// NeedsEvent reports whether MatchesEvent has to be asked.
func (q *DeliveryQuery) NeedsEvent() bool { return q.Type != "" || q.Source != "" }

// MatchesEvent reports whether the query selects the deliveries of an event.
func (q *DeliveryQuery) MatchesEvent(eventType, source string) bool {
	return (q.Type == "" || eventType == q.Type) && (q.Source == "" || source == q.Source)
}

// IsStatus reports whether a text is a status that a query can select: 100 to 599, 0, or a class from 1xx to 5xx.
func IsStatus(text string) bool {
	if class, ok := strings.CutSuffix(text, "xx"); ok {
		return len(class) == 1 && class[0] >= '1' && class[0] <= '5'
	}
	n, err := strconv.Atoi(text)
	return err == nil && strconv.Itoa(n) == text && (n == 0 || n >= 100 && n <= 599)
}

func matchesStatus(text string, status int) bool {
	if class, ok := strings.CutSuffix(text, "xx"); ok {
		return strconv.Itoa(status/100) == class
	}
	return strconv.Itoa(status) == text
}

// The bounds of one page.
const (
	// MaxListEntries is how many list entries one page of deliveries may read. A delivery whose event is read counts as EventEntries.
	MaxListEntries = 5000
	EventEntries   = 10
	// MaxOutcomes is how many events one page may read to find those that a query of outcomes selects.
	MaxOutcomes = 400
	// MaxBare is how many events a page of a Bare query may have, and MaxBareBytes how many bytes, but for its last event.
	MaxBare      = 1000
	MaxBareBytes = 8 << 20
	// MaxDisorder is how far positions may deviate from the order of Received: an event with a lower position may have
	// been received this much later.
	MaxDisorder = 10 * time.Minute
)

// EncodeCursor makes a cursor from a place in a list. The place begins with a byte for the kind of cursor.
func EncodeCursor(place []byte) string { return base64.RawURLEncoding.EncodeToString(place) }

// DecodeCursor returns the place that a cursor was made from, without the byte for its kind. ErrCursor: it has another kind.
func DecodeCursor(cursor string, kind byte) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 || b[0] != kind {
		return nil, ErrCursor
	}
	return b[1:], nil
}

// Page is part of a list.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the next page; empty at the end.
	Next string
	// SearchedBackTo is how far back a scan got within its budget; zero if it reached the end.
	SearchedBackTo time.Time
	// RespondentsSince is set if the key that respondents are indexed with was lost: only events received since then are
	// found by their respondent. Zero: all are found.
	RespondentsSince time.Time
}

const (
	pageSize = 50
	pageMost = 200
)

// Check returns ErrInvalid for a query that contradicts itself.
func (q *EventQuery) Check() error {
	if q.Bare && (q.Dead || q.ReadsOutcomes()) {
		return fmt.Errorf("%w: a Bare query cannot select by outcomes", ErrInvalid)
	}
	return nil
}

// PageLimit returns how many items a page of the query has.
func (q *EventQuery) PageLimit() int {
	if q.Bare && q.Limit > 0 {
		return min(q.Limit, MaxBare)
	}
	return PageLimit(q.Limit)
}

// PageLimit returns how many items a page has if a query asks for limit.
func PageLimit(limit int) int {
	if limit <= 0 {
		return pageSize
	}
	return min(limit, pageMost)
}

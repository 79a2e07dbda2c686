package state

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Reader looks into what is kept. Lists are newest first, bounded by a page, and go on at its cursor.
type Reader interface {
	Event(ctx context.Context, tenant, id string) (*Record, error)
	Events(ctx context.Context, tenant string, q EventQuery) (*Page[*Record], error)
	// Range goes through a tenant's events from a position up, in the order of positions, as they were when it was called. The error of
	// each ends it and is returned.
	Range(ctx context.Context, tenant string, from uint64, each func(*Record) error) error

	// Delivery is one delivery with its attempts, as long as its event is kept. Deliveries shows what ended for as long
	// as history is; waiting ones stand in its order by Created, all others by Updated.
	Delivery(ctx context.Context, tenant, id string) (*Delivery, error)
	Deliveries(ctx context.Context, tenant string, q DeliveryQuery) (*Page[Delivery], error)
}

// Record is an event as kept, with its outcome.
type Record struct {
	Event    *event.Event
	Position uint64
	// Outcome is nil until it is committed. Its deliveries are as they stand now, without their attempts.
	// Of an event that was revised it is the decision of the newest revision; its deliveries are those of all.
	Outcome *Outcome
	// Former are the revisions before the newest, oldest first, as far as they are kept (MaxFormer).
	Former []Former
	Claims int
	// Size is the bytes it takes.
	Size int
}

// Former is a revision that is no longer the newest, with its decision.
type Former struct {
	// Event has no raw bytes: they are those of the newest.
	Event *event.Event
	// Generation, At, Rules and Dead are as in Outcome.
	Generation string
	At         time.Time
	Rules      []RuleOutcome
	Dead       string
}

// EventQuery selects events; zero fields select nothing out. ID, Response and Respondent are indexed,
// everything else is a scan with a budget.
type EventQuery struct {
	// Response is a response id, as a person has it in hand: it selects the responses of all sources and surveys that have it.
	// With Source and Survey it is one response.
	Response   string
	Respondent string // e-mail, phone or external id, as a person writes it
	Type       string
	Source     string
	Survey     string
	// Dead selects events that are themselves dead letters.
	Dead         bool
	Since, Until time.Time // of Received
	Limit        int       // 0 is 50, at most 200
	Cursor       string
}

// DeliveryQuery selects deliveries; zero fields select nothing out.
type DeliveryQuery struct {
	State       DeliveryState
	Destination string
	Rule        string // rule or webhook
	EventID     string
	// Failed selects deliveries with at least one attempt that was not delivered.
	Failed       bool
	Since, Until time.Time // of Updated
	Limit        int       // 0 is 50, at most 200
	Cursor       string
}

// Matches reports whether the query selects an event as it is kept, whenever it was received.
func (q *EventQuery) Matches(r *Record, people *People) bool {
	return (q.Type == "" || r.Event.Type == q.Type) &&
		(q.Source == "" || r.Event.Source == q.Source) &&
		(q.Survey == "" || r.Event.SurveyID == q.Survey) &&
		(q.Response == "" || r.Event.ResponseID == q.Response) &&
		(!q.Dead || r.Outcome != nil && r.Outcome.Dead != "") &&
		(q.Respondent == "" || people.Matches(r.Event, q.Respondent))
}

// List is one of the lists in which engines have the deliveries of a destination.
type List int

// The lists: what waits by Created, and by Updated what is dead, and what commits said of deliveries. Failures are apart
// from other history, so that a day of successes does not push the one failure out of sight.
const (
	WaitingList List = iota
	DeadList
	HistoryList
	FailureList
)

// Lists are those in which the deliveries that the query selects are found.
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

// Matches reports whether the query selects a delivery, apart from Failed, for which a list of its own is kept, and from
// EventID.
func (q *DeliveryQuery) Matches(d *Delivery) bool {
	return (q.State == "" || d.State == q.State) &&
		(q.Destination == "" || d.Destination == q.Destination) &&
		(q.Rule == "" || d.Origin.Name == q.Rule) &&
		(q.Since.IsZero() || !d.Updated.Before(q.Since)) &&
		(q.Until.IsZero() || d.Updated.Before(q.Until))
}

// The bounds of one page.
const (
	// MaxListEntries is how many entries of lists a page of deliveries may look at.
	MaxListEntries = 5000
	// MaxDisorder is how much later than a newer event an older one may have been received.
	MaxDisorder = 10 * time.Minute
)

// EncodeCursor makes a cursor of a place in a list, which begins with a byte for the cursor's kind.
func EncodeCursor(place []byte) string { return base64.RawURLEncoding.EncodeToString(place) }

// DecodeCursor is the place that a cursor of a kind was made of, without that byte; ErrCursor: it is another one.
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
	// Next goes on behind the last item; empty at the end.
	Next string
	// SearchedBackTo is how far a scan got within its budget; zero when it reached the end.
	SearchedBackTo time.Time
	// RespondentsSince is since when events are found by their respondent, where that is later than the oldest kept event:
	// the key that respondents are indexed with was lost. Zero: all are found.
	RespondentsSince time.Time
}

const (
	pageSize = 50
	pageMost = 200
)

// PageLimit is how many items a page has where a query asks for limit.
func PageLimit(limit int) int {
	if limit <= 0 {
		return pageSize
	}
	return min(limit, pageMost)
}

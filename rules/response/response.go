// Package response folds the events of one response into the response as it stands.
//
// A platform tells of one response in several events: started, partial, completed, corrected, a lead that was typed in later. A
// product, a chat channel and a person think of one response. A Response is made of one event with Of, and of two Responses with
// Merge; Fold does so for all events of a response, in the order in which they were accepted. It is a pure function of events and
// is kept nowhere.
//
// Of each field the newest event that has it counts; a field that an event lacks is not taken away. Of each question the newest
// answer counts; one that was given as nothing takes the old one away. Answers keep the order of their first appearance.
package response

import (
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// MaxEvents and MaxBytes bound the events that are folded: the newest.
const (
	MaxEvents = 256
	MaxBytes  = 16 << 20
)

// Response is one response, or a part of its events.
type Response struct {
	// Status is how far it has come: one of event.Started to event.Deleted.
	Status string
	// Version is 1 for what was submitted first; each further submission or change adds 1.
	Version int
	// Events is how many events it was made of.
	Events int
	// First and Last are when its first and its last event were received, by the order of acceptance.
	First, Last time.Time
	// Began is when it began at the platform, as its first event of type response.started says; zero without one.
	Began time.Time
	// Submitted is when it was submitted, as its first such event says; zero without one.
	Submitted time.Time

	submissions int
	content     *event.Overlay
}

// standing is what an event says of the status. A higher rank is never followed by a lower one, and of two equal ones the newer
// counts. Submits is set for events of a response that was submitted.
var standing = map[string]struct {
	status  string
	rank    int
	submits bool
}{
	event.TypeResponseStarted:      {event.Started, 1, false},
	event.TypeResponsePartial:      {event.Partial, 2, false},
	event.TypeAnswerUpserted:       {event.Partial, 2, false},
	event.TypeResponseDisqualified: {event.Disqualified, 3, false},
	event.TypeResponseOverquota:    {event.Overquota, 3, false},
	event.TypeResponseCompleted:    {event.Completed, 3, true},
	event.TypeResponseUpdated:      {event.Completed, 3, true},
	event.TypeResponseDeleted:      {event.Deleted, 4, false},
}

// types are the types that say the statuses.
var types = map[string]string{
	event.Started: event.TypeResponseStarted, event.Partial: event.TypeResponsePartial, event.Completed: event.TypeResponseCompleted,
	event.Disqualified: event.TypeResponseDisqualified, event.Overquota: event.TypeResponseOverquota, event.Deleted: event.TypeResponseDeleted,
}

// rank returns the rank of a status; 0 for one that is not known.
func rank(status string) int {
	for _, s := range standing {
		if s.status == status {
			return s.rank
		}
	}
	return 0
}

// Belongs reports whether an event of this type tells about its response: all do but tests and what the gateway makes itself.
func Belongs(eventType string) bool {
	return eventType != event.TypeTest && !strings.HasPrefix(eventType, event.GatewayPrefix)
}

// Of returns the response as one event tells it.
func Of(ev *event.Event) *Response {
	s := standing[ev.Type]
	r := &Response{
		Status: s.status, Events: 1, First: ev.Received, Last: ev.Received,
		content: event.NewOverlay(ev),
	}
	if ev.Type == event.TypeResponseStarted {
		r.Began = ev.Time
	}
	if s.submits {
		r.submissions, r.Submitted = 1, ev.Time
	}
	r.Version = max(1, r.submissions)
	return r
}

// Merge adds to r what the events that were accepted after its own tell. It changes and returns r; newer must not be used any more.
// It is associative.
func (r *Response) Merge(newer *Response) *Response {
	if rank(newer.Status) >= rank(r.Status) && newer.Status != "" {
		r.Status = newer.Status
	}
	r.Events += newer.Events
	r.Last = newer.Last
	if r.Began.IsZero() {
		r.Began = newer.Began
	}
	if r.Submitted.IsZero() {
		r.Submitted = newer.Submitted
	}
	r.submissions += newer.submissions
	r.Version = max(1, r.submissions)
	r.content = r.content.Over(newer.content)
	return r
}

// Fold returns the response that events tell together, in the order in which they were accepted; nil without events. Those that do
// not belong to a response (see Belongs) are left out.
func Fold(events []*event.Event) (r *Response) {
	for _, ev := range events {
		switch {
		case !Belongs(ev.Type):
		case r == nil:
			r = Of(ev)
		default:
			r.Merge(Of(ev))
		}
	}
	return r
}

// Event returns the response as an event, for rules and connectors: its content is that of the whole response, with its status and
// version; its id, its attributes and its raw bytes are those of like, which is one of its events. Its type is that of like, unless the
// response has come further: a partial event of a completed response stands for a completed one.
func (r *Response) Event(like *event.Event) (*event.Event, error) {
	typ := like.Type
	if own, ok := standing[typ]; ok && own.rank < rank(r.Status) {
		typ = types[r.Status]
	}
	return r.EventAs(like, typ)
}

// EventAs is Event with a given type.
func (r *Response) EventAs(like *event.Event, eventType string) (*event.Event, error) {
	return r.content.Event(like, event.Whole{
		Type: eventType, Status: r.Status, Version: r.Version, Events: r.Events, First: r.First, Last: r.Last, Started: r.Began, Completed: r.Submitted,
	})
}

// Start is when the response began: as its platform says, or else when its first event was received.
func (r *Response) Start() time.Time {
	if !r.Began.IsZero() && r.Began.Before(r.First) {
		return r.Began
	}
	return r.First
}

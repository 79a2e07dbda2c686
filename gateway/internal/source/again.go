package source

import (
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/rules/event"
)

// Why an event's raw bytes are not read again.
var (
	ErrNotKept  = errors.New("its raw body is not kept")
	ErrOwnForm  = errors.New("it was published in surveygate's own form, which no profile and no role reads")
	ErrNowOther = errors.New("today's profile makes other events of its body, and none of them is this one")
)

// Again reads a kept event's raw bytes as the source does today: it is what Normalise would make of them, as the next
// revision of the event, for event.Differences to compare. Of a body that was split each event keeps its own element, so
// each is read by itself.
//
// The error says why they cannot be read, in words for a person. Nothing is proved again, and where the body was taken as a
// test without a proof it stays one.
func (s *Source) Again(ev *event.Event) (next *event.Event, err error) {
	defer func() {
		if r := recover(); r != nil {
			next, err = nil, fmt.Errorf("reading its body panics: %v", r)
		}
	}()
	switch {
	case s.Profile == own || ownForm(ev):
		return nil, ErrOwnForm
	case len(ev.Raw.Body) == 0:
		return nil, ErrNotKept
	}
	events, err := s.Normalise(&Request{
		Method: "POST", Body: ev.Raw.Body, ContentType: ev.Raw.ContentType, Received: ev.Received,
		Verified: Verified{Kind: ev.Verified, Test: ev.Type == event.TypeTest && ev.Verified == KindNone},
	}, ev.Received)
	if err != nil {
		return nil, fmt.Errorf("today's profile cannot read its body: %w", err)
	}
	today, err := sameOf(events, ev)
	if err != nil {
		return nil, err
	}
	if today.Type == event.TypeUnknown && ev.Type != event.TypeUnknown {
		return nil, fmt.Errorf("today's profile, %s, does not know its body", s.Profile.Name)
	}
	return event.Revise(ev, today)
}

// sameOf is the event among several that is the same one: it has the same id, or, where the profile's key is another one
// today, the platform's own.
func sameOf(events []*event.Event, ev *event.Event) (*event.Event, error) {
	if len(events) == 1 {
		return events[0], nil
	}
	for _, e := range events {
		if e.ID == ev.ID {
			return e, nil
		}
	}
	var found *event.Event
	for _, e := range events {
		if ev.OrigID == "" || e.OrigID != ev.OrigID {
			continue
		}
		if found != nil {
			return nil, ErrNowOther
		}
		found = e
	}
	if found == nil {
		return nil, ErrNowOther
	}
	return found, nil
}

// ownForm says whether an event was published in our own form: its kind is that of our API, or its body is an event that
// names another kind, as one that another gateway sent on.
func ownForm(ev *event.Event) bool {
	if ev.SourceKind == event.DefaultSource {
		return true
	}
	if len(ev.Raw.Body) == 0 {
		return false
	}
	same, err := event.ParseOne(ev.Raw.Body, event.Defaults{
		Tenant: ev.Tenant, Source: ev.Source, Received: ev.Received, Verified: ev.Verified,
	})
	return err == nil && same.SourceKind == ev.SourceKind
}

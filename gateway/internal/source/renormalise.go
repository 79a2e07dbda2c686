package source

import (
	"errors"
	"fmt"
	"sync"

	"github.com/surveygate/surveygate/rules/event"
)

// Errors of Renormalise.
var (
	ErrNotKept  = errors.New("its raw body is not kept")
	ErrOwnForm  = errors.New("it was published in surveygate's own format, to which profiles and roles do not apply")
	ErrNowOther = errors.New("the current profile derives other events from its body, and none of them is this one")
)

// Renormalise normalises a kept event's raw bytes with the current profile and settings, and returns the result as the next
// revision of the event, for event.Differences to compare. If a body was split, each event has kept its own element and is read
// by itself.
//
// The error explains to a person why the bytes cannot be read. The request is not verified again; an event that accept_test
// accepted remains a test.
func (s *Source) Renormalise(ev *event.Event) (next *event.Event, err error) {
	return s.renormalise(ev, func() bool { return ownForm(ev) })
}

// RenormaliseBoth is Renormalise by two sources, at the cost of looking at the body's form once.
func RenormaliseBoth(a, b *Source, ev *event.Event) (first, second *event.Event, firstErr, secondErr error) {
	own := sync.OnceValue(func() bool { return ownForm(ev) })
	first, firstErr = a.renormalise(ev, own)
	second, secondErr = b.renormalise(ev, own)
	return first, second, firstErr, secondErr
}

func (s *Source) renormalise(ev *event.Event, ownForm func() bool) (next *event.Event, err error) {
	defer func() {
		if r := recover(); r != nil {
			next, err = nil, fmt.Errorf("reading its body panics: %v", r)
		}
	}()
	switch {
	case s.Profile == own || ownForm():
		return nil, ErrOwnForm
	case len(ev.Raw.Body) == 0:
		return nil, ErrNotKept
	}
	events, err := s.Normalise(&Request{
		Method: "POST", Body: ev.Raw.Body, ContentType: ev.Raw.ContentType, Received: ev.Received,
		Verified: Verified{Kind: ev.Verified, Test: ev.Type == event.TypeTest && ev.Verified == KindNone},
	}, ev.Received)
	if err != nil {
		return nil, fmt.Errorf("the current profile cannot read its body: %w", err)
	}
	today, err := findSame(events, ev)
	if err != nil {
		return nil, err
	}
	if today.Type == event.TypeUnknown && ev.Type != event.TypeUnknown {
		return nil, fmt.Errorf("the current profile, %s, does not recognise its body", s.Profile.Name)
	}
	return event.Revise(ev, today)
}

// findSame returns the event among several that has the same id, or the same id at the platform if the profile's dedupe key
// has changed.
func findSame(events []*event.Event, ev *event.Event) (*event.Event, error) {
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

// ownForm reports whether an event was published in surveygate's own format: its kind is the API's, or its body is an event
// that names another kind, such as one forwarded by another gateway.
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

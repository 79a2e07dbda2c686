package source

import (
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// own is the profile of events that are written in our own spelling already.
var own = &Profile{Name: event.DefaultSource, Decode: DecodeJSON}

// Own is the profile of a source whose sender speaks our own spelling: one event as event.ParseOne reads it. Nothing of
// it proves who the sender is.
func Own() *Profile { return own }

// ownEvent reads an event in our spelling. It may name its own source; its tenant is the source's. The error may be an
// *event.FieldError too.
func (s *Source) ownEvent(req *Request, received time.Time) ([]*event.Event, error) {
	ev, err := event.ParseOne(req.Body, event.Defaults{Tenant: s.Tenant, Source: s.Name, Received: received, Verified: req.Verified.Kind})
	if err != nil {
		return nil, err
	}
	return []*event.Event{ev}, nil
}

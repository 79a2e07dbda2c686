package source

import (
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// own is the profile of events in surveygate's own format.
var own = &Profile{Name: event.DefaultSource, Decode: DecodeJSON}

// Own returns the profile of a source that takes events in surveygate's own format, one for each request, as event.ParseOne
// reads them. It verifies nothing.
func Own() *Profile { return own }

// ownEvent parses an event in surveygate's own format. It may name another source; its tenant is the source's. The error may
// also be an *event.FieldError.
func (s *Source) ownEvent(req *Request, received time.Time) ([]*event.Event, error) {
	ev, err := event.ParseOne(req.Body, event.Defaults{Tenant: s.Tenant, Source: s.Name, Received: received, Verified: req.Verified.Kind})
	if err != nil {
		return nil, err
	}
	return []*event.Event{ev}, nil
}

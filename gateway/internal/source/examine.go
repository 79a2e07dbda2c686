package source

import (
	"errors"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Examined is how a source reads a request, for people who look at it.
type Examined struct {
	// Checks are those of Inspect. Proved: Verify accepts the request as the platform's, by more than its address.
	Checks []Check
	Proved bool
	// Refused: Verify does not accept it. Events are made nevertheless.
	Refused bool
	Events  []*event.Event
	// Err is why no events could be made.
	Err error
	// Unread are those of Source.Unread. Incomplete: stop ended the search for them.
	Unread     []Unread
	Incomplete bool
}

// Examine verifies and normalises a request, and finds what was not read of it; stop is as for Unread. It changes req.Verified.
func (s *Source) Examine(req *Request, received time.Time, stop func() bool) (*Examined, error) {
	x := &Examined{Checks: s.Inspect(req)}
	verified, err := s.Verify(req)
	switch {
	case errors.Is(err, ErrRefused):
		x.Refused, req.Verified = true, Verified{Kind: KindNone}
	case err != nil:
		return nil, err
	}
	x.Proved = !x.Refused && verified.Kind != KindNone
	if x.Events, x.Err = s.Normalise(req, received); x.Err != nil {
		return x, nil
	}
	complete := false
	if x.Unread, complete, err = s.Unread(req, received, stop); err != nil {
		return nil, err
	}
	x.Incomplete = !complete
	return x, nil
}

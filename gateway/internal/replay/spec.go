// Package replay delivers many deliveries or events again, as a job that goes on until all of them are scheduled. It also drops many
// deliveries, as a job that selects them in the same way: see NewDrop.
//
// A replay first writes down what it selects, and then schedules that, oldest first, a second ahead at a time and no faster than its
// rate, nor than its destinations attempt it (pace). So what it does is fixed when it begins, and events of one respondent keep their order.
//
// Live traffic waits behind what is scheduled ahead at most, and a cancellation leaves that scheduled. It is a second's worth of the
// replay; to a destination with a rate of its own at least ten deliveries, spread over the time that they take there: 25 s at a rate of
// 1/s, and longer at a lower rate or where it does not keep up. A replay to several destinations schedules a second's worth for all of
// them together, whichever they go to.
package replay

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// Kind is the kind of the jobs of this package.
const Kind = "replay"

// As is what becomes of what a replay selects.
type As string

// Same sends the deliveries again, with their ids; Fresh sends them again with new ids, so that a receiver that drops ids it has seen takes
// them; Today decides their events again by today's configuration.
const (
	Same  As = "same"
	Fresh As = "fresh"
	Today As = "today"
)

// dropped is what becomes of what a drop selects.
const dropped As = "drop"

// Spec is what a replay was asked for.
type Spec struct {
	// Of is as the caller wrote it, for people; the times in it may be relative. Since and Until are the times that it meant.
	Of           view.ReplayOf `json:"of"`
	Since, Until time.Time
	As           As `json:"as"`
	// Rate is how many are scheduled in a second.
	Rate     float64 `json:"rate"`
	RateText string  `json:"rate_text"`
	Reason   string  `json:"reason,omitempty"`
}

// The bounds of a replay.
const (
	// MaxUnits bounds what one replay selects, MaxEvents the events that are named by their ids.
	MaxUnits  = 500_000
	MaxEvents = 1000
	// DefaultRate and MaxRate are per second.
	DefaultRate = 20
	MaxRate     = 500
	maxReason   = 500
)

// InvalidError says what is wrong with what was asked for. Loc leads to it.
type InvalidError struct {
	Loc     []string
	Problem string
}

func (e *InvalidError) Error() string { return strings.Join(e.Loc, ".") + ": " + e.Problem }

func invalid(problem string, loc ...string) error { return &InvalidError{loc, problem} }

// New checks what was asked for, and completes it. Since and until are the times that the request means.
func New(of view.ReplayOf, since, until time.Time, as, rate, reason string) (*Spec, error) {
	s := &Spec{Of: of, Since: since, Until: until, As: As(as), Reason: reason}
	if s.As == "" {
		s.As = Same
	}
	if of.Missing {
		if err := s.checkMissing(); err != nil {
			return nil, err
		}
	}
	if !slices.Contains([]As{Same, Fresh, Today}, s.As) {
		return nil, invalid("a replay is as `same`, `today` or `fresh`", "as")
	}
	var err error
	if s.Rate, s.RateText, err = parseRate(rate); err != nil {
		return nil, err
	}
	return s, s.check()
}

// NewDrop is New for a drop. It selects what waits, or dead letters: to say which of them is required, because a filter that was meant for
// dead letters must not end what is still to be tried.
func NewDrop(of view.ReplayOf, since, until time.Time, reason string) (*Spec, error) {
	s := &Spec{Of: of, Since: since, Until: until, As: dropped, Rate: MaxRate, Reason: reason}
	if of.Missing {
		return nil, invalid("what is missing cannot be dropped", "of", "missing")
	}
	if is := state.DeliveryState(of.State); !is.Open() {
		return nil, invalid("say what is dropped: what is `waiting`, or `dead`", "of", "state")
	}
	return s, s.check()
}

// checkMissing checks a selection of what is missing.
func (s *Spec) checkMissing() error {
	of := &s.Of
	switch {
	case s.As != Today:
		return invalid("what is missing is decided by today's configuration: say `today`", "as")
	case of.Rule == "":
		return invalid("say of which rule deliveries are missing", "of", "rule")
	case of.State != "" || of.Status != "" || of.Verdict != "" || of.Failed:
		return invalid("what is missing has no state, status or verdict, and has not failed", "of", "missing")
	}
	return nil
}

func (s *Spec) check() error {
	of := &s.Of
	if len(s.Reason) > maxReason {
		return invalid("a reason has at most "+strconv.Itoa(maxReason)+" bytes", "reason")
	}
	switch state.DeliveryState(of.State) {
	case "", state.Waiting, state.Delivered, state.Skipped, state.Dead, state.Dropped:
	default:
		return invalid("a delivery is waiting, delivered, skipped, dead or dropped", "of", "state")
	}
	if of.Status != "" && !state.IsStatus(of.Status) {
		return invalid("a status is a number such as 429, a class such as 5xx, or 0 where there was no answer", "of", "status")
	}
	if of.Verdict != "" && !slices.Contains(state.VerdictCodes, of.Verdict) {
		return invalid("a verdict is one of "+strings.Join(state.VerdictCodes, ", "), "of", "verdict")
	}
	if of.Type != "" && !event.IsCanonical(of.Type) {
		return invalid("`"+of.Type+"` is not a canonical type", "of", "type")
	}
	if len(of.Events) > MaxEvents {
		return invalid("at most "+strconv.Itoa(MaxEvents)+" events are named by their ids; select them by time or source", "of", "events")
	}
	for i, id := range of.Events {
		if id == "" || state.IsDeliveryID(id) {
			return invalid("this is not the id of an event", "of", "events", strconv.Itoa(i))
		}
	}
	if !s.Until.IsZero() && !s.Since.IsZero() && !s.Since.Before(s.Until) {
		return invalid("`since` is not before `until`", "of", "since")
	}
	if s.Since.IsZero() && s.Until.IsZero() && (!s.ofDeliveries() || of.Missing) && of.Type == "" && of.Source == "" && len(of.Events) == 0 {
		return invalid("say what is replayed: at least one of destination, state, status, verdict, failed, rule, type, source, since, until and events", "of")
	}
	return nil
}

// ofDeliveries reports whether deliveries are selected by what they are, and not only by their events.
func (s *Spec) ofDeliveries() bool {
	of := &s.Of
	return of.Destination != "" || of.State != "" || of.Status != "" || of.Verdict != "" || of.Failed || of.Rule != ""
}

// ofEvents reports whether the units are the events themselves, and not deliveries: also those that owed nothing.
func (s *Spec) ofEvents() bool { return s.As == Today && (!s.ofDeliveries() || s.Of.Missing) }

// query selects the deliveries, of those that changed before a time.
func (s *Spec) query(before time.Time) state.DeliveryQuery {
	of := &s.Of
	return state.DeliveryQuery{
		State: state.DeliveryState(of.State), Destination: of.Destination, Rule: of.Rule, Failed: of.Failed, Verdict: of.Verdict,
		Status: of.Status, Type: of.Type, Source: of.Source, Since: s.Since, Until: earlier(s.Until, before), Limit: pageLimit,
	}
}

// eventQuery selects the events, of those that were received before a time.
func (s *Spec) eventQuery(before time.Time) state.EventQuery {
	return state.EventQuery{Type: s.Of.Type, Source: s.Of.Source, Since: s.Since, Until: earlier(s.Until, before), Limit: pageLimit}
}

// pageLimit is the length of the pages that are read.
const pageLimit = 200

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// parseRate reads a rate such as 20/s, 600/m or 100/h.
func parseRate(text string) (perSecond float64, written string, err error) {
	if text == "" {
		return DefaultRate, strconv.Itoa(DefaultRate) + "/s", nil
	}
	var rate config.Rate
	if rate.UnmarshalText([]byte(text)) != nil {
		return 0, "", invalid("a rate is a number and a unit, such as 20/s, 600/m or 100/h", "rate")
	}
	if perSecond = rate.PerSecond(); perSecond > MaxRate {
		return 0, "", invalid("at most "+strconv.Itoa(MaxRate)+"/s are replayed", "rate")
	}
	return perSecond, text, nil
}

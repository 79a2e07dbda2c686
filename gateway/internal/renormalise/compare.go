package renormalise

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// stepOf identifies the step of deliveries of several revisions.
type stepOf struct {
	origin state.Origin
	step   string
}

// earlier returns the deliveries of a step, those of the newest revision last.
func earlier(record *state.Record, of stepOf) (all []*state.Delivery) {
	for i := range record.Outcome.Deliveries {
		if d := &record.Outcome.Deliveries[i]; d.Origin == of.origin && d.Step == of.step {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b *state.Delivery) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.Created.Compare(b.Created))
	})
	return all
}

func open(d *state.Delivery) bool { return d.State == state.Waiting || d.State == state.Dead }

// same reports whether the next revision would send a destination the same request as an earlier delivery, and the state of that
// delivery. Both requests are built by today's step, so changes of the configuration do not count.
func same(o *decide.Owed, record *state.Record, before *state.Delivery, next *event.Event) (same bool, why string) {
	was := revision(record, before.Revision)
	if was == nil {
		return false, ""
	}
	is, err := next.WithRevision(was.Revision)
	if err != nil {
		return false, ""
	}
	then, now := tell(o.Build, was), tell(o.Build, is)
	switch {
	case !then.equal(&now):
		return false, ""
	case now.skipped != "":
		return true, "it would be skipped as before: " + now.skipped
	case before.State == state.Skipped: // by a configuration that has changed since, or by the product
		return false, ""
	case before.State == state.Dropped && strings.HasPrefix(before.Reason, state.SupersededBy): // not by hand
		return false, ""
	case before.State == state.Delivered:
		return true, "it was delivered with the same request"
	}
	return true, "its request is the same, and it is " + string(before.State)
}

// revision returns a stored revision of an event, with the raw bytes that all revisions share; nil if it is no longer stored.
func revision(record *state.Record, n int) *event.Event {
	if record.Event.Revision == n {
		return record.Event
	}
	for i := range record.Former {
		if f := record.Former[i].Event; f.Revision == n {
			ev, err := event.Decode(f.Envelope(), record.Event.Raw.Body)
			if err != nil {
				return nil
			}
			return ev
		}
	}
	return nil
}

// told is the content that a step sends its product for an event.
type told struct {
	request *connectors.Request
	rest    []byte
	skipped string
	err     string
	unsure  bool // there are requests behind the first one that are not known
}

func (t *told) equal(o *told) bool {
	return !t.unsure && !o.unsure && t.skipped == o.skipped && t.err == o.err && bytes.Equal(t.rest, o.rest) && reflect.DeepEqual(t.request, o.request)
}

func tell(build connectors.Connector, ev *event.Event) (t told) {
	defer func() {
		if r := recover(); r != nil {
			t = told{err: "building its request panics"}
		}
	}()
	ev = ev.WithBudget(nil)
	req, err := build.Build(ev)
	if skipped, ok := errors.AsType[*connectors.Skipped](err); ok {
		return told{skipped: skipped.Reason}
	}
	if err != nil {
		return told{err: err.Error()}
	}
	t.request = req
	if chained, ok := build.(connectors.Chained); ok && chained.MaxRequests() > 1 {
		follower, ok := build.(connectors.ChainComparer)
		if t.unsure = !ok; ok {
			if t.rest, err = follower.LaterContent(ev); err != nil {
				t.err = err.Error()
			}
		}
	}
	return t
}

// supposed maps keys of `once` to the events that would have reserved them if the run were not dry.
type supposed map[string]string

// taken are the events that have told a response already what is to be told once, by key. What nobody has is reserved, but
// for a dry run, which supposes it; what this event reserved before is its own, so that one that was interrupted goes on.
func (n *Normaliser) taken(ctx context.Context, ev *event.Event, owed []decide.Owed, how How, told supposed) (map[string]string, error) {
	var keys []state.OnceKey
	for i := range owed {
		if owed[i].Once != "" {
			keys = append(keys, state.OnceKey{Key: owed[i].Once, Owner: ev.ID})
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	ttl := decide.OnceFor
	if how.DryRun {
		ttl = 0
	}
	owners, err := n.Store.Once(ctx, ev.Tenant, keys, ttl)
	if err != nil {
		return nil, fmt.Errorf("read again: %w", err)
	}
	taken := map[string]string{}
	for i, owner := range owners {
		if key := keys[i].Key; how.DryRun && owner == "" {
			if owner = told[key]; owner == "" {
				told[key] = ev.ID
			}
		}
		if owner != "" && owner != ev.ID {
			taken[keys[i].Key] = owner
		}
	}
	return taken, nil
}

func normalised(d *state.Delivery, why string) view.NormalisedDelivery {
	return view.NormalisedDelivery{ID: d.ID, Kind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step, Destination: d.Destination, Why: why}
}

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

// stepOf is what deliveries of several revisions have in common.
type stepOf struct {
	origin state.Origin
	step   string
}

// earlier are a step's deliveries, those of the newest revision last.
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

// same says whether a destination would be told by the next revision what an earlier delivery tells it, and where that one
// stands. Both requests are built by today's step: what the configuration changed meanwhile does not count.
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

// revision is an event's revision as it is kept, with the raw bytes that all have; nil where it is kept no longer.
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

// told is what a step sends to its product for an event.
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

// supposed are the events that a dry run takes for those which told what is told once, by key: in earnest they would have
// reserved it.
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

package api

import (
	"errors"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// record returns the event that the path names, by its id or by the id it was published with.
func (a *API) record(c *route.Call) (*state.Record, error) {
	id := c.Segment("id")
	record, err := a.Store.Event(c.Base, c.Tenant, id)
	if errors.Is(err, state.ErrNotFound) {
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		return a.published(c, id)
	}
	return record, err
}

// maxNamed bounds the sources that are searched for an id.
const maxNamed = 100

// published finds an event by the caller's own id, from which its id is made: with the source that was named, else
// with our API's and each that is configured.
func (a *API) published(c *route.Call, id string) (*state.Record, error) {
	names := append([]string{event.DefaultSource}, a.sourceNames(c.Tenant)...)
	if name := c.Asked("source"); name != "" {
		names = []string{name}
	}
	var found *state.Record
	for _, at := range keysOf(names[:min(len(names), maxNamed)], id) {
		record, err := a.bestProved(c, event.IDs(c.Tenant, at.source, at.key))
		switch {
		case err != nil:
			return nil, err
		case record == nil:
		case found != nil && found.Event.ID != record.Event.ID && found.Event.Source == record.Event.Source:
			return nil, answer.Conflict("two CloudEvents may be meant, because their source holds #: ask by the id that publishing answered")
		case found != nil && found.Event.ID != record.Event.ID:
			return nil, answer.Conflict("the sources " + found.Event.Source + " and " + record.Event.Source + " both have an event of that id: say which with `source`")
		default:
			found = record
		}
	}
	if found == nil {
		return nil, answer.NotFound("event")
	}
	return found, nil
}

// named is a dedupe key within a source.
type named struct{ source, key string }

// keysOf returns the dedupe keys that an id can mean in each source.
func keysOf(sources []string, id string) []named {
	var all []named
	for _, source := range sources {
		if source != event.DefaultSource {
			all = append(all, named{source, id})
			continue
		}
		for _, key := range event.PublishedKeys(id) {
			all = append(all, named{source, key})
		}
	}
	return all
}

// bestProved returns the event of the first id that is stored, in the order of their proofs, best first; nil if none is.
func (a *API) bestProved(c *route.Call, ids []string) (*state.Record, error) {
	for _, id := range ids {
		record, err := a.Store.Event(c.Base, c.Tenant, id)
		if !errors.Is(err, state.ErrNotFound) {
			return record, err
		}
	}
	return nil, nil //nolint:nilnil // nil: no such event
}

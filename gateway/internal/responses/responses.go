// Package responses reads the events of one response from the store.
package responses

import (
	"context"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/response"
)

// Reader is the part of the store that is read.
type Reader interface {
	Events(ctx context.Context, tenant string, q state.EventQuery) (*state.Page[*state.Record], error)
}

// Kept is what is kept of one response.
type Kept struct {
	// Records are its events, in the order in which they were accepted: the newest, up to response.MaxEvents and response.MaxBytes.
	Records []*state.Record
	// More is set if there are older ones.
	More bool
}

const (
	// pageOf is how many events are read at once. Most responses have fewer.
	pageOf = 16
	// maxPages bounds the pages, as many responses may have the same id.
	maxPages = 64
)

// Of reads the response of an event. An event without a response id is a response of its own, of which nothing is read.
func Of(ctx context.Context, store Reader, ev *event.Event) (*Kept, error) {
	if ev.ResponseKey() == "" {
		return &Kept{}, nil
	}
	q := state.EventQuery{Response: ev.ResponseID, Source: ev.Source, Survey: ev.SurveyID, Limit: pageOf}
	kept := &Kept{}
	for bytes, pages := 0, 1; ; pages++ {
		page, err := store.Events(ctx, ev.Tenant, q)
		if err != nil {
			return nil, fmt.Errorf("events of response %s: %w", ev.ResponseID, err)
		}
		for _, r := range page.Items {
			if r.Event.ResponseKey() != ev.ResponseKey() || !response.Belongs(r.Event.Type) {
				continue
			}
			if bytes += r.Event.Size(); len(kept.Records) > 0 && (bytes > response.MaxBytes || len(kept.Records) == response.MaxEvents) {
				kept.More = true
				break
			}
			kept.Records = append(kept.Records, r)
		}
		if kept.More = kept.More || pages == maxPages && page.Next != ""; kept.More || page.Next == "" {
			slices.Reverse(kept.Records)
			return kept, nil
		}
		q.Cursor = page.Next
	}
}

const (
	// maxSameID is how many responses with one id are shown.
	maxSameID = 10
	// sameIDPages bounds the pages in which they are looked for.
	sameIDPages = 13
)

// WithID reads the responses with an id, of one source and survey if they are given: the one that moved last first, and at most ten, or
// as many as response.MaxBytes hold.
func WithID(ctx context.Context, store Reader, tenant, id, source, survey string) (all []*Kept, err error) {
	q := state.EventQuery{Response: id, Source: source, Survey: survey, Limit: pageOf}
	seen, bytes := map[string]bool{}, 0
	for range sameIDPages {
		page, err := store.Events(ctx, tenant, q)
		if err != nil {
			return nil, fmt.Errorf("responses %s: %w", id, err)
		}
		for _, r := range page.Items {
			key := r.Event.ResponseKey()
			if key == "" || seen[key] || !response.Belongs(r.Event.Type) {
				continue
			}
			if len(all) == maxSameID || bytes > response.MaxBytes {
				return all, nil
			}
			seen[key] = true
			kept, err := Of(ctx, store, r.Event)
			if err != nil {
				return nil, err
			}
			for _, r := range kept.Records {
				bytes += r.Event.Size()
			}
			if len(kept.Records) > 0 {
				all = append(all, kept)
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	return all, nil
}

// Fold returns the response as it stands; nil if nothing is kept.
func (k *Kept) Fold() *response.Response {
	events := make([]*event.Event, len(k.Records))
	for i, r := range k.Records {
		events[i] = r.Event
	}
	return response.Fold(events)
}

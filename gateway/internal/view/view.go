// Package view declares the JSON of the API, once: its types, and the functions that make them from values of the store and of
// the configuration. The API writes them, package client reads them. Wire names and their order are part of the API.
//
// It imports no web framework, so that a client does not either. Each type is flat: fields with JSON names and comments.
package view

import "github.com/surveygate/surveygate/gateway/internal/state"

// Page is a part of a list.
type Page[T any] struct {
	Data []T `json:"data"`
	// Next is the `cursor` of the next page; null at the end.
	Next *string `json:"next"`
	// SearchedBackTo is how far a search got within its budget; absent where it reached the end. Next continues there.
	SearchedBackTo Time `json:"searched_back_to,omitzero"`
	// SearchedBy is what a search with `q` found its text as: delivery, event, response or respondent; absent without `q`, and where nothing
	// was found.
	SearchedBy string `json:"searched_by,omitempty"`
	// RespondentsSince is since when events are found by their respondent, where the key of that index was lost.
	RespondentsSince Time `json:"respondents_since,omitzero"`
}

// NewPage makes a page of a page of the store.
func NewPage[T, V any](p *state.Page[T], view func(T) V) Page[V] {
	out := Page[V]{Data: make([]V, len(p.Items)), SearchedBackTo: Time{p.SearchedBackTo}, RespondentsSince: Time{p.RespondentsSince}}
	for i, item := range p.Items {
		out.Data[i] = view(item)
	}
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

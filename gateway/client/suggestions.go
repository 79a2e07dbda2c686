package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// What stored events suggest.
type (
	// Suggestions are roles of questions, and rules that match nothing.
	Suggestions = view.Suggestions
	// SourceSuggestions are the suggestions for one source.
	SourceSuggestions = view.SourceSuggestions
	// SuggestedRole is a question that no role reads, and what it looks like.
	SuggestedRole = view.SuggestedRole
	// SilentRule is a rule or webhook that matched no event.
	SilentRule = view.SilentRule
)

// Suggestions returns what the newest events suggest, for all sources or, if source is not empty, for one.
func (c *Client) Suggestions(ctx context.Context, source string) (*Suggestions, error) {
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	found := &Suggestions{}
	return found, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/suggestions", Query: query, Into: found})
}

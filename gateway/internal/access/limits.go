package access

import "github.com/surveygate/surveygate/gateway/config"

// Limits are the limits of a tenant's plan. A nil limit is the operator's.
type Limits struct {
	// Webhooks, Connections, Sources, Rules and Tokens are how many a tenant may make by API. What files define does not count.
	Webhooks    *int `json:"webhooks,omitempty"`
	Connections *int `json:"connections,omitempty"`
	Sources     *int `json:"sources,omitempty"`
	Rules       *int `json:"rules,omitempty"`
	Tokens      *int `json:"tokens,omitempty"`
	// EventsPerMinute is how many events a tenant may publish on POST /v1/events.
	EventsPerMinute *int `json:"events_per_minute,omitempty"`
}

// Unlimited is the limit where there is none.
const Unlimited = -1

// of returns the limit of a kind; nil: the plan has none of its own.
func (l *Limits) of(kind string) *int {
	switch kind {
	case "webhook":
		return l.Webhooks
	case "connection":
		return l.Connections
	case "source":
		return l.Sources
	case "rule":
		return l.Rules
	case "token":
		return l.Tokens
	case eventsPerMinute:
		return l.EventsPerMinute
	}
	return nil
}

const eventsPerMinute = "events_per_minute"

// ceiling returns the operator's limit of a kind.
func ceiling(c *config.Limits, kind string) int {
	switch kind {
	case "webhook":
		return c.Webhooks
	case "connection":
		return c.Connections
	case "source":
		return c.Sources
	case "rule":
		return c.Rules
	case "token":
		return c.Tokens
	case eventsPerMinute:
		if c.EventsPerMinute > 0 {
			return c.EventsPerMinute
		}
	}
	return Unlimited
}

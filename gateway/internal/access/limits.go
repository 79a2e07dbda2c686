package access

import (
	"cmp"

	"github.com/surveygate/surveygate/gateway/config"
)

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

const eventsPerMinute = "events_per_minute"

// limited are the names of the limits, by the kind of thing that each limits.
var limited = map[string]string{
	"webhook": "webhooks", "connection": "connections", "source": "sources", "rule": "rules", "token": "tokens", eventsPerMinute: eventsPerMinute,
}

// All returns the limits by name.
func (l *Limits) All() map[string]*int {
	return map[string]*int{
		"webhooks": l.Webhooks, "connections": l.Connections, "sources": l.Sources, "rules": l.Rules, "tokens": l.Tokens, eventsPerMinute: l.EventsPerMinute,
	}
}

// over returns these limits, and those of others where one is nil.
func (l *Limits) over(others *Limits) Limits {
	return Limits{
		Webhooks: cmp.Or(l.Webhooks, others.Webhooks), Connections: cmp.Or(l.Connections, others.Connections), Sources: cmp.Or(l.Sources, others.Sources),
		Rules: cmp.Or(l.Rules, others.Rules), Tokens: cmp.Or(l.Tokens, others.Tokens), EventsPerMinute: cmp.Or(l.EventsPerMinute, others.EventsPerMinute),
	}
}

// ceilings returns the operator's limits.
func ceilings(c *config.Limits) *Limits {
	l := &Limits{Webhooks: &c.Webhooks, Connections: &c.Connections, Sources: &c.Sources, Rules: &c.Rules, Tokens: &c.Tokens}
	if c.EventsPerMinute > 0 {
		l.EventsPerMinute = &c.EventsPerMinute
	}
	return l
}

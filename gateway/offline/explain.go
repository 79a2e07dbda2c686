package offline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/rules/event"
)

// Explanation describes how one event was handled, or would be; Text prints it for a person.
type Explanation = explain.Explanation

// Explain returns what a configuration would do with a body: an event in surveygate's own format or, with a source, a body of that
// source's platform. Environment variables may be unset.
func Explain(o Options, tenant, source string, body []byte) ([]*Explanation, error) {
	c, err := o.load(true)
	if err != nil {
		return nil, err
	}
	tenant = cmp.Or(tenant, config.DefaultTenant)
	events, err := eventsOf(c, tenant, source, body)
	if err != nil {
		return nil, err
	}
	plan := decide.New(c)
	all := make([]*Explanation, len(events))
	for i, ev := range events {
		if all[i], err = explain.Dry(context.Background(), nil, plan, ev, ev.Received); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func eventsOf(c *config.Config, tenant, source string, body []byte) ([]*event.Event, error) {
	now := clock.System().Now().UTC()
	if source == "" {
		ev, err := event.ParseOne(body, event.Defaults{Tenant: tenant, Source: "api", Received: now, Verified: "token", Notices: true})
		if err != nil {
			return nil, err
		}
		return []*event.Event{ev}, nil
	}
	for _, s := range c.Sources {
		if s.Name == source && s.Tenant == tenant {
			return normalise(s.Receiver, body, now)
		}
	}
	fault := fmt.Sprintf("tenant %s has no source `%s`", tenant, source)
	if near := event.Nearest(source, namesOf(c, tenant)); near != "" {
		fault += "; did you mean `" + near + "`?"
	}
	return nil, errors.New(fault)
}

func namesOf(c *config.Config, tenant string) []string {
	var names []string
	for _, s := range c.Sources {
		if s.Tenant == tenant {
			names = append(names, s.Name)
		}
	}
	return names
}

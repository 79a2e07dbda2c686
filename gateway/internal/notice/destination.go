package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// openFor is how long a circuit opens at once from which on its destination is unhealthy. Circuits open for 10 s at first and double
// with each opening, so more than a minute of failures lies before.
const openFor = time.Minute

// conditionOf returns the condition of a destination with a hold. One that is paused by a person or slowed down by its rate is not
// in another condition than before.
func conditionOf(h *state.Hold) Condition {
	switch h.Kind {
	case state.HoldRevoked:
		return Unhealthy
	case state.HoldGone:
		return Disabled
	case state.HoldCircuit:
		if h.Until.Sub(h.Since) >= openFor {
			return Unhealthy
		}
	case state.HoldPaused, state.HoldRate:
	}
	return ""
}

// lookAtDestinations tells of destinations whose condition has changed.
func (n *Notifier) lookAtDestinations(ctx context.Context, tenants map[string]heard, kept map[string]*record) error {
	holds, err := n.Store.Holds(ctx, config.AnyTenant)
	if err != nil {
		return fmt.Errorf("read holds: %w", err)
	}
	byTenant := map[string]map[string]*state.DestinationOnHold{}
	for i := range holds {
		h := &holds[i]
		if byTenant[h.Tenant] == nil {
			byTenant[h.Tenant] = map[string]*state.DestinationOnHold{}
		}
		byTenant[h.Tenant][h.Destination] = h
	}
	for tenant, hears := range tenants {
		if !hears.destinations() || len(byTenant[tenant]) == 0 && kept[tenant] == nil {
			continue
		}
		r := recordOf(kept, tenant)
		all, err := n.destinationTransitions(ctx, tenant, r, byTenant[tenant])
		if err != nil {
			return err
		}
		if err := n.tellAll(ctx, tenant, r, false, all, hears); err != nil {
			return err
		}
	}
	return nil
}

// destinationTransitions compares the holds of a tenant with what it was told.
func (n *Notifier) destinationTransitions(ctx context.Context, tenant string, r *record, holds map[string]*state.DestinationOnHold) (all []transition, err error) {
	plan, now := n.Plan(), n.Clock.Now()
	for name, h := range holds {
		is, last := conditionOf(&h.Hold), r.Destinations[name]
		if is == "" || is == last.Is || now.Sub(last.At) < settle || plan.Destination(tenant, name) == nil {
			continue
		}
		all = append(all, transition{name: name, is: is, was: last.Is, since: h.Hold.Since, reason: h.Hold.Reason, count: h.Waiting})
	}
	removed := false
	for name, last := range r.Destinations {
		switch {
		case last.Is == "" || holds[name] != nil:
		case plan.Destination(tenant, name) == nil:
			delete(r.Destinations, name)
			removed = true
		case now.Sub(last.At) >= settle:
			// A circuit that is half open has no hold either: only a success says that the destination serves again.
			served, err := n.servedSince(ctx, tenant, name, last.Since)
			if err != nil {
				return nil, err
			}
			if !served {
				continue
			}
			standing, err := n.Store.Standing(ctx, tenant, []string{name})
			if err != nil {
				return nil, fmt.Errorf("read what waits: %w", err)
			}
			all = append(all, transition{name: name, was: last.Is, since: last.Since, count: standing[0].Waiting})
		}
	}
	if removed && len(all) == 0 {
		return nil, n.keep(ctx, tenant, r)
	}
	return all, nil
}

// servedSince reports whether a delivery to a destination succeeded after a time.
func (n *Notifier) servedSince(ctx context.Context, tenant, destination string, since time.Time) (bool, error) {
	page, err := n.Store.Deliveries(ctx, tenant, state.DeliveryQuery{State: state.Delivered, Destination: destination, Since: since, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("look for a success: %w", err)
	}
	return len(page.Items) > 0, nil
}

package replay

import (
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// missing decides an event by one rule of today's configuration, as if the rule had been live when the event came: it owes the deliveries
// that the event does not have.
func (b *batch) missing(ctx context.Context, o *owed, record *state.Record) error {
	now, plan := b.Clock.Now(), b.Plan()
	o.why = whyNothing
	rule := plan.Named(b.run.Tenant, b.spec.Of.Rule) // as a backtest means the name: a webhook may have that of a rule
	if rule == nil {
		return nil
	}
	origin := decide.OriginOf(rule)
	for _, each := range plan.Decide(record.Event, now).Owed {
		d := each.Delivery
		if d.Origin != origin || b.spec.Of.Destination != "" && d.Destination != b.spec.Of.Destination {
			continue
		}
		if has, err := b.has(ctx, o, record, &d); err != nil {
			return err
		} else if has {
			continue
		}
		if each.Once != "" && each.AtDue == nil { // else it is reserved when the rule is asked of the response
			owners, err := b.Store.Once(ctx, b.run.Tenant, []state.OnceKey{{Key: each.Once, Owner: d.EventID}}, decide.OnceFor)
			if err != nil {
				return fmt.Errorf("reserve what happens once: %w", err)
			}
			if owners[0] != d.EventID {
				o.why = whyOnce
				continue
			}
		}
		d.Due, d.Reason = now, reason
		if err := b.owe(ctx, o, d.Destination, d); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether an event has a delivery of a step: the store knows it as long as the event, also where its history has left. One
// that this batch has scheduled before it was interrupted is counted.
func (b *batch) has(ctx context.Context, o *owed, record *state.Record, d *state.Delivery) (bool, error) {
	if b.intent != nil {
		kept, err := b.Store.Delivery(ctx, b.run.Tenant, d.ID)
		if err != nil && !isNotFound(err) {
			return false, fmt.Errorf("read a delivery: %w", err)
		}
		if err == nil && kept.Origin == d.Origin && !kept.Created.Before(b.run.Created) {
			o.already++
			return true, nil
		}
	}
	for i := range record.Outcome.Deliveries { // that of an earlier revision has another id
		if has := &record.Outcome.Deliveries[i]; has.Origin == d.Origin && has.Step == d.Step {
			o.why = whyThere
			return true, nil
		}
	}
	if _, err := b.Store.Delivery(ctx, b.run.Tenant, d.ID); err == nil {
		o.why = whyThere
		return true, nil
	} else if !isNotFound(err) {
		return false, fmt.Errorf("read a delivery: %w", err)
	}
	return false, nil
}

package act

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// DropDelivery ends a delivery that waits or is a dead letter, and returns it so.
func (a *Actor) DropDelivery(ctx context.Context, tenant, id string) (*state.Delivery, error) {
	d, err := a.Delivery(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if !d.State.Open() {
		return nil, nothingToDrop(d.State)
	}
	switch err := a.options.Store.Drop(ctx, tenant, d.ID); {
	case errors.Is(err, state.ErrConflict):
		return nil, errBeingDelivered
	case errors.Is(err, state.ErrNotFound): // it ended meanwhile, or its event was removed
		now, err := a.Delivery(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		return nil, nothingToDrop(now.State)
	case err != nil:
		return nil, err
	}
	waited := d.State == state.Waiting // a dead letter has ended before
	d.State, d.Reason, d.Log = state.Dropped, "", nil
	d.Updated = a.options.Clock.Now()
	if waited {
		a.options.Ended(d)
	}
	return d, nil
}

func nothingToDrop(s state.DeliveryState) error {
	return conflict("it is " + string(s) + "; there is nothing to drop")
}

// DropEvent takes an event that is itself a dead letter out of the dead letters.
func (a *Actor) DropEvent(ctx context.Context, record *state.Record) error {
	if record.Outcome == nil || record.Outcome.Dead == "" {
		return conflict("this event is no dead letter; it leaves with its retention")
	}
	err := a.options.Store.Drop(ctx, record.Event.Tenant, record.Event.ID)
	if errors.Is(err, state.ErrNotFound) {
		return conflict("this event is no dead letter any more")
	}
	return err
}

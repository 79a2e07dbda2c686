package act

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ErrNoDelivery means that the tenant has no delivery with the id.
var ErrNoDelivery = errors.New("no such delivery")

// Delivery returns one delivery with its attempts.
func (a *Actor) Delivery(ctx context.Context, tenant, id string) (*state.Delivery, error) {
	if !state.IsDeliveryID(id) {
		return nil, ErrNoDelivery
	}
	d, err := a.options.Store.Delivery(ctx, tenant, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrNoDelivery
	}
	return d, err
}

// checkStep refuses a delivery whose event is no longer kept, or whose step is no longer configured.
func (a *Actor) checkStep(ctx context.Context, tenant string, d *state.Delivery) error {
	record, err := a.options.Store.Event(ctx, tenant, d.EventID)
	if errors.Is(err, state.ErrNotFound) {
		return errEventRemoved
	}
	if err != nil {
		return err
	}
	if record.Event.IsErased() {
		return errEventErased
	}
	plan := a.options.Plan()
	if _, ok := plan.Today(*d, record.Event); !ok && plan.IsBroken(tenant, d.Origin) {
		return conflict(decide.BrokenRule + ": correct them first")
	} else if !ok {
		return conflict("the configuration no longer has its step")
	}
	return nil
}

var (
	errEventRemoved   = conflict("its event is no longer kept")
	errEventErased    = conflict("the content of its event was erased")
	errBeingDelivered = conflict("it is being delivered just now")
)

// schedule makes deliveries due now, and reports for each whether it did: one that is being attempted is left alone.
func (a *Actor) schedule(ctx context.Context, tenant string, deliveries []state.Delivery) ([]bool, error) {
	done, err := a.options.Store.Schedule(ctx, tenant, deliveries)
	if err == nil {
		a.options.Due()
	}
	return done, err
}

// scheduleOne is schedule for one delivery.
func (a *Actor) scheduleOne(ctx context.Context, tenant string, d state.Delivery) error {
	switch done, err := a.schedule(ctx, tenant, []state.Delivery{d}); {
	case errors.Is(err, state.ErrNotFound):
		return errEventRemoved
	case err != nil:
		return err
	case !done[0]:
		return errBeingDelivered
	}
	return nil
}

// due returns a delivery as it is once it is due now, for a reason.
func (a *Actor) due(d *state.Delivery, reason string) *state.Delivery {
	now := a.options.Clock.Now()
	due := *d
	due.State, due.Reason, due.Due, due.Updated, due.Log = state.Waiting, reason, now, now, nil
	return &due
}

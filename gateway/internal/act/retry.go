package act

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// reasonRetry is why a delivery waits that was retried by hand.
const reasonRetry = "retry"

// Retry makes a delivery that waits or is a dead letter due now, and returns it so. A delivery that has ended otherwise is a
// conflict: a replay sends it again.
func (a *Actor) Retry(ctx context.Context, tenant, id string) (*state.Delivery, error) {
	d, err := a.Delivery(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if !d.State.Open() {
		return nil, retryEnded(d.State)
	}
	if err := a.checkStep(ctx, tenant, d); err != nil {
		return nil, err
	}
	due := a.due(d, reasonRetry)
	// Without a destination, a delivery that ends before it is scheduled stays ended.
	err = a.scheduleOne(ctx, tenant, state.Delivery{ID: d.ID, EventID: d.EventID, Reason: reasonRetry, Due: due.Due})
	if errors.Is(err, errBeingDelivered) {
		if now, again := a.Delivery(ctx, tenant, id); again == nil && !now.State.Open() {
			return nil, retryEnded(now.State)
		}
	}
	return due, err
}

func retryEnded(s state.DeliveryState) error {
	return conflict("it is " + string(s) + "; `replay` delivers it again")
}

package act

import (
	"context"
	"errors"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ending is a store in which a delivery ends between the read and the drop.
type ending struct {
	state.Store
	reads int
}

func (e *ending) Delivery(_ context.Context, tenant, id string) (*state.Delivery, error) {
	e.reads++
	d := &state.Delivery{ID: id, Tenant: tenant, State: state.Waiting}
	if e.reads > 1 {
		d.State = state.Delivered
	}
	return d, nil
}

func (e *ending) Drop(context.Context, string, string) error { return state.ErrNotFound }

// A delivery that ends while it is dropped is a conflict, and not unknown.
func TestDropOfADeliveryThatEnds(t *testing.T) {
	t.Parallel()
	a := New(Options{Store: &ending{}, Clock: clock.System()})
	id := state.JoinDeliveryID("0123456789abcdef0123456789abcdef", "aaaaaaaaaaaaa")
	_, err := a.DropDelivery(t.Context(), "default", id)
	if conflict, ok := errors.AsType[*ConflictError](err); !ok || conflict.Reason != "it is delivered; there is nothing to drop" {
		t.Errorf("answered %v", err)
	}
}

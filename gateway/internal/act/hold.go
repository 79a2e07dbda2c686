package act

import (
	"context"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// maxReason bounds the reason of a pause in bytes.
const maxReason = 200

// Pause puts a destination on hold until somebody resumes it; its deliveries wait. An empty reason is "paused by hand".
func (a *Actor) Pause(ctx context.Context, tenant, destination, reason string) error {
	if reason == "" {
		reason = "paused by hand"
	}
	if len(reason) > maxReason {
		return &InvalidError{"reason", "a reason has at most 200 bytes"}
	}
	return a.hold(ctx, tenant, destination, state.Hold{Kind: state.HoldPaused, Reason: reason, Since: a.options.Clock.Now()})
}

// Resume lifts whatever hold a destination has, also one that the gateway put on.
func (a *Actor) Resume(ctx context.Context, tenant, destination string) error {
	return a.hold(ctx, tenant, destination, state.Hold{})
}

func (a *Actor) hold(ctx context.Context, tenant, destination string, h state.Hold) error {
	err := a.options.Store.Hold(ctx, tenant, destination, h, nil)
	if err == nil {
		a.options.HoldsChanged(ctx)
	}
	return err
}

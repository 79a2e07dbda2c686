package explain

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A configuration that is gone for good is said to be; one that cannot be had now is an error, for who asks again.
func TestOlderConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(t, map[string]func(*state.Delivery){"alarms": delivered, "crm-note": delivered})
	w.plan = load(t, after)
	for _, c := range []struct {
		err     error
		unknown bool
	}{{state.ErrNotFound, true}, {config.ErrUnreadable, true}, {state.ErrUnavailable, false}, {context.DeadlineExceeded, false}} {
		w.asker.PlanOf = func(_ context.Context, tenant, _ string) (*decide.Plan, error) {
			if tenant != "default" {
				t.Errorf("asked for the tenant %q", tenant)
			}
			return nil, fmt.Errorf("configuration: %w", c.err)
		}
		x, err := w.asker.Event(t.Context(), "default", w.ev.ID)
		if c.unknown && (err != nil || !x.Unknown) || !c.unknown && !errors.Is(err, c.err) {
			t.Errorf("%v: %+v, %v", c.err, x, err)
		}
	}
}

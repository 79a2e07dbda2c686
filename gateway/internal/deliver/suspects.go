package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// maxClaimsAlone is how many claims alone without a commit make a suspect a dead letter. Claims together with other events prove
	// nothing.
	maxClaimsAlone = 5
	// suspectEvery is how often a suspect is asked for.
	suspectEvery = 500 * time.Millisecond
)

// claimSuspects takes events that may have killed a gateway, beside the others: the store gives the next one only when
// the one before is committed or released.
func (l *Loop) claimSuspects(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		wait := suspectEvery
		c, err := l.Store.ClaimSuspect(ctx)
		switch {
		case err != nil:
			if ctx.Err() != nil || errors.Is(err, state.ErrClosed) {
				return
			}
			l.Log.Warn("cannot claim an event that may have stopped a gateway", "err", err)
			wait = max(wait, backoff.next())
		case c != nil:
			backoff.reset()
			l.Log.Warn("an event is tried alone: gateways stopped while they had claimed it",
				"tenant", c.Event.Tenant, "event", c.Event.ID, "attempt", c.Claims)
			l.Observer.Batch("claim", 1)
			l.capacity.take(1, c.Event.Size()) // even beyond the capacity: it is only one
			l.undecided.add([]state.Claimed{*c}, tenantOfClaimed)
		default:
			backoff.reset()
		}
		timer, stop := l.Clock.After(wait)
		select {
		case <-l.suspectEnded:
		case <-timer:
		case <-ctx.Done():
		}
		stop()
	}
}

// endSuspect lets the next suspect be claimed if one of these was a suspect.
func (l *Loop) endSuspect(committed []*claim) {
	for _, c := range committed {
		if c.suspect {
			select {
			case l.suspectEnded <- struct{}{}:
			default:
			}
			return
		}
	}
}

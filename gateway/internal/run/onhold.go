package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// onHoldEvery is how often the store is asked at most what is on hold, however often readiness is asked.
	onHoldEvery = 5 * time.Second
	// onHoldFor bounds how long the store may keep a probe waiting.
	onHoldFor = time.Second
	// onHoldTold is how many destinations readiness names.
	onHoldTold = 10
)

// onHold are the destinations that serve again only when somebody does something, as they were at the last look.
type onHold struct {
	mu       sync.Mutex
	at       time.Time
	problems []string
}

// onHoldProblems tells readiness of connections and webhooks with revoked credentials for which deliveries wait. Those that
// somebody paused are no problem, and an open circuit closes by itself.
func (g *running) onHoldProblems() []string {
	o := &g.onHold
	o.mu.Lock()
	defer o.mu.Unlock()
	now := g.clock.Now()
	if !o.at.IsZero() && now.Sub(o.at) < onHoldEvery && !now.Before(o.at) {
		return o.problems
	}
	ctx, cancel := context.WithTimeout(context.Background(), onHoldFor)
	defer cancel()
	holds, err := g.store.Holds(ctx, systemTenant)
	o.at = now
	if err != nil { // readiness says by itself that the store is away
		return o.problems
	}
	o.problems = nil
	more := 0
	for _, h := range holds {
		why := ""
		switch {
		case h.Waiting == 0:
		case h.Hold.Kind == state.HoldRevoked:
			why = "its credentials are refused; change them, and what waits goes out by itself"
		case h.Hold.Kind == state.HoldGone:
			why = "its receiver says that it is gone for good; change its URL, or resume it"
		}
		switch {
		case why == "":
		case len(o.problems) == onHoldTold:
			more++
		default:
			o.problems = append(o.problems, fmt.Sprintf("%s is on hold since %s and %s: %s",
				owned(h.Tenant, h.Destination), h.Hold.Since.UTC().Format(time.RFC3339), waitingText(h.Waiting), why))
		}
	}
	if more > 0 {
		o.problems = append(o.problems, fmt.Sprintf("%d more destinations are on hold like that", more))
	}
	return o.problems
}

func waitingText(n int) string {
	if n == 1 {
		return "1 delivery waits for it"
	}
	return fmt.Sprintf("%d deliveries wait for it", n)
}

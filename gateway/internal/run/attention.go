package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// onHoldEvery is the shortest time between two reads of what is on hold, however often readiness is asked.
	onHoldEvery = 5 * time.Second
	// onHoldTimeout bounds how long a readiness probe waits for the store.
	onHoldTimeout = time.Second
	// maxOnHold is how many destinations readiness names.
	maxOnHold = 10
)

// problems lists what a person should look at, as sentences for readiness.
func (g *gateway) problems() []string {
	all := append(g.descriptors.Problems(), g.streams.Problems()...)
	all = append(all, g.folderProblems()...)
	all = append(all, g.keyProblems()...)
	if why := g.reloading.notInUse(); why != "" {
		all = append(all, "the configuration that was changed is not in use: "+why+"; the log says more")
	}
	all = append(all, g.onHoldProblems()...)
	return all
}

// onHold caches the sentences about destinations that serve again only when somebody does something.
type onHold struct {
	mu       sync.Mutex
	at       time.Time // of the last read
	problems []string
}

// onHoldProblems names connections and webhooks whose credentials were refused, or whose receiver is gone for good, while
// deliveries wait for them. A destination that somebody paused is no problem, and an open circuit closes by itself.
func (g *gateway) onHoldProblems() []string {
	o := &g.onHold
	o.mu.Lock()
	defer o.mu.Unlock()
	now := g.clock.Now()
	if !o.at.IsZero() && now.Sub(o.at) < onHoldEvery && !now.Before(o.at) {
		return o.problems
	}
	ctx, cancel := context.WithTimeout(context.Background(), onHoldTimeout)
	defer cancel()
	holds, err := g.store.Holds(ctx, systemTenant)
	o.at = now
	if err != nil { // readiness reports the store's failure on its own
		return o.problems
	}
	o.problems = nil
	plan := g.plan.Load()
	more, ofDocuments := 0, 0
	for _, h := range holds {
		remedy := ""
		switch {
		case h.Waiting == 0:
		case h.Hold.Kind == state.HoldRevoked:
			remedy = "its credentials are refused; change them, and what waits goes out by itself"
		case h.Hold.Kind == state.HoldGone:
			remedy = "its receiver says that it is gone for good; change its URL, or resume it"
		}
		switch {
		case remedy == "":
		case plan.IsOfDocument(h.Tenant, h.Destination): // its tenant's business: whoever asks for readiness gets no names
			ofDocuments++
		case len(o.problems) == maxOnHold:
			more++
		default:
			o.problems = append(o.problems, fmt.Sprintf("%s is on hold since %s and %s: %s",
				qualified(h.Tenant, h.Destination), h.Hold.Since.UTC().Format(time.RFC3339), waitingText(h.Waiting), remedy))
		}
	}
	if more > 0 {
		o.problems = append(o.problems, fmt.Sprintf("%d more destinations are on hold like that", more))
	}
	if ofDocuments > 0 {
		o.problems = append(o.problems, fmt.Sprintf("destinations of tenants' documents that are on hold until their tenants do something: %d", ofDocuments))
	}
	return o.problems
}

func waitingText(n int) string {
	if n == 1 {
		return "1 delivery waits for it"
	}
	return fmt.Sprintf("%d deliveries wait for it", n)
}

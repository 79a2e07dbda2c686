package run

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const (
	// onHoldEvery is the shortest time between two reads of what is on hold, however often readiness is asked.
	onHoldEvery = 5 * time.Second
	// onHoldTimeout bounds how long a readiness probe waits for the store.
	onHoldTimeout = time.Second
	// wentBackFor is how long readiness says that the store was found in an older state.
	wentBackFor = 24 * time.Hour
	// maxOnHold is how many destinations readiness names.
	maxOnHold = 10
)

// problems lists what a person should look at, as sentences for readiness.
func (g *gateway) problems() []view.Warning {
	var all []view.Warning
	for _, text := range slices.Concat(g.descriptors.Problems(), g.folderProblems()) {
		all = append(all, view.Public(text))
	}
	all = append(append(all, g.streams.Problems()...), g.keyProblems()...)
	if why := g.reloading.notInUse(); why != "" {
		all = append(all, view.Public("the configuration that was changed is not in use: "+why+"; the log says more"))
	}
	for _, text := range g.documentProblems() {
		all = append(all, view.Public(text))
	}
	if at := g.register.WentBack(); !at.IsZero() && g.clock.Now().Sub(at) < wentBackFor {
		all = append(all, view.Public(fmt.Sprintf("the store was found in an older state at %s, such as after a failover that lost the last writes: "+
			"tokens and tenants were put right, but events, deliveries and documents are as they were; compare the documents with what was set last",
			at.UTC().Format(time.RFC3339))))
	}
	return append(all, g.onHoldProblems()...)
}

// onHold caches the sentences about destinations that serve again only when somebody does something.
type onHold struct {
	mu       sync.Mutex
	at       time.Time // of the last read
	problems []view.Warning
}

// onHoldProblems names connections and webhooks whose credentials were refused, or whose receiver is gone for good, while
// deliveries wait for them. A destination that somebody paused is no problem, and an open circuit closes by itself.
func (g *gateway) onHoldProblems() []view.Warning {
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
	more, public := 0, g.plan.Load().Public()
	isPublic := func(h *state.DestinationOnHold) bool { return public.Destination(h.Tenant, h.Destination) }
	slices.SortStableFunc(holds, func(a, b state.DestinationOnHold) int { // public ones come first
		switch pa, pb := isPublic(&a), isPublic(&b); {
		case pa == pb:
			return 0
		case pa:
			return -1
		}
		return 1
	})
	for i := range holds {
		h := &holds[i]
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
		case len(o.problems) == maxOnHold:
			more++
		default:
			w := view.Warning{Text: fmt.Sprintf("%s is on hold since %s and %s: %s",
				qualified(h.Tenant, h.Destination), h.Hold.Since.UTC().Format(time.RFC3339), waitingText(h.Waiting), remedy)}
			if !isPublic(h) {
				w.Hidden = "destinations that are on hold until somebody does something, while deliveries wait for them"
			}
			o.problems = append(o.problems, w)
		}
	}
	if more > 0 {
		o.problems = append(o.problems, view.Public(fmt.Sprintf("%d more destinations are on hold like that", more)))
	}
	return o.problems
}

func waitingText(n int) string {
	if n == 1 {
		return "1 delivery waits for it"
	}
	return fmt.Sprintf("%d deliveries wait for it", n)
}

package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// maxWaiting is how many waiting deliveries are looked at, of all tenants.
	maxWaiting = 20_000
	// waitingPage is how many are read at once.
	waitingPage = 200
	// maxWaitingShown bounds what is told of them.
	maxWaitingShown = 200
)

// gone is what becomes of a delivery whose step is gone: it waits an hour for it, and is a dead letter then.
const gone = "no longer configured"

// waitings counts waiting deliveries of which something else would become.
type waitings struct {
	left   int
	more   bool
	counts map[waitingKey]int
}

type waitingKey view.PlanWaiting // without Count

// look looks at the waiting deliveries of a tenant.
func (w *waitings) look(ctx context.Context, store state.Reader, t *tenant) error {
	q := state.DeliveryQuery{State: state.Waiting, Limit: waitingPage}
	for {
		if w.left <= 0 {
			w.more = true
			return nil
		}
		page, err := store.Deliveries(ctx, t.name, q)
		if err != nil {
			return fmt.Errorf("read waiting deliveries: %w", err)
		}
		for i := range page.Items {
			d := &page.Items[i]
			was, is := fate(t.before, d), fate(t.after, d)
			if w.left--; was == is || t.unread[d.Origin] {
				continue
			}
			key := waitingKey{Tenant: t.name, Destination: d.Destination, Kind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step, Becomes: is}
			if _, known := w.counts[key]; known || len(w.counts) < maxWaitingShown {
				w.counts[key]++
			} else {
				w.more = true
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// fate returns what becomes of a waiting delivery under a configuration.
func fate(plan *decide.Plan, d *state.Delivery) string {
	owed, ok := plan.Today(*d, &event.Event{})
	switch {
	case !ok && plan.IsBroken(d.Tenant, d.Origin):
		return "waits: " + decide.BrokenRule
	case !ok:
		return gone
	case owed.Destination.Broken:
		return "waits: " + decide.BrokenDestination
	case !owed.Destination.Enabled:
		return "waits: " + owed.Delivery.Destination + " is switched off"
	case owed.Delivery.Destination != d.Destination || owed.Delivery.Connector != d.Connector:
		return "goes to " + owed.Delivery.Destination + " (" + owed.Delivery.Connector + ")"
	}
	return "is sent"
}

// view adds what was counted to an answer.
func (w *waitings) view(to *view.Plan) {
	to.WaitingMore = w.more
	for key, n := range w.counts {
		v := view.PlanWaiting(key)
		v.Count = n
		to.Waiting = append(to.Waiting, v)
	}
	slices.SortFunc(to.Waiting, func(a, b view.PlanWaiting) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Destination, b.Destination),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Step, b.Step), strings.Compare(a.Becomes, b.Becomes))
	})
}

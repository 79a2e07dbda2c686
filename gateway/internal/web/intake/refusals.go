package intake

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const (
	// refusedInARow is how many requests in a row must be refused until readiness warns. Anybody who knows the address of a
	// source can cause some.
	refusedInARow = 5
	// refusedTold bounds the sources that one warning names.
	refusedTold = 10
)

// refusals counts the requests that a source refused since the last one that it accepted, on this replica.
type refusals struct {
	n atomic.Int64 // read for each accepted request, which must take no lock

	mu          sync.Mutex
	reason      string // of the last one
	since, last time.Time
}

func (r *refusals) refused(reason string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n.Add(1) == 1 {
		r.since = now
	}
	r.reason, r.last = reason, now
}

// accepted resets the count.
func (r *refusals) accepted() {
	if r.n.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n.Store(0)
}

// problem is empty for a source that accepts requests, and for one whose last refusal is older than refused requests are kept.
func (r *refusals) problem(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n.Load()
	if n < refusedInARow || now.Sub(r.last) > rejectedFor {
		return ""
	}
	return fmt.Sprintf("refused all of its last %d requests, since %s (the last one: %s)", n, r.since.UTC().Format(time.RFC3339), r.reason)
}

// Problems returns a warning for each source that refuses everything, for readiness: its secret was changed on one side only, or
// its platform has changed what it sends. Public ones come first.
func (d *Door) Problems() []view.Warning {
	now := d.Clock.Now()
	plan := d.Plan()
	public := plan.Public()
	var all []view.Warning
	for e := range d.running(plan) {
		why := ""
		if e.enabled && !e.stream {
			why = e.refusals.problem(now)
		}
		if why == "" {
			continue
		}
		w := view.Warning{}
		if !public.Source(e.tenant, e.name) {
			w.Hidden = "sources that refused all of their last requests"
		}
		name, command := e.name, "surveygate source rejected "+e.name
		if e.tenant != access.DefaultTenant {
			name, command = e.tenant+"/"+name, command+" --tenant "+e.tenant
		}
		w.Text = "the source " + name + " " + why + "; `" + command + "` shows them"
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b view.Warning) int {
		return cmp.Or(cmp.Compare(a.Hidden, b.Hidden), cmp.Compare(a.Text, b.Text))
	})
	if more := len(all) - refusedTold; more > 0 {
		all = append(all[:refusedTold], view.Public(fmt.Sprintf("%d more sources refuse everything", more)))
	}
	return all
}

// running returns the sources of the running configuration, those of overlays as far as requests came for them.
func (d *Door) running(plan *decide.Plan) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, t := range d.ofBase(plan).tenants {
			for _, e := range t.entries {
				if !yield(e) {
					return
				}
			}
		}
		for tenant, t := range d.overlays.Load().All() {
			if plan.Overlay(tenant) != t.overlay {
				continue // it was replaced, and nothing came since
			}
			for _, e := range t.entries {
				if !yield(e) {
					return
				}
			}
		}
	}
}

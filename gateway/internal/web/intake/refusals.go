package intake

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
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

// Problems returns a sentence for each source that refuses everything, for readiness: its secret was changed on one side only, or
// its platform has changed what it sends. Sources of tenants' documents are counted only: everybody may ask for readiness.
func (d *Door) Problems() []string {
	now := d.Clock.Now()
	plan := d.Plan()
	var all []string
	for tenant, sources := range d.ofBase(plan).tenants {
		for name, e := range sources.entries {
			why := ""
			if e.enabled && !e.stream {
				why = e.refusals.problem(now)
			}
			if why == "" {
				continue
			}
			command := "surveygate source rejected " + name
			if tenant != access.DefaultTenant {
				name, command = tenant+"/"+name, command+" --tenant "+tenant
			}
			all = append(all, "the source "+name+" "+why+"; `"+command+"` shows them")
		}
	}
	if n := d.refusingOfOverlays(plan, now); n > 0 {
		all = append(all, fmt.Sprintf("sources of tenants' documents that refuse everything: %d", n))
	}
	slices.Sort(all)
	if more := len(all) - refusedTold; more > 0 {
		all = append(all[:refusedTold], fmt.Sprintf("%d more sources refuse everything", more))
	}
	return all
}

// refusingOfOverlays counts the sources of overlays that refuse everything.
func (d *Door) refusingOfOverlays(plan *decide.Plan, now time.Time) (n int) {
	for tenant, t := range d.overlays.Load().All() {
		if plan.Overlay(tenant) != t.overlay {
			continue // it was replaced, and nothing came since
		}
		for _, e := range t.entries {
			if e.enabled && !e.stream && e.refusals.problem(now) != "" {
				n++
			}
		}
	}
	return n
}

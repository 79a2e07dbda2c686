package intake

import (
	"iter"
	"net/netip"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/tenantmap"
)

// sources are those of the base, found without an allocation.
type sources struct {
	config  *config.Config
	proxies []netip.Prefix // trusted to name the sender of a request
	tenants map[string]*ofTenant
}

// overlays are the sources of tenants' overlays, as far as they were asked for. Who reads them compares ofTenant.overlay.
type overlays = tenantmap.Map[*ofTenant]

// ofTenant are the sources that the base, or the overlay, has for one tenant.
type ofTenant struct {
	overlay *config.TenantConfig // nil for those of the base
	entries map[string]*entry    // by name
	share   *limits              // the tenant's
}

type entry struct {
	tenant, name string
	enabled      bool
	stream       bool // read from a Redis stream; it takes no requests
	source       *source.Source
	counts       *stats.Source
	limits       *limits // its own
	share        *limits // its tenant's
	missed       *missed
	refusals     *refusals
	capture      time.Duration
	captureUntil time.Time // zero: it does not capture
}

func (t *ofTenant) find(name string) *entry {
	if t == nil {
		return nil
	}
	return t.entries[name]
}

// entry is find for a part of a path, which it does not copy.
func (t *ofTenant) entry(name []byte) *entry {
	if t == nil {
		return nil
	}
	return t.entries[string(name)]
}

// find returns a tenant's source of the running configuration; nil if there is none. A tenant's sources are built when they are
// asked for first after a change of its overlay; those of all others stay.
func (d *Door) find(tenant, name string) *entry {
	plan := d.Plan()
	if e := d.ofBase(plan).tenants[tenant].find(name); e != nil {
		return e
	}
	return d.ofOverlay(plan, tenant).find(name)
}

// Counters returns the counters of a configured source, and those of its tenant's API for every other, as publishers can invent names.
func (d *Door) Counters(tenant, name string) *stats.Source {
	if e := d.find(tenant, name); e != nil {
		return e.counts
	}
	return d.apis.of(tenant)
}

// shareOf returns the limits of a tenant's share; nil for a tenant without sources.
func (d *Door) shareOf(tenant string) *limits {
	plan := d.Plan()
	if t := d.ofBase(plan).tenants[tenant]; t != nil {
		return t.share
	}
	if t := d.ofOverlay(plan, tenant); t != nil && len(t.entries) > 0 {
		return t.share
	}
	return nil
}

// ofBase returns the sources of the running base, which it builds when it sees the base first.
func (d *Door) ofBase(plan *decide.Plan) *sources {
	if s := d.sources.Load(); s != nil && s.config == plan.Config {
		return s
	}
	return d.buildBase()
}

// ofOverlay returns the sources of a tenant's overlay; nil if it has none.
func (d *Door) ofOverlay(plan *decide.Plan, tenant string) *ofTenant {
	o := plan.Overlay(tenant)
	if o == nil {
		return nil
	}
	if t := d.overlays.Load().Get(tenant); t != nil && t.overlay == o {
		return t
	}
	return d.buildOverlay(o.Tenant)
}

func (d *Door) buildBase() *sources {
	d.mu.Lock()
	defer d.mu.Unlock()
	plan := d.Plan()
	before := d.sources.Load()
	if before != nil && before.config == plan.Config {
		return before
	}
	s := &sources{config: plan.Config, proxies: plan.Config.TrustedProxies, tenants: map[string]*ofTenant{}}
	now := d.Clock.Now()
	for _, each := range plan.Config.Sources {
		t := s.tenants[each.Tenant]
		if t == nil {
			t = &ofTenant{entries: map[string]*entry{}, share: d.formerShare(before, each.Tenant)}
			s.tenants[each.Tenant] = t
		}
		t.add(d.newEntry(each, t.share, d.formerEntry(before, each.Tenant, each.Name), now))
	}
	d.sources.Store(s)
	return s
}

// buildOverlay builds the sources of the overlay that a tenant has now.
func (d *Door) buildOverlay(tenant string) *ofTenant {
	d.mu.Lock()
	defer d.mu.Unlock()
	plan, all := d.Plan(), d.overlays.Load()
	before, o := all.Get(tenant), plan.Overlay(tenant)
	var t *ofTenant
	if o != nil {
		if before != nil && before.overlay == o {
			return before
		}
		ofBase := d.sources.Load()
		t = &ofTenant{overlay: o, entries: make(map[string]*entry, len(o.Sources)), share: d.formerShare(ofBase, tenant)}
		now := d.Clock.Now()
		for _, each := range o.Sources {
			t.add(d.newEntry(each, t.share, d.formerEntry(ofBase, tenant, each.Name), now))
		}
	} else if before == nil {
		return nil
	}
	next := all.Change(func(set func(string, *ofTenant), remove func(string)) {
		if t != nil {
			set(tenant, t)
		} else {
			remove(tenant)
		}
	})
	d.overlays.Store(&next)
	return t
}

func (t *ofTenant) add(e *entry) { t.entries[e.name] = e }

// formerEntry returns the entry that a source had in the base or in the overlay of its tenant. d.mu is held.
func (d *Door) formerEntry(ofBase *sources, tenant, name string) *entry {
	if ofBase != nil {
		if e := ofBase.tenants[tenant].find(name); e != nil {
			return e
		}
	}
	return d.overlays.Load().Get(tenant).find(name)
}

// formerShare returns the limits of a tenant's share, new ones for a new tenant. d.mu is held.
func (d *Door) formerShare(ofBase *sources, tenant string) *limits {
	if ofBase != nil {
		if t := ofBase.tenants[tenant]; t != nil {
			return t.share
		}
	}
	if t := d.overlays.Load().Get(tenant); t != nil {
		return t.share
	}
	return shareLimits()
}

// newEntry makes the entry of a source; was is its former one, or nil.
func (d *Door) newEntry(s *config.Source, share *limits, was *entry, now time.Time) *entry {
	e := &entry{
		tenant: s.Tenant, name: s.Name, enabled: s.Enabled, stream: s.Stream != nil, source: s.Receiver,
		counts: d.Stats.Source(s.Tenant, s.Name), share: share, capture: s.Capture,
	}
	if s.Capture > 0 {
		e.captureUntil = now.Add(s.Capture)
	}
	if was == nil {
		e.limits, e.missed, e.refusals = sourceLimits(), &missed{}, &refusals{}
		return e
	}
	e.carryOver(was)
	return e
}

// carryOver keeps the state that a change of the configuration must not reset.
func (e *entry) carryOver(was *entry) {
	e.limits, e.missed, e.refusals = was.limits, was.missed, was.refusals
	// Capturing lasts from the load that started it: a later load that changes something else does not extend it.
	if was.capture == e.capture {
		e.captureUntil = was.captureUntil
	}
}

// ofPlan returns a tenant's sources of the running configuration.
func (d *Door) ofPlan(plan *decide.Plan, tenant string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		ofBase := d.ofBase(plan).tenants[tenant]
		for _, t := range []*ofTenant{ofBase, d.ofOverlay(plan, tenant)} {
			if t == nil {
				continue
			}
			for name, e := range t.entries {
				if (t == ofBase || ofBase.find(name) == nil) && !yield(e) {
					return
				}
			}
		}
	}
}

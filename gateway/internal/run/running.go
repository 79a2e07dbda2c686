package run

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
)

// running is the plan in use: the base, and the overlays compiled over it. Who reads it never waits. Who changes it takes turns,
// so that a new base and a changed overlay cannot undo each other. The zero value has no plan.
type running struct {
	plan atomic.Pointer[decide.Plan]

	turn sync.Mutex // of changes; it guards documents
	// documents are what the overlays are compiled from, by tenant. A new base needs them.
	documents map[string][]config.Document

	tally tally
}

// Load returns the plan in use; nil before the start has made the first.
func (r *running) Load() *decide.Plan { return r.plan.Load() }

// rebase replaces the base. All overlays are compiled over it, while the former plan is in use; then everything is replaced in
// one step, if ready returns no error. It returns the former plan; nil at the start.
func (r *running) rebase(base *config.Config, ready func(overlays []*config.TenantConfig) error) (before *decide.Plan, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	overlays := compileAll(base, r.documents)
	if err := ready(overlays); err != nil {
		return nil, err
	}
	if before = r.plan.Load(); before != nil {
		inherit(before.Config.Sources, base.Sources)
		for _, o := range overlays {
			if was := before.Overlay(o.Tenant); was != nil {
				inherit(was.Sources, o.Sources)
			}
		}
	}
	r.tally.replaceAll(overlays)
	r.plan.Store(decide.New(base, overlays...))
	return before, nil
}

// change replaces the overlay of a tenant, which was compiled from documents over base. It returns false, and changes nothing, if
// that is no longer the base.
func (r *running) change(base *config.Config, overlay *config.TenantConfig, documents []config.Document) (before, now *decide.Plan, ok bool) {
	r.turn.Lock()
	defer r.turn.Unlock()
	before = r.plan.Load()
	if before.Config != base {
		return nil, nil, false
	}
	if was := before.Overlay(overlay.Tenant); was != nil {
		inherit(was.Sources, overlay.Sources)
	}
	if r.documents == nil {
		r.documents = map[string][]config.Document{}
	}
	if len(documents) > 0 {
		r.documents[overlay.Tenant] = documents
	} else {
		delete(r.documents, overlay.Tenant)
	}
	r.tally.replace(overlay)
	now = before.With(overlay)
	r.plan.Store(now)
	return before, now, true
}

// compileAll compiles the overlays of all tenants, on several processors.
func compileAll(base *config.Config, documents map[string][]config.Document) []*config.TenantConfig {
	tenants := slices.Sorted(maps.Keys(documents))
	overlays := make([]*config.TenantConfig, len(tenants))
	var next atomic.Int64
	var compilers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(tenants)) {
		compilers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tenants) {
					return
				}
				overlays[i] = config.Overlay(base, tenants[i], documents[tenants[i]])
			}
		})
	}
	compilers.Wait()
	return overlays
}

// inherit carries over what a new configuration must not restart: the time windows of accept_test.
func inherit(before, now []*config.Source) {
	if len(before) == 0 || len(now) == 0 {
		return
	}
	old := make(map[[2]string]*config.Source, len(before))
	for _, s := range before {
		old[[2]string{s.Tenant, s.Name}] = s
	}
	for _, s := range now {
		if was := old[[2]string{s.Tenant, s.Name}]; was != nil && s.Receiver != nil {
			s.Receiver.Inherit(was.Receiver)
		}
	}
}

// tally counts the documents of the overlays in use. The zero value is ready.
type tally struct {
	mu       sync.Mutex
	byTenant map[string]documentCounts
	all      documentCounts
	troubled int // tenants with documents that are not in use
}

// documentCounts counts documents by state.
type documentCounts struct{ active, disabled, broken, shadowed int }

func countsOf(o *config.TenantConfig) (c documentCounts) {
	for i := range o.Documents {
		switch o.Documents[i].State {
		case config.Active:
			c.active++
		case config.Disabled:
			c.disabled++
		case config.Broken:
			c.broken++
		case config.Shadowed:
			c.shadowed++
		}
	}
	return c
}

// troubled reports whether documents are not in use that should be.
func (c documentCounts) troubled() bool { return c.broken+c.shadowed > 0 }

func (c *documentCounts) add(d documentCounts, sign int) {
	c.active += sign * d.active
	c.disabled += sign * d.disabled
	c.broken += sign * d.broken
	c.shadowed += sign * d.shadowed
}

func (t *tally) replace(o *config.TenantConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(o)
}

func (t *tally) replaceAll(overlays []*config.TenantConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byTenant, t.all, t.troubled = make(map[string]documentCounts, len(overlays)), documentCounts{}, 0
	for _, o := range overlays {
		t.set(o)
	}
}

// set counts an overlay; t.mu is held.
func (t *tally) set(o *config.TenantConfig) {
	was, now := t.byTenant[o.Tenant], countsOf(o)
	t.all.add(was, -1)
	t.all.add(now, 1)
	if was.troubled() {
		t.troubled--
	}
	if now.troubled() {
		t.troubled++
	}
	if now == (documentCounts{}) {
		delete(t.byTenant, o.Tenant)
		return
	}
	if t.byTenant == nil {
		t.byTenant = map[string]documentCounts{}
	}
	t.byTenant[o.Tenant] = now
}

// count returns the documents of all tenants, how many tenants have some, and how many have some that are not in use.
func (t *tally) count() (all documentCounts, tenants, troubled int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all, len(t.byTenant), t.troubled
}

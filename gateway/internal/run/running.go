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

	troubles troubles
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
	r.troubles.replaceAll(overlays)
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
	r.troubles.replace(overlay)
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

// troubles counts the documents of the overlays in use that are not in use themselves. The zero value is ready.
type troubles struct {
	mu       sync.Mutex
	byTenant map[string]trouble // those with a trouble
	all      trouble
}

// trouble counts documents by state.
type trouble struct{ broken, shadowed int }

func troubleOf(o *config.TenantConfig) (t trouble) {
	for i := range o.Documents {
		switch o.Documents[i].State {
		case config.Broken:
			t.broken++
		case config.Shadowed:
			t.shadowed++
		}
	}
	return t
}

func (ts *troubles) replace(o *config.TenantConfig) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.set(o)
}

func (ts *troubles) replaceAll(overlays []*config.TenantConfig) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.byTenant, ts.all = nil, trouble{}
	for _, o := range overlays {
		ts.set(o)
	}
}

// set counts an overlay; ts.mu is held.
func (ts *troubles) set(o *config.TenantConfig) {
	was, now := ts.byTenant[o.Tenant], troubleOf(o)
	ts.all.broken += now.broken - was.broken
	ts.all.shadowed += now.shadowed - was.shadowed
	if now == (trouble{}) {
		delete(ts.byTenant, o.Tenant)
		return
	}
	if ts.byTenant == nil {
		ts.byTenant = map[string]trouble{}
	}
	ts.byTenant[o.Tenant] = now
}

// count returns how many documents and tenants have a trouble.
func (ts *troubles) count() (all trouble, tenants int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.all, len(ts.byTenant)
}

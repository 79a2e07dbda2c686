package intake

import (
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/rules/event"
)

// maxAPIs bounds the tenants whose counters are kept at hand: a token of every tenant can publish for invented ones.
const maxAPIs = 10_000

// apis are the counters of the API as a source, one for each tenant.
type apis struct {
	stats *stats.Stats

	mu       sync.RWMutex // guards byTenant
	byTenant map[string]*stats.Source
}

func newAPIs(s *stats.Stats) *apis { return &apis{stats: s, byTenant: map[string]*stats.Source{}} }

// of returns the counters of a tenant, which are nobody else's.
func (a *apis) of(tenant string) *stats.Source {
	a.mu.RLock()
	found := a.byTenant[tenant]
	a.mu.RUnlock()
	if found != nil {
		return found
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if found = a.byTenant[tenant]; found == nil {
		found = a.stats.Source(tenant, event.DefaultSource)
		if len(a.byTenant) < maxAPIs {
			a.byTenant[tenant] = found
		}
	}
	return found
}

package intake

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// task is work that any client can cause. Each kind of task has its own bound, so that unproved requests take no capacity from
// those of the platform.
type task uint8

const (
	keepProved   task = iota // a refused request of the platform
	keepStranger             // a refused request that was not proved
	captureProved
	captureStranger
	lookUp // whether a source of that name was ever configured
	tasks
)

// paces bounds each kind of task: of one source, of a tenant's share, and of all together. A tenant's share is used first, and
// other tenants cannot use it up.
var paces = [tasks]struct{ source, share, all pace }{
	keepProved:      {pace{1, 20}, pace{0.5, 10}, pace{20, 100}},
	keepStranger:    {pace{1, 20}, pace{0.5, 10}, pace{20, 100}},
	captureProved:   {pace{2, 20}, pace{0.5, 10}, pace{20, 100}},
	captureStranger: {pace{2, 20}, pace{0.5, 10}, pace{20, 100}},
	lookUp:          {pace{}, pace{20, 20}, pace{200, 200}},
}

// pace is a rate per second and a burst.
type pace struct {
	perSecond float64
	burst     int
}

func (p pace) limiter() *rate.Limiter { return rate.NewLimiter(rate.Limit(p.perSecond), p.burst) }

// limits are one limiter for each task.
type limits [tasks]*rate.Limiter

func sourceLimits() *limits { return limitsOf(func(c task) pace { return paces[c].source }) }
func shareLimits() *limits  { return limitsOf(func(c task) pace { return paces[c].share }) }
func allLimits() *limits    { return limitsOf(func(c task) pace { return paces[c].all }) }

func limitsOf(of func(task) pace) *limits {
	var l limits
	for c := range tasks {
		l[c] = of(c).limiter()
	}
	return &l
}

// proved reports whether a request passed the checks of its source; false if the source has none.
func (r *reader) proved() bool {
	kind := r.request.Verified.Kind
	return kind != "" && kind != source.KindNone
}

// may reports whether a task of a source may be done now.
func (d *Door) may(e *entry, c task, now time.Time) bool {
	return e.limits[c].AllowN(now, 1) && d.shared(e.share, c, now)
}

// shared reports whether a task of a tenant may be done now. A tenant that is not configured has no share.
func (d *Door) shared(share *limits, c task, now time.Time) bool {
	return share != nil && share[c].AllowN(now, 1) || d.limits[c].AllowN(now, 1)
}

// missed counts the requests that were not stored, for NotKept. The counts expire as stored requests do.
type missed struct {
	mu sync.Mutex
	view.NotKept
	last time.Time
}

func (m *missed) add(proved bool, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.old(now) {
		m.NotKept = view.NotKept{Since: now.UTC()}
	}
	if m.last = now; proved {
		m.Proved++
	} else {
		m.Unproved++
	}
}

func (m *missed) old(now time.Time) bool { return m.last.IsZero() || now.Sub(m.last) > rejectedFor }

// NotKept returns nil if this replica stored all refused requests of the last day.
func (d *Door) NotKept(tenant, name string) *view.NotKept {
	e := d.find(tenant, name)
	if e == nil {
		return nil
	}
	e.missed.mu.Lock()
	defer e.missed.mu.Unlock()
	if e.missed.old(d.Clock.Now()) {
		return nil
	}
	told := e.missed.NotKept
	return &told
}

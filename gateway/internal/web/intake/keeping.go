package intake

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// task is a kind of work that unverified requests can cause. Each kind has its own bound, so that it does not displace
// verified requests of the platform.
type task uint8

const (
	keepProved   task = iota // a refused request of the platform
	keepStranger             // a refused request that was not proved
	captureProved
	captureStranger
	lookUp // whether a source of that name was ever configured
	tasks
)

// paces bound each kind of task: of one source, of a tenant's share, and of all together. A tenant's share is its own
// and is taken first: what others cause cannot use it up.
var paces = [tasks]struct{ source, share, all pace }{
	keepProved:      {pace{1, 20}, pace{0.5, 10}, pace{20, 100}},
	keepStranger:    {pace{1, 20}, pace{0.5, 10}, pace{20, 100}},
	captureProved:   {pace{2, 20}, pace{0.5, 10}, pace{20, 100}},
	captureStranger: {pace{2, 20}, pace{0.5, 10}, pace{20, 100}},
	lookUp:          {pace{}, pace{20, 20}, pace{200, 200}},
}

// pace is so many a second, and so many at once.
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

// proved reports whether the request was verified. Requests of a source without verification never are.
func (r *reader) proved() bool {
	kind := r.request.Verified.Kind
	return kind != "" && kind != source.KindNone
}

// may says whether a task of a source may be done now.
func (d *Door) may(e *entry, c task, now time.Time) bool {
	return e.limits[c].AllowN(now, 1) && d.shared(e.share, c, now)
}

// shared says whether a task of a tenant may be done now; a tenant without a configuration has no share.
func (d *Door) shared(share *limits, c task, now time.Time) bool {
	return share != nil && share[c].AllowN(now, 1) || d.limits[c].AllowN(now, 1)
}

// missed counts what NotKept tells. As what is kept, it is forgotten after a while.
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

// NotKept is nil where all refused requests of the last day were kept, as far as this replica saw them.
func (d *Door) NotKept(tenant, name string) *view.NotKept {
	e := d.current().find(tenant, name)
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

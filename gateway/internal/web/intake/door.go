// Package intake accepts what survey platforms send: it verifies the request, makes events of its body, makes them durable, and
// only then answers 200.
//
// It is the gateway's hot path: an accepted request is not logged, starts no goroutine, and writes no JSON by reflection. The
// body is not copied: the server read it into memory of its own, which the events keep.
package intake

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/accept"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

// MaxBody is the size limit of a platform's body, and of one event.
const MaxBody = 1 << 20

// MaxRead is the largest body that is read at all. Those between the two are refused after they were read: a client
// that is still writing when the connection closes sees a broken connection and not the 413.
const MaxRead = 2 * MaxBody

// Options are the dependencies of a Door; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan  func() *decide.Plan
	Stats *stats.Stats
	Clock clock.Clock
	Log   *slog.Logger
	// Context ends when the gateway does. It bounds every append; the context of a request does not, since events that were
	// handed to the store may become durable even if the client is gone.
	Context context.Context
}

// Door accepts requests of platforms. Make it with New; it is safe for concurrent use.
type Door struct {
	Options

	acceptor *accept.Acceptor

	sources  atomic.Pointer[sources]
	overlays atomic.Pointer[overlays]
	mu       sync.Mutex // for building either
	apis     *apis
	readers  sync.Pool
	limits   *limits // of all sources together
	asked    asked
}

// New returns a Door that does not drain.
func New(o Options) *Door {
	d := &Door{
		Options:  o,
		acceptor: accept.New(accept.Options{Store: o.Store, Stats: o.Stats, Clock: o.Clock}),
		apis:     newAPIs(o.Stats),
		limits:   allLimits(),
	}
	d.overlays.Store(&overlays{})
	d.readers.New = func() any { return newReader() }
	return d
}

// Drain refuses events from now on, so that callers go elsewhere or come back after the restart.
func (d *Door) Drain() { d.acceptor.Drain() }

// Draining reports whether the door refuses events because the gateway stops.
func (d *Door) Draining() bool { return d.acceptor.Draining() }

// Append admits the events of one request and returns for each whether it was new. The error is a Problem that asks the
// caller to come back.
func (d *Door) Append(events []*event.Event, size int, started time.Time) ([]state.Appended, error) {
	appended, err := d.acceptor.Admit(d.Context, events, size, started, d)
	if err != nil {
		return nil, unavailable(err)
	}
	return appended, nil
}

// unavailable returns the answer to a request that was not accepted.
func unavailable(err error) *answer.Problem {
	switch {
	case errors.Is(err, accept.ErrDraining):
		return answer.Unavailable("the gateway is stopping", answer.DefaultRetryAfter, err)
	case errors.Is(err, accept.ErrFull):
		return answer.Unavailable("too much is waiting to be made durable", answer.DefaultRetryAfter, err)
	default:
		return answer.Unavailable("nothing can be made durable now", answer.DefaultRetryAfter, err)
	}
}

// Invalid counts an invalid event that a caller of a tenant published.
func (d *Door) Invalid(tenant string) { d.apis.of(tenant).Invalid(1, d.Clock.Now()) }

// Source returns a tenant's source of the running configuration; nil if there is none or it is disabled.
func (d *Door) Source(tenant, name string) *source.Source {
	if e := d.find(tenant, name); e != nil && e.enabled {
		return e.source
	}
	return nil
}

// Takes reports whether a path is that of a source that reads the body of the request: of a POST, or of any method while it
// captures requests.
func (d *Door) Takes(path []byte, post bool) bool {
	tenant := []byte(access.DefaultTenant)
	if rest, ok := bytes.CutPrefix(path, []byte("/t/")); ok {
		var found bool
		if tenant, rest, found = bytes.Cut(rest, []byte("/")); !found {
			return false
		}
		path = rest
	} else if path, ok = bytes.CutPrefix(path, []byte("/")); !ok {
		return false
	}
	rest, ok := bytes.CutPrefix(path, []byte("in/"))
	if !ok {
		return false
	}
	name, _, _ := bytes.Cut(rest, []byte("/"))
	plan := d.Plan()
	e := d.ofBase(plan).tenants[string(tenant)].entry(name)
	if e == nil {
		e = d.ofOverlay(plan, string(tenant)).entry(name)
	}
	return e != nil && e.enabled && !e.stream && (post || d.captures(e, d.Clock.Now()))
}

// settingKind is the kind of settings that record that a source was once configured.
const settingKind = "source"

// Remember records for good that the sources of the running configuration exist: when one is removed, its platform gets 503 and
// keeps its events; a 404 would make the platform drop them. Call it at the start and after a reload for all sources, and after a
// change of overlays for those of their tenants.
func (d *Door) Remember(ctx context.Context, tenants ...string) error {
	plan := d.Plan()
	all := slices.Values(tenants)
	if len(tenants) == 0 {
		all = plan.Tenants()
	}
	for tenant := range all {
		d.buildOverlay(tenant) // also where the overlay has ended
		for e := range d.ofPlan(plan, tenant) {
			if err := d.remember(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Door) remember(ctx context.Context, e *entry) error {
	if e.stream {
		return nil
	}
	_, err := d.Store.Get(ctx, e.tenant, settingKind, e.name)
	if errors.Is(err, state.ErrNotFound) {
		_, err = d.Store.Put(ctx, e.tenant, settingKind, e.name, []byte(`{}`), 0)
	}
	if errors.Is(err, state.ErrConflict) {
		return nil // another replica recorded it
	}
	return err
}

// once reports whether a source was ever configured. When more unknown names are asked for than are looked up, it returns true:
// a platform that is asked to come back loses nothing.
func (d *Door) once(tenant, name string) bool {
	if !d.shared(d.shareOf(tenant), lookUp, d.Clock.Now()) {
		return true
	}
	_, err := d.Store.Get(d.Context, tenant, settingKind, name)
	return !errors.Is(err, state.ErrNotFound)
}

package observe

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// Times of signals. A tick comes when a number changed, and at the latest after tickAtLeast.
const (
	lookEvery   = 2 * time.Second
	tickAtLeast = 10 * time.Second
	// maxQueue is how many signals a slow listener may have waiting. One with more is ended: it connects again and reads anew.
	maxQueue = 64
)

// wall paces the looks at the store: a stream must not depend on the clock of a test.
var wall = clock.System()

// live streams the signals of a tenant.
func (o *Observer) live(c *route.Call) error {
	tenant, still := c.Tenant, c.Still()
	return o.Streams().Serve(c.Ctx, c.Grant.Tenant+"/"+c.Grant.By(), func(ctx context.Context) (<-chan sse.Event, error) {
		return o.signals.listen(ctx, tenant, still), nil
	})
}

// signals tells listeners what changed. One goroutine looks at the store for all of them, and one at their tokens; they run only while there are some.
type signals struct {
	of *Observer

	mu        sync.Mutex
	listeners map[*listener]struct{}
	stop      context.CancelFunc // of the goroutines; nil: none run
}

// listener is one stream.
type listener struct {
	tenant string
	events chan sse.Event
	// still reports whether the caller may still listen.
	still func(ctx context.Context) bool
}

func (s *signals) init(of *Observer) { s.of, s.listeners = of, map[*listener]struct{}{} }

// listen returns the signals of a tenant until ctx ends, or until still is false; "*" has those of all.
func (s *signals) listen(ctx context.Context, tenant string, still func(ctx context.Context) bool) <-chan sse.Event {
	l := &listener{tenant: tenant, events: make(chan sse.Event, maxQueue), still: still}
	s.mu.Lock()
	s.listeners[l] = struct{}{}
	if s.stop == nil {
		running, stop := context.WithCancel(context.Background())
		s.stop = stop
		go s.run(running)
		go s.guard(running)
	}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(l)
	})
	s.endRevoked(ctx, l) // it may have been revoked before guard knew of it
	return l.events
}

// remove removes a listener, and reports whether it was there; s.mu is held. The last one ends the goroutines.
func (s *signals) remove(l *listener) bool {
	if _, there := s.listeners[l]; !there {
		return false
	}
	delete(s.listeners, l)
	if len(s.listeners) == 0 {
		s.stop()
		s.stop = nil
	}
	return true
}

// tenants returns the tenants that somebody listens to.
func (s *signals) tenants() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	for l := range s.listeners {
		all[l.tenant] = true
	}
	return all
}

// send sends a signal to the listeners of one tenant.
func (s *signals) send(tenant, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		if l.tenant != tenant {
			continue
		}
		select {
		case l.events <- sse.Event{Name: name, Data: text}:
		default:
			s.remove(l)
			close(l.events)
		}
	}
}

// run looks at the store until ctx ends.
func (s *signals) run(ctx context.Context) {
	changes, err := s.of.Store.Watch(ctx, access.AnyTenant)
	if err != nil {
		changes = nil // ticks carry the version of the newest document as well
	}
	look := looked{signals: s, ticks: map[string]sent{}}
	for {
		look.look(ctx)
		after, stop := wall.After(lookEvery)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				stop()
				return
			case change, ok := <-changes:
				if !ok {
					changes = nil
					continue
				}
				s.changed(ctx, change)
			case <-after:
				waiting = false
			}
		}
	}
}

// guard ends the streams of callers that may no longer listen, until ctx ends: at once where a token ended, and at the next look where it
// expired. It waits for nothing but tokens, so that a slow store keeps no stream open.
func (s *signals) guard(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.of.TokensChanged()
		s.mu.Lock()
		all := slices.Collect(maps.Keys(s.listeners))
		s.mu.Unlock()
		s.endRevoked(ctx, all...)
		after, stop := wall.After(lookEvery)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-after:
		}
		stop()
	}
}

// endRevoked ends the streams of those whose token or session has ended, or reaches less.
func (s *signals) endRevoked(ctx context.Context, all ...*listener) {
	for _, l := range all {
		if l.still(ctx) {
			continue
		}
		s.mu.Lock()
		if s.remove(l) {
			close(l.events)
		}
		s.mu.Unlock()
	}
}

// changed tells of a document that was written or deleted.
func (s *signals) changed(ctx context.Context, change state.Change) {
	tenants := s.tenants()
	if change.Kind != state.KindDocument || !tenants[change.Tenant] && !tenants[access.AnyTenant] {
		return
	}
	var version uint64
	if setting, err := s.of.Store.Get(ctx, change.Tenant, change.Kind, change.Name); err == nil {
		version = setting.Version
	}
	s.send(change.Tenant, "settings", view.SettingsSignal{Of: change.Name, Version: version})
	s.send(access.AnyTenant, "settings", view.SettingsSignal{Tenant: change.Tenant, Of: change.Name, Version: version})
}

// looked is what was seen last.
type looked struct {
	signals *signals
	holds   map[[2]string]state.HoldKind // by tenant and destination; nil: not looked yet
	ticks   map[string]sent
}

// sent is the last tick of a tenant.
type sent struct {
	tick view.Tick
	at   time.Duration // of wall
}

func (l *looked) look(ctx context.Context) {
	tenants := l.signals.tenants()
	l.lookAtHolds(ctx)
	for tenant := range l.ticks {
		if !tenants[tenant] {
			delete(l.ticks, tenant)
		}
	}
	for tenant := range tenants {
		tick, err := l.signals.of.tick(ctx, tenant)
		if err != nil {
			continue // the stream goes on; the next look may succeed
		}
		last, before := l.ticks[tenant]
		now := wall.Elapsed()
		same := before && last.tick.Waiting == tick.Waiting && last.tick.Dead == tick.Dead && last.tick.Rev == tick.Rev
		if same && now-last.at < tickAtLeast {
			continue
		}
		l.ticks[tenant] = sent{tick, now}
		l.signals.send(tenant, "tick", tick)
	}
}

func (l *looked) lookAtHolds(ctx context.Context) {
	list, err := l.signals.of.Store.Holds(ctx, access.AnyTenant)
	if err != nil {
		return
	}
	now := make(map[[2]string]state.HoldKind, len(list))
	for _, h := range list {
		now[[2]string{h.Tenant, h.Destination}] = h.Hold.Kind
	}
	if l.holds != nil {
		for at, kind := range now {
			if l.holds[at] != kind {
				l.hold(at, kind)
			}
		}
		for at := range l.holds {
			if now[at] == "" {
				l.hold(at, "")
			}
		}
	}
	l.holds = now
}

func (l *looked) hold(at [2]string, kind state.HoldKind) {
	l.signals.send(at[0], "hold", view.HoldSignal{Destination: at[1], Kind: string(kind)})
	l.signals.send(access.AnyTenant, "hold", view.HoldSignal{Tenant: at[0], Destination: at[1], Kind: string(kind)})
}

// tick returns how a tenant stands; of "*" it is the whole gateway.
func (o *Observer) tick(ctx context.Context, tenant string) (t view.Tick, err error) {
	var oldest time.Time
	if tenant == access.AnyTenant {
		h := o.Stats.Health(ctx)
		t.Waiting, t.Dead, oldest = h.Waiting, h.Dead, h.OldestWaiting
	} else {
		if t.Waiting, oldest, t.Dead, err = o.standing(ctx, tenant); err != nil {
			return t, err
		}
		if over := o.Plan().Overlay(tenant); over != nil {
			for i := range over.Documents {
				t.Rev = max(t.Rev, over.Documents[i].Version)
			}
		}
	}
	t.OldestS = int64(o.age(oldest))
	return t, nil
}

// standing adds up what waits for a tenant's destinations and what is dead, also of those that are no longer configured.
func (o *Observer) standing(ctx context.Context, tenant string) (waiting int64, oldest time.Time, dead int64, err error) {
	all, err := o.Store.Standing(ctx, tenant, nil)
	if err != nil {
		return 0, oldest, 0, err
	}
	waiting, oldest, dead = sumOf(all)
	return waiting, oldest, dead, nil
}

// sumOf adds up the standing of destinations.
func sumOf(all []state.Standing) (waiting int64, oldest time.Time, dead int64) {
	for i := range all {
		s := &all[i]
		waiting, dead = waiting+int64(s.Waiting), dead+int64(s.Dead)
		if !s.OldestWaiting.IsZero() && (oldest.IsZero() || s.OldestWaiting.Before(oldest)) {
			oldest = s.OldestWaiting
		}
	}
	return waiting, oldest, dead
}

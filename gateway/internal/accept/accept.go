// Package accept admits events: it bounds what waits for the store, refuses while the gateway drains, makes events durable
// and counts what became of each. Both ways in use it: HTTP requests (package web/intake) and Redis streams (package stream).
//
// It is on the hot path: it takes no lock and allocates nothing.
package accept

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/rules/event"
)

// Bounds of the requests that wait for the store at once. Requests beyond them are refused with ErrFull: platforms send them
// again, and memory stays bounded.
const (
	maxWaitingBytes    = 256 << 20
	maxWaitingRequests = 8192
)

// Errors of Admit before anything was appended. Any other error is the store's. All of them ask the sender to come back.
var (
	ErrDraining = errors.New("the gateway is stopping")
	ErrFull     = errors.New("the gateway is full")
)

// Store makes events durable; a state.Store is one.
type Store interface {
	Append(ctx context.Context, events []*event.Event) ([]state.Appended, error)
}

// Counters finds the counters of an event's source. It is never nil, also for a source that is not configured.
type Counters interface {
	Counters(tenant, source string) *stats.Source
}

// Options are the dependencies of an Acceptor; all are required.
type Options struct {
	Store Store
	Stats *stats.Stats
	Clock clock.Clock
}

// Acceptor admits events. Make it with New; it is safe for concurrent use.
type Acceptor struct {
	options  Options
	requests atomic.Int64 // that wait for the store
	bytes    atomic.Int64 // of those requests
	draining atomic.Bool
}

// New returns an Acceptor that does not drain.
func New(o Options) *Acceptor { return &Acceptor{options: o} }

// Drain makes Admit refuse every request from now on, so that senders go to another replica or come back after the restart.
func (a *Acceptor) Drain() { a.draining.Store(true) }

// Draining reports whether Drain was called.
func (a *Acceptor) Draining() bool { return a.draining.Load() }

// Admit appends the events of one request of size bytes, which started then. It is refused with ErrDraining or ErrFull.
func (a *Acceptor) Admit(ctx context.Context, events []*event.Event, size int, started time.Time, c Counters) ([]state.Appended, error) {
	if a.draining.Load() {
		a.unavailable(events, c)
		return nil, ErrDraining
	}
	requests, bytes := a.requests.Add(1), a.bytes.Add(int64(size))
	defer func() {
		a.requests.Add(-1)
		a.bytes.Add(-int64(size))
	}()
	if requests > maxWaitingRequests || bytes > maxWaitingBytes {
		a.unavailable(events, c)
		return nil, ErrFull
	}
	return a.Append(ctx, events, started, c)
}

// Append makes events durable, counts them, and returns for each whether it was new. It is Admit without bounds and without
// draining, for a sender that bounds itself and finishes what it has read: the reader of a stream.
func (a *Acceptor) Append(ctx context.Context, events []*event.Event, started time.Time, c Counters) ([]state.Appended, error) {
	appended, err := a.options.Store.Append(ctx, events)
	crashpoint.At(crashpoint.Appended)
	if err != nil {
		a.unavailable(events, c)
		return nil, err
	}
	now := a.options.Clock.Now()
	a.options.Stats.Accept(now.Sub(started))
	for i, ev := range events {
		counts := c.Counters(ev.Tenant, ev.Source)
		switch {
		case appended[i].Duplicate:
			counts.Duplicate(1, now)
		case ev.Type == event.TypeEntry: // a dead letter: no event could be made of an entry
			counts.Invalid(1, now)
		default:
			counts.Accepted(1, now)
		}
	}
	return appended, nil
}

// unavailable counts a request that was not accepted, once for each source of its events.
func (a *Acceptor) unavailable(events []*event.Event, c Counters) {
	now, of := a.options.Clock.Now(), map[*stats.Source]int{}
	for _, ev := range events {
		of[c.Counters(ev.Tenant, ev.Source)]++
	}
	for source, n := range of {
		source.Unavailable(n, now)
	}
}

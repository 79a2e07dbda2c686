package state

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Upkeep is what the gateway asks for itself; it has no tenant.
type Upkeep interface {
	// AddStats adds to what is kept of a destination's minutes.
	AddStats(ctx context.Context, stats []Stat) error
	// Stats are a tenant's minutes in a span, oldest first; destination "" is all of them.
	Stats(ctx context.Context, tenant, destination string, since, until time.Time) ([]Stat, error)

	// Trim removes what retention ends: oldest events that nothing waits for, dedupe keys, history, dead letters.
	// Events still referred to are kept until their last reference. Waiting deliveries over the bound become dead.
	// Bounds in bytes of events, dedupe keys and dead letters are for all tenants together: where one is exceeded, whoever
	// has most loses the oldest (Level), so that what another tenant is sent pushes nothing of one's own out.
	Trim(ctx context.Context, r Retention) (*Trimmed, error)

	// Shares are the bounds in bytes where nobody says any: what fits where this engine keeps things. They may change
	// while it runs, so each Trim asks again and fills what is not said: Trim(ctx, r.With(shares)).
	Shares(ctx context.Context) (Shares, error)

	Health(ctx context.Context) Health
}

// Stat counts a destination's attempts within one minute.
type Stat struct {
	Tenant, Destination string
	Minute              time.Time
	// Verdicts counts attempts by verdict.
	Verdicts map[string]int64
	// Latency counts attempts by log-bucket: bucket i holds 2^(i-1) to 2^i milliseconds, bucket 0 less than one.
	Latency [24]int64
}

// Retention bounds what is kept, by age and bytes, whichever is first; zero is no bound. Bytes of events, dedupe keys and
// dead letters are those of all tenants together; see Level.
type Retention struct {
	Events  Bound
	Dedupe  Bound
	History HistoryBound
	Dead    Bound
	// Waiting bounds each destination.
	Waiting WaitingBound
}

// Shares are sizes in bytes. Waiting is that of each destination.
type Shares struct{ Events, Dedupe, Waiting int64 }

// With is the retention with the bounds in bytes that it does not say.
func (r Retention) With(s Shares) Retention {
	r.Events.Bytes = cmp.Or(r.Events.Bytes, s.Events)
	r.Dedupe.Bytes = cmp.Or(r.Dedupe.Bytes, s.Dedupe)
	r.Waiting.Bytes = cmp.Or(r.Waiting.Bytes, s.Waiting)
	return r
}

// Bound is an age and a size in bytes.
type Bound struct {
	Age   time.Duration
	Bytes int64
}

// HistoryBound bounds attempts by age and by number per destination.
type HistoryBound struct {
	Age            time.Duration
	PerDestination int
}

// WaitingBound bounds what waits for one destination.
type WaitingBound struct {
	Age   time.Duration
	Count int
	Bytes int64
}

// Trimmed counts what Trim did.
type Trimmed struct {
	Events, Kept, Dedupe, Attempts, Dead, Overdue int
	// Moved counts what is kept as before, in another place: events that the bytes of other tenants would have ended.
	Moved int
}

// ClockSetBack is the warning of a clock that was set back: what is judged otherwise since.
func ClockSetBack(clock string, by time.Duration) string {
	return fmt.Sprintf("%s was set back by %s: retries, delays, holds and leases go on by elapsed time, but times that are shown "+
		"may be out of order; look at what sets the clock", clock, by.Round(time.Second))
}

// Health is how the store does.
type Health struct {
	// Err says why nothing can be accepted; nil when it can.
	Err error
	// Warnings are what could lose data, in words.
	Warnings []string
	// Counted says that the store could be asked for the numbers that follow. Without it they are 0 and say nothing.
	Counted bool
	// Pending are events accepted and not committed; Oldest of them when it was received.
	Pending int64
	Oldest  time.Time
	// Waiting and Dead count deliveries; OldestWaiting is the earliest Created among the waiting.
	Waiting       int64
	OldestWaiting time.Time
	Dead          int64
	Events        int64
	Bytes         int64
	// DedupeWindow is how far back duplicates are recognised now: of the tenant that has the oldest. One that lost some for
	// their bytes has less.
	DedupeWindow time.Duration
}

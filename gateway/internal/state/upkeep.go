package state

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Upkeep is statistics, retention and health. Apart from Counts it takes no tenant: the gateway calls it for all of them.
type Upkeep interface {
	// AddCounts adds counts to the minute, hour and day that each is in (At), in one step for each count. A count that is older
	// than days are kept is left out, and so are the steps that are not kept for as long.
	//
	// left are the counts that were not added; err says why, and is nil if there are none. The caller adds them again with its next
	// counts. All others are added once, or are known to be added by this store's next call: a lost answer doubles nothing.
	//
	// One store of a tenant's or of everyone's (a shard) that fails keeps back no others. Counts that break a rule (CheckCounts) are
	// ErrInvalid, and nothing is added.
	AddCounts(ctx context.Context, counts []Count) (left []Count, err error)
	// Counts returns counts of a tenant, by name and then by time; without those that are 0. A query of more than MaxCountCells, or
	// of an unknown kind or step, is ErrInvalid.
	Counts(ctx context.Context, tenant string, q CountQuery) ([]Count, error)
	// CountedNames returns the names of a kind that were counted on the day of a time or later, sorted, with OtherName.
	CountedNames(ctx context.Context, tenant string, kind StatKind, since time.Time) ([]string, error)

	// Trim applies retention to events, dedupe keys, history and dead letters, oldest first. An event that a delivery still
	// refers to is kept until its last reference. Waiting deliveries over the bound become dead letters.
	//
	// Bounds in bytes of events, dedupe keys and dead letters are for all tenants together. If one is exceeded, the largest
	// tenants lose their oldest (Level), so that one tenant's traffic does not push out another tenant's data.
	//
	// With an error it also returns what it did before.
	Trim(ctx context.Context, r Retention) (*Trimmed, error)

	// Shares returns the default bounds in bytes, as they fit the disk or memory of this engine. They may change while the
	// engine runs, so the caller asks before each Trim and fills in the bounds that are not configured:
	// Trim(ctx, r.With(shares)).
	Shares(ctx context.Context) (Shares, error)

	Health(ctx context.Context) Health
}

// Retention bounds what is kept by age and by bytes, whichever is reached first; zero means no bound. Bytes of events,
// dedupe keys and dead letters are those of all tenants together; see Level.
type Retention struct {
	Events  Bound
	Dedupe  Bound
	History HistoryBound
	Dead    Bound
	// Waiting bounds each destination.
	Waiting WaitingBound
	// Stats bounds the bytes of statistics, of all tenants together. Their age is not configured (StatStep.Kept). If they exceed the
	// bound, the largest tenants lose minutes, the oldest first; then hours, and days at last.
	Stats int64
}

// Shares are default bounds in bytes. Waiting is that of each destination.
type Shares struct{ Events, Dedupe, Waiting, Stats int64 }

// With returns the retention, with default bounds in bytes where it has none.
func (r Retention) With(s Shares) Retention {
	r.Events.Bytes = cmp.Or(r.Events.Bytes, s.Events)
	r.Dedupe.Bytes = cmp.Or(r.Dedupe.Bytes, s.Dedupe)
	r.Waiting.Bytes = cmp.Or(r.Waiting.Bytes, s.Waiting)
	r.Stats = cmp.Or(r.Stats, s.Stats)
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

// WaitingBound bounds the deliveries that wait for one destination.
type WaitingBound struct {
	Age   time.Duration
	Count int
	Bytes int64
}

// Trimmed counts the records that Trim removed, and the waiting deliveries (Overdue) that it made dead letters.
type Trimmed struct {
	Events, Kept, Dedupe, Attempts, Dead, Overdue int
	// Moved counts records that stay and were moved: events into their tenant's share, because the bytes of other tenants
	// reached the common bound, and dedupe keys of former versions to their tenant.
	Moved int
	// OverdueOf says whose deliveries the Overdue ones are: in no order; one destination may have several entries.
	OverdueOf []Overdue
	// Stats counts the periods (hours of minutes, days of hours, months of days) that tenants lost to the bound of statistics.
	Stats int
	// More: the call ended before everything was looked at, or something is still to be removed. The next call continues.
	More bool
}

// Overdue counts the deliveries to one destination that Trim made dead letters, test deliveries too.
type Overdue struct {
	Tenant, Destination string
	Count               int
}

// AddOverdue counts n deliveries to a destination as Overdue.
func (t *Trimmed) AddOverdue(tenant, destination string, n int) {
	if n == 0 {
		return
	}
	t.Overdue += n
	if last := len(t.OverdueOf) - 1; last >= 0 && t.OverdueOf[last].Tenant == tenant && t.OverdueOf[last].Destination == destination {
		t.OverdueOf[last].Count += n
		return
	}
	t.OverdueOf = append(t.OverdueOf, Overdue{tenant, destination, n})
}

// Nothing reports whether nothing was removed or moved, and nothing is left to do.
func (t *Trimmed) Nothing() bool {
	return t.Events+t.Kept+t.Dedupe+t.Attempts+t.Dead+t.Overdue+t.Moved+t.Stats == 0 && !t.More
}

// Add adds what another call of the same round did; More is that of the later call.
func (t *Trimmed) Add(later *Trimmed) {
	t.Events += later.Events
	t.Kept += later.Kept
	t.Dedupe += later.Dedupe
	t.Attempts += later.Attempts
	t.Dead += later.Dead
	for _, o := range later.OverdueOf {
		t.AddOverdue(o.Tenant, o.Destination, o.Count)
	}
	t.Moved += later.Moved
	t.Stats += later.Stats
	t.More = later.More
}

// ClockSetBack is the warning that a clock was set back, with its effects.
func ClockSetBack(clock string, by time.Duration) string {
	return fmt.Sprintf("%s was set back by %s: retries, delays, holds and leases go on by elapsed time, but times that are shown "+
		"may be out of order; look at what sets the clock", clock, by.Round(time.Second))
}

// Health is the state of the store.
type Health struct {
	// Err is why events cannot be accepted; nil if they can.
	Err error
	// Warnings are texts about conditions that could lose data.
	Warnings []string
	// Counted: the numbers that follow could be read. Without it they are 0 and mean nothing.
	Counted bool
	// Pending counts events that are accepted and not committed; Oldest is when the oldest of them was received.
	Pending int64
	Oldest  time.Time
	// Waiting and Dead count deliveries; OldestWaiting is the earliest Created of the waiting ones.
	Waiting       int64
	OldestWaiting time.Time
	Dead          int64
	Events        int64
	Bytes         int64
	// DedupeWindow is how far back duplicates are recognised now, for the tenant with the oldest dedupe key. A tenant that
	// lost keys to the bound in bytes has a shorter window.
	DedupeWindow time.Duration
}

package notice

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Of dead letters and changes that the replica which knew of them did not tell, because it was killed. They are in the store, and no
// notice of their destination, or of settings, is newer. Their number may be too low: those that a newer notice did not count are not found.
const (
	// missedAfter is longer than a replica that lives keeps what it has to tell.
	missedAfter = 2 * time.Minute
	// missedWithin bounds how old it may be, missedPages how much of it is read, missedLines how many changes.
	missedWithin = 24 * time.Hour
	missedPages  = 5
	missedLines  = 50
	// missedEvery is how often a tenant is looked at, missedEach how many tenants a round looks at. The only process of a store looks
	// once, at what the process before it has left.
	missedEvery = time.Minute
	missedEach  = 20
	// lookedEvery is how often the record learns how far it was looked.
	lookedEvery = time.Hour
)

// missed remembers which tenants were looked at.
type missed struct {
	turn
	looked map[string]time.Duration // by tenant, by Clock.Elapsed
}

// lookForMissed counts what no replica has told, for the next flush.
func (n *Notifier) lookForMissed(ctx context.Context, tenants map[string]heard, kept map[string]*record) error {
	maps.DeleteFunc(n.missed.looked, func(tenant string, _ time.Duration) bool { _, hears := tenants[tenant]; return !hears })
	now := n.Clock.Elapsed()
	var due []target
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		last, looked := n.missed.looked[tenant]
		if hears := tenants[tenant]; (hears.dead || hears.changed) && (!looked || !n.alone && now-last >= missedEvery) {
			due = append(due, target{tenant: tenant})
		}
	}
	for _, at := range n.missed.next(due, missedEach) {
		if err := n.lookForMissedOf(ctx, at.tenant, tenants[at.tenant], recordOf(kept, at.tenant)); err != nil {
			return err
		}
		n.missed.looked[at.tenant] = now
	}
	return nil
}

func (n *Notifier) lookForMissedOf(ctx context.Context, tenant string, hears heard, r *record) error {
	now := n.Clock.Now()
	if r.Looked.IsZero() { // what was before is no news
		r.Looked = now
		return n.keep(ctx, tenant, r)
	}
	until := now.Add(-missedAfter)
	if n.alone {
		until = n.began
	}
	since := r.Looked
	if oldest := now.Add(-missedWithin); since.Before(oldest) {
		since = oldest
	}
	if hears.dead {
		if err := n.missedDead(ctx, tenant, since, until); err != nil {
			return err
		}
	}
	if hears.changed {
		if err := n.missedChanges(ctx, tenant, since, until); err != nil {
			return err
		}
	}
	if until.Sub(r.Looked) < lookedEvery {
		return nil
	}
	r.Looked = until
	return n.keep(ctx, tenant, r)
}

// missedDead counts the dead letters of a time that are newer than the last notice of their destination.
func (n *Notifier) missedDead(ctx context.Context, tenant string, since, until time.Time) error {
	byDestination := map[string][]state.Delivery{} // newest first
	q := state.DeliveryQuery{State: state.Dead, Since: since, Until: until, Limit: 200}
	for range missedPages {
		page, err := n.Store.Deliveries(ctx, tenant, q)
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		for _, d := range page.Items {
			if !d.Origin.IsAlone() {
				byDestination[d.Destination] = append(byDestination[d.Destination], d)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(byDestination) == 0 {
		return nil
	}
	told, every, err := n.lastTold(ctx, tenant, event.TypeDeliveryDead, since)
	if err != nil {
		return err
	}
	for destination, all := range byDestination {
		last := told[destination]
		if last.Before(every) {
			last = every
		}
		if known := slices.IndexFunc(all, func(d state.Delivery) bool { return !d.Updated.After(last) }); known >= 0 {
			all = all[:known]
		}
		count, err := n.noNotices(ctx, tenant, all)
		if err != nil {
			return err
		}
		if count > 0 {
			n.dead.add(target{tenant, destination}, deadCount{count: count, since: all[len(all)-1].Updated, reason: all[0].Reason})
		}
	}
	return nil
}

// lastTold returns when the last notice of a type was made, by its destination. every is when the last one was made that is of no
// destination, or before which not all were read.
func (n *Notifier) lastTold(ctx context.Context, tenant, eventType string, since time.Time) (told map[string]time.Time, every time.Time, err error) {
	page, err := n.Store.Events(ctx, tenant, state.EventQuery{Type: eventType, Source: event.NoticeSource, Since: since, Limit: 200})
	if err != nil {
		return nil, every, fmt.Errorf("read notices: %w", err)
	}
	told = map[string]time.Time{}
	for _, item := range page.Items { // newest first
		name := item.Event.Data().Notice.Destination
		if told[name].IsZero() {
			told[name] = item.Event.Received
		}
	}
	every = told[""]
	if page.Next != "" {
		if oldest := page.Items[len(page.Items)-1].Event.Received; oldest.After(every) {
			every = oldest
		}
	}
	return told, every, nil
}

// noNotices returns how many of some dead letters are of other events than notices. It looks at a sample.
func (n *Notifier) noNotices(ctx context.Context, tenant string, all []state.Delivery) (int, error) {
	notices := 0
	sample := all[:min(len(all), overdueSample)]
	for i := range sample {
		record, err := n.Store.Event(ctx, tenant, sample[i].EventID)
		if err != nil && state.StopsAll(err) {
			return 0, fmt.Errorf("read the event of a dead letter: %w", err)
		}
		if err != nil || strings.HasPrefix(record.Event.Type, event.GatewayPrefix) {
			notices++ // one that is no longer kept may be a notice
		}
	}
	if notices == len(sample) {
		return 0, nil
	}
	return len(all) - notices, nil
}

// missedChanges adds the changes of settings of a time that are newer than the last notice of changes.
func (n *Notifier) missedChanges(ctx context.Context, tenant string, since, until time.Time) error {
	lines, err := (&audit.Log{Store: n.Store, Clock: n.Clock}).Lines(ctx, tenant, 0, missedLines)
	if err != nil {
		return err
	}
	lines = slices.DeleteFunc(lines, func(l audit.Line) bool { return !l.ChangesSettings() || !l.At.After(since) || l.At.After(until) })
	if len(lines) == 0 {
		return nil
	}
	_, last, err := n.lastTold(ctx, tenant, event.TypeSettingsChanged, since)
	if err != nil {
		return err
	}
	slices.Reverse(lines)
	lines = slices.DeleteFunc(lines, func(l audit.Line) bool { return !l.At.After(last) })
	for len(lines) > 0 { // an act by an act: what one request changed
		n.Changed(ctx, tenant, lines[:sameRequest(lines)])
		lines = lines[sameRequest(lines):]
	}
	return nil
}

// sameRequest returns how many of the first lines are of one request; at least 1.
func sameRequest(lines []audit.Line) int {
	of := 1
	for of < len(lines) && lines[0].RequestID != "" && lines[of].RequestID == lines[0].RequestID {
		of++
	}
	return of
}

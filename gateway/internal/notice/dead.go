package notice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Bounds of what waits to be told, in destinations: of all tenants together, and of one. What exceeds them is counted for the
// tenant as a whole.
const (
	maxDead       = 20_000
	maxDeadTenant = 1000
)

// overdueSample is how many dead letters are looked at to find out whether all of them are notices.
const overdueSample = 50

// deadLetters counts dead letters until they are told.
type deadLetters struct {
	mu       sync.Mutex
	pending  map[target]*deadCount
	ofTenant map[string]int // entries of pending
}

type deadCount struct {
	count  int
	since  time.Time
	reason string // of the last
	// overdue ones were made dead by retention, which does not know the type of their events.
	overdue int
}

// add counts dead letters.
func (d *deadLetters) add(at target, c deadCount) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending[at] == nil && (len(d.pending) >= maxDead || d.ofTenant[at.tenant] >= maxDeadTenant) {
		at.name = ""
	}
	p := d.pending[at]
	if p == nil {
		p = &deadCount{since: c.since}
		d.pending[at] = p
		d.ofTenant[at.tenant]++
	}
	p.count += c.count
	p.overdue += c.overdue
	if c.reason != "" {
		p.reason = c.reason
	}
	if c.since.Before(p.since) {
		p.since = c.since
	}
}

// take empties the counts.
func (d *deadLetters) take() map[target]*deadCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.pending
	d.pending, d.ofTenant = map[target]*deadCount{}, map[string]int{}
	return taken
}

// Died notices a dead letter. It does not wait. Tests of destinations are no news, and one of a notice is never told: its notice
// could fail as well.
func (n *Notifier) Died(d *state.Delivery, eventType string) {
	if d.Origin.IsAlone() || strings.HasPrefix(eventType, event.GatewayPrefix) {
		return
	}
	n.dead.add(target{d.Tenant, d.Destination}, deadCount{count: 1, since: n.Clock.Now(), reason: d.Reason})
}

// Overdue notices deliveries that retention made dead letters.
func (n *Notifier) Overdue(tenant, destination string, count int) {
	n.dead.add(target{tenant, destination}, deadCount{count: count, overdue: count, since: n.Clock.Now(), reason: "it waited for longer than retention.waiting allows"})
}

// tellDead tells of the dead letters since the last notice. A destination that had a notice this minute, from this replica or
// another, waits for the next.
func (n *Notifier) tellDead(ctx context.Context) error {
	taken := n.dead.take()
	byTenant := map[string][]target{}
	for at := range taken {
		byTenant[at.tenant] = append(byTenant[at.tenant], at)
	}
	minute := n.Clock.Now().Unix() / 60
	var failed error
	for tenant, all := range byTenant {
		if !n.Plan().Hears(tenant, event.TypeDeliveryDead) {
			continue
		}
		slices.SortFunc(all, compareTargets)
		if len(all) > maxEach {
			all = append(all[:0:0], n.merge(tenant, all, taken))
		}
		for _, at := range all {
			told, err := false, failed
			if err == nil {
				told, err = n.tellDeadOf(ctx, at, taken[at], minute)
			}
			if failed = err; !told {
				n.dead.add(at, *taken[at])
			}
		}
	}
	return failed
}

// merge adds up the dead letters of many destinations, under the tenant's own entry.
func (n *Notifier) merge(tenant string, all []target, taken map[target]*deadCount) target {
	whole, sum := target{tenant: tenant}, &deadCount{since: n.Clock.Now()}
	var names []string
	for _, at := range all {
		c := taken[at]
		sum.count += c.count
		sum.overdue += c.overdue
		if c.since.Before(sum.since) {
			sum.since = c.since
		}
		if at.name != "" {
			names = append(names, at.name)
		}
	}
	sum.reason = "of " + few(names)
	taken[whole] = sum
	return whole
}

// tellDeadOf tells of the dead letters of one destination, or, without a name, of a tenant. told is false if there was a notice this
// minute.
func (n *Notifier) tellDeadOf(ctx context.Context, at target, c *deadCount, minute int64) (told bool, err error) {
	count := c.count
	if c.overdue > 0 && at.name != "" {
		notices, err := n.notices(ctx, at, c.overdue)
		if err != nil {
			return false, err
		}
		if count -= notices; count <= 0 {
			return true, nil
		}
	}
	data := event.Notice{Destination: at.name, Reason: c.reason, Count: number(count), Since: moment(c.since)}
	letters := plural(count, "delivery")
	if count != 1 {
		letters = fmt.Sprintf("%d deliveries", count)
	}
	if data.Summary = fmt.Sprintf("%s to %s became dead letters: %s", letters, at.name, clip(c.reason)); at.name == "" {
		data.Summary = fmt.Sprintf("%s became dead letters: %s", letters, clip(c.reason))
	}
	return n.tell(ctx, at.tenant, event.TypeDeliveryDead, fmt.Sprintf("%s/%d", at.name, minute), data)
}

// notices returns how many of the newest dead letters of a destination are notices; all of them, if a sample has nothing else.
func (n *Notifier) notices(ctx context.Context, at target, overdue int) (int, error) {
	page, err := n.Store.Deliveries(ctx, at.tenant, state.DeliveryQuery{State: state.Dead, Destination: at.name, Limit: min(overdue, overdueSample)})
	if err != nil {
		return 0, fmt.Errorf("read dead letters: %w", err)
	}
	found := 0
	for i := range page.Items {
		record, err := n.Store.Event(ctx, at.tenant, page.Items[i].EventID)
		if err != nil || strings.HasPrefix(record.Event.Type, event.GatewayPrefix) {
			found++ // one that is no longer kept may be a notice
		}
	}
	if found == len(page.Items) {
		return overdue, nil
	}
	return found, nil
}

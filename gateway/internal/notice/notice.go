// Package notice tells tenants what the gateway noticed about their destinations, sources and settings: as events `gateway.*`, which
// are stored, decided and delivered like every other event of the tenant. Definitions lists them.
//
// No rule gets a notice unless its `events:` names it, and a notice that no rule or webhook of its tenant gets is not made: it would
// cost retention and be read by nobody. No notice is about the failed delivery of a notice, so notices cannot cause each other
// without end.
//
// Transitions of destinations and sources are found by one replica, which holds a lease, from what the store has: holds and
// statistics. Dead letters and changes of settings are told by the replica where they happened; if that is killed before, the one with the
// lease finds them in the store, where no notice is newer (missed). All are bounded a minute and tenant.
package notice

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Definition says when a notice is made.
type Definition struct{ Type, Meaning string }

// Definitions are all notices. gateway/API.md lists them.
var Definitions = []Definition{
	{event.TypeDestinationUnhealthy, "its credentials were refused, or its circuit is open for a minute or longer, which it is after more than a minute in which nothing but failures came back"},
	{event.TypeDestinationDisabled, "it answered 410: the receiver wants nothing any more. Nothing is sent until its URL changes or a person resumes it"},
	{event.TypeDestinationRecovered, "after one of the two above: nothing holds it any more, and a delivery to it has succeeded since"},
	{event.TypeDeliveryDead, "deliveries became dead letters; at most one notice a minute and destination, with their number"},
	{event.TypeSourceSilent, "its newest event is older than an hour, than six times the median gap between its events, and than the second longest gap of the last two weeks"},
	{event.TypeSourceRejecting, "at least five requests were refused over at least ten minutes, and none was accepted in between or since"},
	{event.TypeSettingsChanged, "somebody changed a document, a token or the tenant by the API: a notice for each change, or one for many"},
}

// Options are the dependencies of a Notifier; all but Holder are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan  func() *decide.Plan
	Clock clock.Clock
	Log   *slog.Logger
	// Holder holds the lease of this process; empty makes one up. The only process of a store gives the same at each start, so that it
	// tells at once what the process before it did not.
	Holder string
}

// Times and bounds. A tenant gets at most maxEach notices of dead letters a minute and as many of changes; beyond that, one notice
// tells of many. Of destinations and sources it gets at most maxTransitions a look, and none twice within settle.
const (
	every          = 5 * time.Second
	leaseFor       = 20 * time.Second
	maxEach        = 10
	maxTransitions = 30
	settle         = 5 * time.Minute
	maxText        = 300 // bytes of a reason
	maxNamed       = 5   // names in a summary
)

const leaseName = "notices"

// Notifier makes notices. Make it with New; it is safe for concurrent use.
type Notifier struct {
	Options

	alone   bool      // it is the only process of the store
	began   time.Time // when it was made
	dead    deadLetters
	changes changes
	sources turn
	hearing hearing // used by Round alone, as are sources and missed
	missed  missed
}

// New returns a Notifier that has noticed nothing yet.
func New(o Options) *Notifier {
	alone := o.Holder != ""
	o.Holder = cmp.Or(o.Holder, rand.Text())
	return &Notifier{
		Options: o, alone: alone, began: o.Clock.Now(), hearing: hearing{}, missed: missed{looked: map[string]time.Duration{}},
		dead: deadLetters{pending: map[target]*deadCount{}, ofTenant: map[string]int{}}, changes: changes{pending: map[string]*changed{}},
	}
}

// target is a destination of a tenant.
type target struct{ tenant, name string }

// Run makes notices until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	for {
		if err := n.Round(ctx); err != nil && ctx.Err() == nil {
			n.Log.Warn("cannot make notices; the next try is soon", "err", err)
		}
		after, stop := n.Clock.After(every)
		select {
		case <-after:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

// Round makes the notices that are due. What fails is tried again in the next round.
func (n *Notifier) Round(ctx context.Context) error {
	if err := n.flush(ctx); err != nil {
		return err
	}
	tenants := n.hearing.of(n.Plan())
	if len(tenants) == 0 {
		return nil
	}
	if _, err := n.Store.Lease(ctx, leaseName, n.Holder, leaseFor); err != nil {
		return ignoreConflict(err) // another replica looks
	}
	kept, err := n.records(ctx)
	if err != nil {
		return err
	}
	if err := n.lookForMissed(ctx, tenants, kept); err != nil {
		return err
	}
	if err := n.flush(ctx); err != nil {
		return err
	}
	if err := n.lookAtDestinations(ctx, tenants, kept); err != nil {
		return err
	}
	return n.lookAtSources(ctx, tenants, kept)
}

// Close makes the notices that wait for the next round, and lets another replica look.
func (n *Notifier) Close(ctx context.Context) error {
	if err := n.flush(ctx); err != nil {
		n.Log.Warn("notices of the last seconds are lost", "err", err)
	}
	if len(n.hearing.tenants) > 0 {
		_, _ = n.Store.Lease(ctx, leaseName, n.Holder, 0) // it ends by itself otherwise
	}
	return nil
}

// flush tells what this replica counted.
func (n *Notifier) flush(ctx context.Context) error {
	if err := n.tellDead(ctx); err != nil {
		return err
	}
	return n.tellChanges(ctx)
}

// tell stores a notice of a tenant. Two notices of one type and key are one: told is false for the second.
func (n *Notifier) tell(ctx context.Context, tenant, eventType, key string, data event.Notice) (told bool, err error) {
	data.Reason = clip(data.Reason)
	ev, err := event.New(event.Header{
		Tenant: tenant, Source: event.NoticeSource, SourceKind: "gateway", Type: eventType, Received: n.Clock.Now(),
		DedupeKey: strings.TrimPrefix(eventType, event.GatewayPrefix) + "/" + key, Verified: "token",
	}, &event.Data{Notice: data}, event.Raw{})
	if err != nil {
		return false, fmt.Errorf("make a notice: %w", err)
	}
	appended, err := n.Store.Append(ctx, []*event.Event{ev})
	if err != nil {
		return false, fmt.Errorf("store a notice: %w", err)
	}
	return !appended[0].Duplicate, nil
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func number(n int) *float64 {
	f := float64(n)
	return &f
}

func moment(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// few names the first of some names.
func few(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// hearing is who hears which notices in a plan.
type hearing struct {
	plan    *decide.Plan
	tenants map[string]heard
}

// heard is which notices a tenant's rules and webhooks get: those of destinations by their type, those of sources likewise.
type heard struct {
	unhealthy, disabled, recovered, silent, rejecting, dead, changed bool
}

// of returns the tenants of a plan that hear notices which are looked for.
func (h *hearing) of(plan *decide.Plan) map[string]heard {
	if h.plan == plan {
		return h.tenants
	}
	h.plan, h.tenants = plan, map[string]heard{}
	for tenant := range plan.Tenants() {
		own := heard{
			unhealthy: plan.Hears(tenant, event.TypeDestinationUnhealthy), disabled: plan.Hears(tenant, event.TypeDestinationDisabled),
			recovered: plan.Hears(tenant, event.TypeDestinationRecovered),
			silent:    plan.Hears(tenant, event.TypeSourceSilent), rejecting: plan.Hears(tenant, event.TypeSourceRejecting),
			dead: plan.Hears(tenant, event.TypeDeliveryDead), changed: plan.Hears(tenant, event.TypeSettingsChanged),
		}
		if own != (heard{}) {
			h.tenants[tenant] = own
		}
	}
	return h.tenants
}

// destinations reports whether the tenant hears of its destinations.
func (h heard) destinations() bool { return h.unhealthy || h.disabled || h.recovered }

// sources reports whether the tenant hears of its sources.
func (h heard) sources() bool { return h.silent || h.rejecting }

// hears reports whether the tenant hears of a condition.
func (h heard) hears(is Condition) bool {
	switch is {
	case Unhealthy:
		return h.unhealthy
	case Disabled:
		return h.disabled
	case Silent:
		return h.silent
	case Rejecting:
		return h.rejecting
	default:
		return h.recovered
	}
}

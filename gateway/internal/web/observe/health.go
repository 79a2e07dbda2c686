package observe

import (
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// maxHolds bounds the holds of one answer.
const maxHolds = 100

// health answers with how a tenant stands. Nothing of it is about another tenant.
func (o *Observer) health(c *route.Call) error {
	h := view.Health{Tenant: c.Tenant, Holds: []view.HealthHold{}}
	all := c.Tenant == access.AnyTenant
	holds, err := o.Store.Holds(c.Base, c.Tenant)
	if err != nil {
		return err
	}
	for _, hold := range holds {
		if len(h.Holds) == maxHolds {
			break
		}
		v := view.HealthHold{
			Destination: hold.Destination, Kind: string(hold.Hold.Kind), Reason: hold.Hold.Reason,
			Since: view.Time{Time: hold.Hold.Since}, Until: view.Time{Time: hold.Hold.Until}, Waiting: hold.Waiting,
		}
		if all {
			v.Tenant = hold.Tenant
		}
		h.Holds = append(h.Holds, v)
	}
	h.OnHold = len(holds)
	if all {
		o.whole(c, &h)
	} else if err := o.ofTenant(c, &h); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, h)
}

// whole adds what concerns the gateway as a whole.
func (o *Observer) whole(c *route.Call, h *view.Health) {
	store := o.Stats.Health(c.Base)
	h.Waiting, h.Dead, h.OldestWaitingS = store.Waiting, store.Dead, o.age(store.OldestWaiting)
	h.Warnings = o.Warnings()
	plan := o.Plan()
	for tenant := range plan.Tenants() {
		if over := plan.Overlay(tenant); over != nil {
			countDocuments(over, &h.Documents)
		}
	}
}

// ofTenant adds the numbers of one tenant.
func (o *Observer) ofTenant(c *route.Call, h *view.Health) error {
	waiting, oldest, dead, err := o.standing(c.Base, c.Tenant)
	if err != nil {
		return err
	}
	h.Waiting, h.Dead, h.OldestWaitingS = waiting, dead, o.age(oldest)
	sum := func(kind state.StatKind) (state.Count, error) {
		counts, err := o.counts(c.Base, c.Tenant, state.CountQuery{
			Kind: kind, Names: []string{""}, Step: state.ByHour, Since: o.Clock.Now().Add(-24 * time.Hour),
		})
		var sum state.Count
		for i := range counts {
			sum.Add(&counts[i])
		}
		return sum, err
	}
	of, err := sum(state.SourceStats)
	if err != nil {
		return err
	}
	deliveries, err := sum(state.DestinationStats)
	if err != nil {
		return err
	}
	if perMinute := o.EventsPerMinute(c.Tenant); perMinute >= 0 {
		use, err := stats.PlanUseOf(c.Base, o.Store, c.Tenant, o.Since(c.Tenant), perMinute, o.Clock.Now())
		if err != nil {
			return err
		}
		h.OverLimit24h = &use.Over24h
	}
	attempts := stats.Attempts(&deliveries)
	h.Events24h, h.Attempts24h = &of.Counts[state.EventsAccepted], &attempts
	h.SuccessRate, h.DeliverySuccess = stats.SuccessRate(&deliveries), stats.DeliverySuccess(&deliveries)
	if over := o.Plan().Overlay(c.Tenant); over != nil {
		countDocuments(over, &h.Documents)
		h.Warnings = tooManyAsked(over)
	}
	return nil
}

// tooManyAsked warns of a tenant with more rules and webhooks that are asked about an event than new ones may be.
func tooManyAsked(over *config.TenantConfig) []string {
	if over == nil {
		return nil
	}
	eventType, n := settings.AskedMost(over)
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf(
		"%d stored rules and webhooks are asked about each `%s`, which takes time; at most %d may be: name fewer types under `events`, or delete or disable some",
		n, eventType, settings.MaxAsked)}
}

func countDocuments(over *config.TenantConfig, d *view.HealthDocuments) {
	for i := range over.Documents {
		switch over.Documents[i].State {
		case config.Active:
			d.Active++
		case config.Disabled:
			d.Disabled++
		case config.Broken:
			d.Broken++
		case config.Shadowed:
			d.Shadowed++
		}
	}
}

func (o *Observer) age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(o.Clock.Now().Sub(since), 0).Round(time.Millisecond).Seconds()
}

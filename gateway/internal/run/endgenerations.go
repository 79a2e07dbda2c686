package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// cleanEvery is how often stored configurations are cleaned, by one replica: the one that has the lease.
	cleanEvery = time.Hour
	cleanLease = "generations"
	// unusedFor is how long a configuration stays after its last use, whether an event refers to it or not. A replica that starts
	// with an older configuration is told by it from one with a configuration that nobody has used before: see newest.
	unusedFor = 7 * 24 * time.Hour
	// clockMargin is by how much clocks of replicas may differ, and days be rounded.
	clockMargin = 24 * time.Hour
)

// generationBounds bound the stored configurations of one owner, whatever refers to them: an event whose configuration is gone
// is explained without it. The longest unused ones go first.
type generationBounds struct {
	count int
	bytes int64
}

var (
	baseBounds   = generationBounds{1000, 64 << 20} // of the files' configurations
	tenantBounds = generationBounds{1000, 8 << 20}  // of one tenant's overlays
)

// allTenantsBytes bounds the overlays of all tenants together: the largest tenants lose their oldest (state.Level).
const allTenantsBytes int64 = 128 << 20

// cleaning is one round of removing stored configurations.
type cleaning struct {
	store   state.Store
	now     time.Time
	running func(tenantGeneration) bool // never removed by this process
	removed int
	all     int64 // bound of all tenants together, in bytes
}

// usedGeneration is a stored configuration with its mark.
type usedGeneration struct {
	of      tenantGeneration
	mark    usedMark
	version uint64
}

// upkeepGenerations marks the running configurations, and removes those that nothing refers to.
func (g *gateway) upkeepGenerations(ctx context.Context) {
	holder := rand.Text()
	marked, cleaned := g.clock.Elapsed(), g.clock.Elapsed()
	day := dayOf(g.clock.Now())
	for g.sleep(ctx, announceEvery) {
		now, today := g.clock.Elapsed(), dayOf(g.clock.Now())
		if today != day || now-marked >= refreshEvery {
			day, marked = today, now
			if err := g.refreshGenerations(ctx); err != nil && ctx.Err() == nil {
				marked -= refreshEvery - time.Minute // again soon
				g.log.Warn("cannot keep the running configuration for explanations; trying again", "err", err)
			}
		}
		if now-cleaned >= cleanEvery {
			cleaned = now
			if err := g.cleanGenerations(ctx, holder); err != nil && ctx.Err() == nil {
				g.log.Warn("cannot remove configurations that nothing refers to", "err", err)
			}
		}
	}
}

// refreshGenerations keeps the running configurations: also those that were removed from the store.
func (g *gateway) refreshGenerations(ctx context.Context) error {
	g.stored.forget()
	plan := g.plan.Load()
	if _, err := g.stored.keep(ctx, tenantGeneration{systemTenant, plan.Config.Generation}, plan.Config.Kept); err != nil {
		return err
	}
	for tenant := range plan.Tenants() {
		if o := plan.Overlay(tenant); o != nil {
			if err := g.keepGeneration(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanGenerations removes configurations that nothing refers to, unless another replica does.
func (g *gateway) cleanGenerations(ctx context.Context, holder string) error {
	// The lease is not given back: the next one cleans when it is over.
	if _, err := g.store.Lease(ctx, cleanLease, holder, cleanEvery-time.Minute); err != nil {
		if errors.Is(err, state.ErrConflict) {
			return nil
		}
		return err
	}
	plan := g.plan.Load()
	c := &cleaning{store: g.store, now: g.clock.Now(), all: allTenantsBytes, running: func(of tenantGeneration) bool {
		if of.tenant == systemTenant {
			return of.generation == plan.Config.Generation
		}
		o := plan.Overlay(of.tenant)
		return o != nil && o.Generation == of.generation
	}}
	err := c.run(ctx)
	if c.removed > 0 {
		g.log.Info("configurations that nothing refers to any more are removed from the store", "count", c.removed)
	}
	return err
}

// run cleans all owners.
func (c *cleaning) run(ctx context.Context) error {
	owners, err := c.store.LastChanges(ctx, kindGenerationUsed)
	if err != nil {
		return err
	}
	type sized struct {
		tenant string
		bytes  int64
	}
	var tenants []sized
	var sum int64
	for _, owner := range owners {
		bounds := tenantBounds
		if owner.Tenant == systemTenant {
			bounds = baseBounds
		}
		left, err := c.owner(ctx, owner.Tenant, bounds)
		if err != nil {
			return fmt.Errorf("configurations of %s: %w", owner.Tenant, err)
		}
		if owner.Tenant != systemTenant {
			tenants = append(tenants, sized{owner.Tenant, left})
			sum += left
		}
	}
	if sum <= c.all {
		return nil
	}
	slices.SortFunc(tenants, func(a, b sized) int { return cmp.Compare(b.bytes, a.bytes) })
	used := make([]int64, len(tenants))
	for i := range tenants {
		used[i] = tenants[i].bytes
	}
	level, _ := state.Level(used, sum-c.all)
	for _, t := range tenants {
		if t.bytes <= level {
			break
		}
		if _, err := c.owner(ctx, t.tenant, generationBounds{tenantBounds.count, level}); err != nil {
			return fmt.Errorf("configurations of %s: %w", t.tenant, err)
		}
	}
	return nil
}

// owner removes the configurations of one owner that nothing refers to, and the longest unused ones above its bounds. It returns
// the bytes of the others.
func (c *cleaning) owner(ctx context.Context, tenant string, bounds generationBounds) (left int64, err error) {
	marks, err := c.store.List(ctx, tenant, kindGenerationUsed)
	if err != nil {
		return 0, err
	}
	all := make([]usedGeneration, len(marks))
	for i, m := range marks {
		all[i] = usedGeneration{tenantGeneration{tenant, m.Name}, readMark(m.Value), m.Version}
		left += int64(all[i].mark.Bytes)
	}
	slices.SortFunc(all, func(a, b usedGeneration) int {
		return cmp.Or(cmp.Compare(a.mark.Day, b.mark.Day), cmp.Compare(a.version, b.version))
	})
	count := len(all)
	var oldest *time.Time // of the tenant's kept events; nil: not asked yet
	for _, each := range all {
		if c.running(each.of) {
			continue
		}
		over := count > bounds.count || left > bounds.bytes
		if !over {
			ended := c.endOf(each.mark)
			if c.now.Sub(ended) < unusedFor {
				break // the later ones too
			}
			if oldest == nil {
				first, err := c.store.Oldest(ctx, tenant) // of all tenants for systemTenant, which is "*"
				if err != nil {
					return left, err
				}
				oldest = &first
			}
			if !oldest.IsZero() && !ended.Add(clockMargin).Before(*oldest) {
				break
			}
		}
		gone, err := c.remove(ctx, each)
		if err != nil {
			return left, err
		}
		if gone {
			c.removed++
			count--
			left -= int64(each.mark.Bytes)
		}
	}
	return left, nil
}

// endOf returns the end of the day of a mark; the beginning of time for one that cannot be read.
func (c *cleaning) endOf(m usedMark) time.Time {
	day, err := time.Parse(time.DateOnly, m.Day)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// remove removes a configuration and its mark. It returns false if a replica used the configuration meanwhile: then it stays.
func (c *cleaning) remove(ctx context.Context, g usedGeneration) (gone bool, err error) {
	kept, err := c.store.Get(ctx, g.of.tenant, kindGeneration, g.of.generation)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return false, err
	}
	had := err == nil
	if had {
		err := c.store.Delete(ctx, g.of.tenant, kindGeneration, g.of.generation, kept.Version)
		if err != nil && !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrConflict) {
			return false, err
		}
	}
	err = c.store.Delete(ctx, g.of.tenant, kindGenerationUsed, g.of.generation, g.version)
	switch {
	case err == nil || errors.Is(err, state.ErrNotFound):
		return true, nil
	case !errors.Is(err, state.ErrConflict):
		return false, err
	}
	// It was marked meanwhile, perhaps before the text was removed.
	if had {
		if _, err := c.store.Put(ctx, g.of.tenant, kindGeneration, g.of.generation, kept.Value, 0); err != nil && !errors.Is(err, state.ErrConflict) {
			return false, err
		}
	}
	return false, nil
}

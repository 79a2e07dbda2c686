package run

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/stats"
)

// loadDocuments reads the documents of all tenants, for the first plan. It may be called again after a failure.
func (g *gateway) loadDocuments(ctx context.Context) error {
	if g.settings == nil {
		g.settings = settings.New(settings.Options{Store: g.store, Vault: g.vault, Clock: g.clock, Log: g.traffic, Apply: g.applyDocuments})
	}
	documents, err := g.settings.Load(ctx)
	if err != nil {
		return err
	}
	g.plan.documents = documents
	return nil
}

// newBook returns what reads and changes the documents of tenants.
func (g *gateway) newBook() *settings.Book {
	return &settings.Book{BookOptions: settings.BookOptions{
		Writer: settings.Writer{Store: g.store, Vault: g.vault, Clock: g.clock}, Masks: settings.Masks{Key: func() []byte { return g.key }},
		Audit: g.audit, Base: func() *config.Config { return g.plan.Load().Config },
		Overlay: func(tenant string) *config.TenantConfig { return g.plan.Load().Overlay(tenant) },
		Limits:  g.register.Tenants.Limit,
		Removed: g.leaving.Removed, Made: g.leaving.Made, Await: g.awaitDocuments,
	}}
}

// awaitDocuments waits until this process uses what the store has of tenants.
func (g *gateway) awaitDocuments(ctx context.Context, tenants ...string) bool {
	return g.settings.Await(ctx, tenants...)
}

// applyDocuments makes documents the ones of a tenant in the running plan.
func (g *gateway) applyDocuments(ctx context.Context, tenant string, documents []config.Document) error {
	crashpoint.At(crashpoint.DocumentRead)
	for {
		base := g.plan.Load().Config
		overlay := config.Overlay(base, tenant, documents)
		// The generation is stored before anything is decided with it, so that every decision can be explained.
		if err := g.keepGeneration(ctx, overlay); err != nil {
			return err
		}
		before, now, ok := g.plan.change(base, overlay, documents)
		if !ok {
			continue // a reload replaced the base meanwhile
		}
		if was := before.Overlay(tenant); was != nil && was.Generation != overlay.Generation {
			g.stored.replaced(tenantGeneration{tenant, was.Generation})
		}
		g.logOverlay(overlay, before.Overlay(tenant))
		g.removed.add(before, now, tenant)
		if err := g.loop.Changed(ctx, tenant); err != nil {
			return fmt.Errorf("look at holds: %w", err)
		}
		return g.web.Remember(ctx, tenant)
	}
}

// logOverlay writes one line about an overlay that is used from now on; before is the one in its place, which may be nil.
func (g *gateway) logOverlay(now, before *config.TenantConfig) {
	attributes := []any{"tenant", now.Tenant, "generation", now.Generation}
	broken, fault := namesOf(now, config.Broken)
	shadowed, shadow := namesOf(now, config.Shadowed)
	if fault == "" {
		fault = shadow
	}
	if fault == "" {
		g.log.Info("documents of a tenant are in use", append(attributes, "documents", len(now.Documents))...)
		return
	}
	if len(broken) > 0 {
		attributes = append(attributes, "broken", few(broken))
	}
	if len(shadowed) > 0 {
		attributes = append(attributes, "shadowed", few(shadowed))
	}
	const message = "documents of a tenant are in use, but some are not: broken ones do not compile, shadowed ones have a name that a file has too"
	if before != nil && countsOf(before) == countsOf(now) {
		g.log.Info(message, append(attributes, "err", fault)...)
		return
	}
	g.traffic.Warn(message, append(attributes, "err", fault)...)
}

// namesOf returns the names of the documents in a state, and the first fault among them.
func namesOf(o *config.TenantConfig, in config.DocumentState) (names []string, fault string) {
	for i := range o.Documents {
		d := &o.Documents[i]
		if d.State != in {
			continue
		}
		names = append(names, d.Name)
		if fault == "" && len(d.Faults) > 0 {
			f := d.Faults[0]
			fault = f.Position.String() + ": " + f.Message
			if f.Remedy != "" {
				fault += "; " + f.Remedy
			}
		}
	}
	return names, fault
}

// logNewTroubles writes a line for each tenant with documents that a new base broke or shadowed.
func (g *gateway) logNewTroubles(before, now *decide.Plan) {
	for tenant := range now.Tenants() {
		o := now.Overlay(tenant)
		if o == nil {
			continue
		}
		was := before.Overlay(tenant)
		if c := countsOf(o); c.troubled() && (was == nil || c != countsOf(was)) {
			g.logOverlay(o, was)
		}
	}
}

// documentStats is how the documents stand, for metrics.
func (g *gateway) documentStats() stats.Documents {
	all, tenants, _ := g.plan.tally.count()
	return stats.Documents{
		Overlays: tenants, Unapplied: g.settings.Standing().Oldest,
		ByState: map[config.DocumentState]int{
			config.Active: all.active, config.Disabled: all.disabled, config.Broken: all.broken, config.Shadowed: all.shadowed,
		},
	}
}

// staleAfter is the age of a change that is not applied from which on readiness warns.
const staleAfter = 10 * time.Second

// documentProblems warns of documents that are not in use, in counts: readiness is public, and tenants are not named there.
func (g *gateway) documentProblems() []string {
	var problems []string
	if all, _, tenants := g.plan.tally.count(); tenants > 0 {
		var parts []string
		if all.broken > 0 {
			parts = append(parts, fmt.Sprintf("%d do not compile", all.broken))
		}
		if all.shadowed > 0 {
			parts = append(parts, fmt.Sprintf("%d have a name that a file has too", all.shadowed))
		}
		problems = append(problems, fmt.Sprintf("documents of %d %s are not in use: %s; the log names them",
			tenants, plural(tenants, "tenant"), strings.Join(parts, ", ")))
	}
	s := g.settings.Standing()
	if age := g.clock.Now().Sub(s.Oldest); s.Unapplied > 0 && (s.Failing > 0 || age > staleAfter) {
		problems = append(problems, fmt.Sprintf("changed documents of %d %s are not in use yet, the oldest for %s; the log says why",
			s.Unapplied, plural(s.Unapplied, "tenant"), age.Round(time.Second)))
	}
	return problems
}

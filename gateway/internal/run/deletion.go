package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/deletion"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// newDeleter returns what deletes tenants with all that they own. Tokens, links and jobs go first, so that nothing makes more of it.
func (g *gateway) newDeleter() *deletion.Deleter {
	return &deletion.Deleter{Options: deletion.Options{
		Store: g.store, First: []deletion.Part{g.deleteTokens, g.deleteLinks, g.cancelJobs, g.deleteDocuments},
		Last:  []deletion.Part{g.deleteJobs, g.deleteRemains, g.deleteRecord},
		Ended: g.countDropped,
	}}
}

// countDropped counts a delivery that a job has dropped.
func (g *gateway) countDropped(d *state.Delivery) { g.stats.Ended(d, time.Time{}) }

func (g *gateway) deleteTokens(ctx context.Context, tenant string, _ audit.By) error {
	if err := g.register.Load(ctx); err != nil { // another replica may have made one just now
		return fmt.Errorf("find the tokens of a tenant: %w", err)
	}
	for _, token := range g.access.Stored.Of(tenant) {
		if err := g.access.Stored.Delete(ctx, tenant, token.Name); err != nil && !errors.Is(err, state.ErrNotFound) {
			return fmt.Errorf("delete a token: %w", err)
		}
	}
	return nil
}

func (g *gateway) deleteLinks(ctx context.Context, tenant string, _ audit.By) error {
	links := &access.Links{Store: g.store, Clock: g.clock}
	all, err := links.List(ctx, tenant)
	if err != nil {
		return fmt.Errorf("list portal links: %w", err)
	}
	for _, link := range all {
		if err := links.Delete(ctx, tenant, link.ID); err != nil && !errors.Is(err, state.ErrNotFound) {
			return fmt.Errorf("delete a portal link: %w", err)
		}
	}
	return nil
}

// cancelJobs ends the replays of a tenant, which would schedule what is about to be dropped, and its drops. It fails until the last one has ended, and
// then is called again.
func (g *gateway) cancelJobs(ctx context.Context, tenant string, _ audit.By) error {
	all, err := g.jobs.List(ctx, tenant, replay.Kind, replay.DropKind, erase.Kind)
	if err != nil {
		return err
	}
	runs := false
	for _, j := range all {
		if j.State.Ended() {
			continue
		}
		j, err := g.jobs.Cancel(ctx, tenant, j.ID)
		if err != nil && !errors.Is(err, job.ErrNoJob) && !errors.Is(err, job.ErrEnded) {
			return fmt.Errorf("cancel a replay: %w", err)
		}
		runs = runs || err == nil && !j.State.Ended()
	}
	if runs {
		return fmt.Errorf("cancel the replays of a tenant: %w", job.ErrRuns)
	}
	return nil
}

// deleteJobs removes the replays of a tenant. It fails until the last one has ended, and then is called again.
func (g *gateway) deleteJobs(ctx context.Context, tenant string, _ audit.By) error {
	return g.jobs.Clear(ctx, tenant)
}

func (g *gateway) deleteRemains(ctx context.Context, tenant string, _ audit.By) error {
	return deletion.Remains(ctx, g.store, tenant, g.register.Tenants.Named(tenant) == access.InFile)
}

func (g *gateway) deleteDocuments(ctx context.Context, tenant string, by audit.By) error {
	all, err := g.store.List(ctx, tenant, state.KindDocument)
	if err != nil {
		return fmt.Errorf("list documents: %w", err)
	}
	if len(all) == 0 {
		return nil
	}
	changes := make([]settings.Change, len(all))
	for i := range all {
		changes[i] = settings.Change{Name: all[i].Name, Delete: true}
	}
	if _, err := g.book.Apply(ctx, tenant, changes, settings.How{By: by, Locked: true}); err != nil {
		return fmt.Errorf("delete documents: %w", err)
	}
	return nil
}

func (g *gateway) deleteRecord(ctx context.Context, tenant string, by audit.By) error {
	had := g.register.Tenants.Record(tenant) != nil
	err := g.register.Tenants.Delete(ctx, tenant, by.Name, g.clock.Now().UTC())
	if errors.Is(err, state.ErrNotFound) || err == nil && !had {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the record of a tenant: %w", err)
	}
	return g.book.Audit.Add(ctx, access.AnyTenant, audit.Line{By: by, Did: "tenant.delete", Of: "tenant/" + tenant})
}

package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// emptyOldTexts takes over the configurations that former versions stored. It replaces texts from before the kept form: this
// version cannot read them, and they may hold secrets in clear. It marks those without a mark as used today, so that they end like
// others. A failure is logged; the next start tries again.
func (g *gateway) emptyOldTexts(ctx context.Context) {
	emptied, err := g.adoptOldTexts(ctx)
	if err != nil && ctx.Err() == nil {
		g.log.Warn("cannot take over the configurations that an older version stored; the next start tries again", "err", err)
	}
	if emptied > 0 {
		g.log.Info("configurations that an older version stored are emptied, as they may hold secrets", "count", emptied)
	}
}

// adoptOldTexts returns how many texts it emptied. It keeps the names: an older version that starts again then still finds that
// its configuration was seen, and does not store its text once more.
func (g *gateway) adoptOldTexts(ctx context.Context) (emptied int, err error) {
	all, err := g.store.List(ctx, systemTenant, kindGeneration)
	if err != nil {
		return 0, err
	}
	marks, err := g.store.List(ctx, systemTenant, kindGenerationUsed)
	if err != nil {
		return 0, err
	}
	marked := map[string]bool{}
	for _, m := range marks {
		marked[m.Name] = true
	}
	today := dayOf(g.clock.Now())
	for _, kept := range all {
		if !config.IsKeptForm(kept.Value) {
			_, err := g.store.Put(ctx, systemTenant, kindGeneration, kept.Name, []byte(config.Emptied), kept.Version)
			switch {
			case err == nil:
				emptied++
			case !errors.Is(err, state.ErrConflict): // else another replica did it
				return emptied, fmt.Errorf("configuration %s: %w", kept.Name, err)
			}
		}
		if !marked[kept.Name] {
			if err := g.stored.mark(ctx, tenantGeneration{systemTenant, kept.Name}, usedMark{today, len(kept.Value)}); err != nil {
				return emptied, fmt.Errorf("configuration %s: %w", kept.Name, err)
			}
		}
	}
	if disk, ok := g.store.(state.Compacter); ok && emptied > 0 {
		if err := disk.CompactSettings(ctx, systemTenant, kindGeneration); err != nil {
			return emptied, err
		}
	}
	return emptied, nil
}

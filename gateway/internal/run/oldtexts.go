package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// emptyOldTexts replaces the configuration texts that versions before the kept form stored: this version cannot read them,
// and they may hold secrets in clear. A failure is logged; the next start tries again.
func (g *gateway) emptyOldTexts(ctx context.Context) {
	emptied, err := emptyOldTexts(ctx, g.store)
	if err != nil && ctx.Err() == nil {
		g.log.Warn("cannot empty the configurations that an older version stored; the next start tries again", "err", err)
	}
	if emptied > 0 {
		g.log.Info("configurations that an older version stored are emptied, as they may hold secrets", "count", emptied)
	}
}

// emptyOldTexts keeps the names: an older version that starts again then still finds that its configuration was seen, and
// does not store its text once more.
func emptyOldTexts(ctx context.Context, store state.Settings) (int, error) {
	all, err := store.List(ctx, systemTenant, kindGeneration)
	if err != nil {
		return 0, err
	}
	emptied := 0
	for _, kept := range all {
		if config.IsKeptForm(kept.Value) {
			continue
		}
		_, err := store.Put(ctx, systemTenant, kindGeneration, kept.Name, []byte(config.Emptied), kept.Version)
		if errors.Is(err, state.ErrConflict) {
			continue // another replica did it
		}
		if err != nil {
			return emptied, fmt.Errorf("configuration %s: %w", kept.Name, err)
		}
		emptied++
	}
	if disk, ok := store.(state.Compacter); ok && emptied > 0 {
		if err := disk.CompactSettings(ctx, systemTenant, kindGeneration); err != nil {
			return emptied, err
		}
	}
	return emptied, nil
}

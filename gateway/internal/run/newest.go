package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// newest tells which configuration is the newest while replicas that share a store run different ones. A step that is
// missing from a replica's configuration is removed for good only if that configuration is the newest.
//
// The newest one is a setting in the store that names a generation. Two kinds of generations become the newest at once: one
// that no replica has used before, and one that a running gateway reloads. A generation that was used before and is started
// again may belong to a replica that was not updated, or to a rollback: it becomes the newest when no replica has run the
// other one for a minute. Replicas that run the newest write the setting again and again, so that its version changes; an
// unchanged version shows that none of them runs. Clocks of replicas are never compared.
type newest struct {
	store state.Settings
	clock clock.Clock

	mu      sync.Mutex
	version uint64    // of the setting when it was last read
	since   time.Time // when this version was first read
}

const (
	kindNewest = "configuration"
	nameNewest = "newest"
	// announceEvery is how often a replica that runs the newest configuration writes the setting.
	announceEvery = 10 * time.Second
	// forgottenAfter is how long the setting must stay unwritten until another generation takes its place.
	forgottenAfter = time.Minute
)

// take makes a generation the newest, whichever is now.
func (n *newest) take(ctx context.Context, generation string) error {
	for {
		kept, err := n.read(ctx)
		if err != nil || kept.Version > 0 && string(kept.Value) == generation {
			return err
		}
		switch err := n.write(ctx, generation, kept.Version); {
		case errors.Is(err, state.ErrConflict): // another replica wrote meanwhile
		default:
			return err
		}
	}
}

// is reports whether a generation is the newest, and makes it so where the newest was forgotten.
func (n *newest) is(ctx context.Context, generation string) (bool, error) {
	kept, err := n.read(ctx)
	if err != nil {
		return false, err
	}
	if kept.Version > 0 && string(kept.Value) == generation {
		return true, nil
	}
	n.mu.Lock()
	if kept.Version != n.version || n.since.IsZero() {
		n.version, n.since = kept.Version, n.clock.Now()
	}
	forgotten := kept.Version == 0 || n.clock.Now().Sub(n.since) >= forgottenAfter
	n.mu.Unlock()
	if !forgotten {
		return false, nil
	}
	err = n.write(ctx, generation, kept.Version)
	if errors.Is(err, state.ErrConflict) {
		return false, nil // the next call sees what another replica wrote
	}
	return err == nil, err
}

// announce writes the setting again if this generation is the newest.
func (n *newest) announce(ctx context.Context, generation string) error {
	if is, err := n.is(ctx, generation); err != nil || !is {
		return err
	}
	kept, err := n.read(ctx)
	if err != nil || string(kept.Value) != generation {
		return err
	}
	if err := n.write(ctx, generation, kept.Version); !errors.Is(err, state.ErrConflict) {
		return err
	}
	return nil // another replica that runs it wrote it
}

func (n *newest) read(ctx context.Context) (state.Setting, error) {
	kept, err := n.store.Get(ctx, systemTenant, kindNewest, nameNewest)
	if errors.Is(err, state.ErrNotFound) {
		return state.Setting{}, nil
	}
	if err != nil {
		return state.Setting{}, fmt.Errorf("find the newest configuration: %w", err)
	}
	return kept, nil
}

func (n *newest) write(ctx context.Context, generation string, version uint64) error {
	if _, err := n.store.Put(ctx, systemTenant, kindNewest, nameNewest, []byte(generation), version); err != nil {
		return fmt.Errorf("keep the newest configuration: %w", err)
	}
	return nil
}

// isNewest is what the loop asks before it takes a missing step for removed.
func (g *gateway) isNewest(ctx context.Context) bool {
	is, err := g.newest.is(ctx, g.plan.Load().Config.Generation)
	if err != nil && ctx.Err() == nil {
		g.log.Warn("cannot find out whether another replica runs a newer configuration", "err", err)
	}
	return is
}

// announceNewest keeps the newest configuration from being forgotten while this gateway runs it.
func (g *gateway) announceNewest(ctx context.Context) {
	if g.newest == nil {
		return
	}
	for g.sleep(ctx, announceEvery) {
		if err := g.newest.announce(ctx, g.plan.Load().Config.Generation); err != nil && ctx.Err() == nil {
			g.log.Warn("cannot announce which configuration is the newest", "err", err)
		}
	}
}

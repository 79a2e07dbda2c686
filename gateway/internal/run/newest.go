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

// newest is which configuration is the newest, where replicas share a store: while it changes they run different ones,
// and a step that a replica's own does not have is gone only where no other replica was given a newer one.
//
// The newest is a setting that names a generation. A generation never seen before becomes the newest, and so does one
// that a running gateway reloads. One that was seen before may be a straggler's that started once more, or the one that
// everybody goes back to: it becomes the newest when nobody has run the other for a while, which is seen by that
// setting's version, as whoever runs the newest writes it again and again. No clock is compared with another's.
type newest struct {
	store state.Settings
	clock clock.Clock

	mu      sync.Mutex
	version uint64    // of the setting, when it was last seen
	since   time.Time // when it was first seen with that version
}

const (
	kindNewest = "configuration"
	nameNewest = "newest"
	// sayEvery is how often whoever runs the newest configuration says so.
	sayEvery = 10 * time.Second
	// forgottenAfter is how long nobody must have said so until another one takes its place.
	forgottenAfter = time.Minute
)

// take makes a generation the newest, whatever is.
func (n *newest) take(ctx context.Context, generation string) error {
	for {
		kept, err := n.read(ctx)
		if err != nil || kept.Version > 0 && string(kept.Value) == generation {
			return err
		}
		switch err := n.say(ctx, generation, kept.Version); {
		case errors.Is(err, state.ErrConflict): // somebody said something meanwhile
		default:
			return err
		}
	}
}

// look says whether a generation is the newest, and makes it so where the newest was forgotten.
func (n *newest) look(ctx context.Context, generation string) (bool, error) {
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
	err = n.say(ctx, generation, kept.Version)
	if errors.Is(err, state.ErrConflict) {
		return false, nil // the next look sees what it is now
	}
	return err == nil, err
}

// again says that the newest generation is still run, if this is it.
func (n *newest) again(ctx context.Context, generation string) error {
	if is, err := n.look(ctx, generation); err != nil || !is {
		return err
	}
	kept, err := n.read(ctx)
	if err != nil || string(kept.Value) != generation {
		return err
	}
	if err := n.say(ctx, generation, kept.Version); !errors.Is(err, state.ErrConflict) {
		return err
	}
	return nil // another one that runs it said so
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

func (n *newest) say(ctx context.Context, generation string, version uint64) error {
	if _, err := n.store.Put(ctx, systemTenant, kindNewest, nameNewest, []byte(generation), version); err != nil {
		return fmt.Errorf("keep the newest configuration: %w", err)
	}
	return nil
}

// isNewest is what the loop asks before it believes that a step is gone.
func (g *running) isNewest(ctx context.Context) bool {
	is, err := g.newest.look(ctx, g.plan.Load().Config.Generation)
	if err != nil && ctx.Err() == nil {
		g.log.Warn("cannot say whether a newer configuration runs elsewhere", "err", err)
	}
	return is
}

// sayNewest keeps the newest configuration from being forgotten while this gateway runs it.
func (g *running) sayNewest(ctx context.Context) {
	for g.pause(ctx, sayEvery) {
		if err := g.newest.again(ctx, g.plan.Load().Config.Generation); err != nil && ctx.Err() == nil {
			g.log.Warn("cannot say which configuration is the newest", "err", err)
		}
	}
}

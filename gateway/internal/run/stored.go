package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Configurations that decided events are settings of kind generation: bases of the system tenant, overlays of their own tenant.
// Beside each is a setting of kind generation-used with the day it was last used. The running ones are marked on every day, so
// that one which was last used before the oldest kept event was received decided none of the kept events (endgenerations.go).
//
// The mark is written before the text or with it, and the text is looked for at each marking, so that a running configuration that was
// removed by mistake is there again within refreshEvery.
const (
	kindGeneration     = "generation"
	kindGenerationUsed = "generation-used"
	// refreshEvery is how often the running configurations are looked for in the store.
	refreshEvery = time.Hour
)

// usedMark is the value of a setting of kind generation-used.
type usedMark struct {
	Day   string `json:"day"`   // as 2026-11-29, in UTC
	Bytes int    `json:"bytes"` // of the text
}

// storedGenerations keeps configurations in the store.
type storedGenerations struct {
	store state.Settings
	clock clock.Clock

	mu sync.Mutex
	// fresh are the days on which this process marked the running configurations, so that a reload or a change does not do it again.
	fresh map[tenantGeneration]string
}

func newStoredGenerations(store state.Settings, c clock.Clock) *storedGenerations {
	return &storedGenerations{store: store, clock: c, fresh: map[tenantGeneration]string{}}
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// keep stores a configuration, and that it is used today. seen: the store had its text.
func (g *storedGenerations) keep(ctx context.Context, of tenantGeneration, text []byte) (seen bool, err error) {
	today := dayOf(g.clock.Now())
	g.mu.Lock()
	fresh := g.fresh[of] == today
	g.mu.Unlock()
	if fresh {
		return true, nil
	}
	if seen, err = g.write(ctx, of, usedMark{Day: today, Bytes: len(text)}, text); err != nil {
		return false, fmt.Errorf("keep the configuration: %w", err)
	}
	g.mu.Lock()
	g.fresh[of] = today
	g.mu.Unlock()
	return seen, nil
}

// write writes a configuration and its mark together, if they are not there.
func (g *storedGenerations) write(ctx context.Context, of tenantGeneration, m usedMark, text []byte) (seen bool, err error) {
	value, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	ensured := func(kind string, value []byte) state.Write {
		return state.Write{Tenant: of.tenant, Kind: kind, Name: of.generation, Verb: state.Ensure, Value: value}
	}
	made, err := g.store.WriteAll(ctx, &state.Batch{Writes: []state.Write{ensured(kindGenerationUsed, value), ensured(kindGeneration, text)}})
	if err != nil {
		return false, err
	}
	if seen = made[1] == 0; made[0] != 0 {
		return seen, nil
	}
	// A mark of a former day may be removed, and the text with it, until it has the present day.
	if err := g.mark(ctx, of, m); err != nil {
		return false, err
	}
	made, err = g.store.WriteAll(ctx, &state.Batch{Writes: []state.Write{ensured(kindGeneration, text)}})
	return seen && err == nil && made[0] == 0, err
}

// mark writes the mark of a configuration, unless its day is not before that.
func (g *storedGenerations) mark(ctx context.Context, of tenantGeneration, m usedMark) error {
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for {
		kept, err := g.store.Get(ctx, of.tenant, kindGenerationUsed, of.generation)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if err == nil && readMark(kept.Value).Day >= m.Day {
			return nil
		}
		_, err = g.store.Put(ctx, of.tenant, kindGenerationUsed, of.generation, value, kept.Version)
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
}

// readMark reads a mark. One that cannot be read is of no day, and so before every other.
func readMark(value []byte) usedMark {
	var m usedMark
	if json.Unmarshal(value, &m) != nil {
		return usedMark{}
	}
	return m
}

// forget forgets that configurations were marked, but for those that still run: the next keep looks at the store.
func (g *storedGenerations) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.fresh)
}

// replaced drops the note of a configuration that no longer runs.
func (g *storedGenerations) replaced(of tenantGeneration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.fresh, of)
}

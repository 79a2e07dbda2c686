package web

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// written is a store that remembers which kinds of settings and which lists were ever written, so that a picture of a tenant holds all
// of them, also those that a later version adds.
type written struct {
	state.Store

	mu           sync.Mutex
	kinds, lists map[string]bool
}

func (w *written) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	w.note(&w.kinds, kind)
	return w.Store.Put(ctx, tenant, kind, name, value, version)
}

func (w *written) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	w.note(&w.lists, list)
	return w.Store.Keep(ctx, tenant, list, item, most, ttl)
}

func (w *written) note(in *map[string]bool, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if *in == nil {
		*in = map[string]bool{}
	}
	(*in)[name] = true
}

// names returns the kinds and the lists.
func (w *written) names() (kinds, lists []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.kinds)), slices.Sorted(maps.Keys(w.lists))
}

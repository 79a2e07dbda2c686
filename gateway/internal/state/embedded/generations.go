package embedded

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// generations number the configurations that decided, because a number takes only a byte or two in each outcome.
type generations struct {
	mu     sync.RWMutex
	number map[string]uint64
	name   []string // by number
	fresh  []string // not written yet
}

func (g *generations) load(s *store) error {
	g.number, g.name = map[string]uint64{"": 0}, []string{""}
	return scan(s.db, metaKey(metaGeneration), func(rest, value []byte) error {
		n := binary.BigEndian.Uint64(rest)
		if n != uint64(len(g.name)) {
			return fmt.Errorf("generation %d: %w", n, state.ErrCorrupt)
		}
		g.name = append(g.name, string(value))
		g.number[string(value)] = n
		return nil
	})
}

// numberOf is the number of a generation. A new one is written with the next batch, so not later than the first outcome with it.
func (g *generations) numberOf(name string) uint64 {
	g.mu.RLock()
	n, ok := g.number[name]
	g.mu.RUnlock()
	if ok {
		return n
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, ok := g.number[name]; ok {
		return n
	}
	n = uint64(len(g.name))
	g.name = append(g.name, name)
	g.number[name] = n
	g.fresh = append(g.fresh, name)
	return n
}

func (g *generations) nameOf(n uint64) string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if n < uint64(len(g.name)) {
		return g.name[n]
	}
	return ""
}

func (g *generations) flush(t *tx) {
	g.mu.RLock()
	some := len(g.fresh) > 0
	g.mu.RUnlock()
	if !some {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, name := range g.fresh {
		n := uint64(len(g.name) - len(g.fresh) + i)
		t.set(appendU64(metaKey(metaGeneration), n), []byte(name))
	}
	g.fresh = nil
}

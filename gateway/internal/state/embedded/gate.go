package embedded

import (
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// gate counts readers. A reader may enter a second time, as a callback of Range does: that never blocks.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{}
}

// shut refuses new readers and waits for the current ones.
func (g *gate) shut() {
	g.mu.Lock()
	g.closed, g.empty = true, make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
}

// enter begins a read; leave ends it. Between them the database stays open.
func (s *store) enter() error {
	g := &s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return state.ErrClosed
	}
	g.inside++
	return nil
}

func (s *store) leave() {
	g := &s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.closed && g.inside == 0 {
		close(g.empty)
	}
}

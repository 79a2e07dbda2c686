package embedded

import (
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// gate counts who is reading. Passing it twice at once, as a callback of Range may, never waits.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{}
}

// shut lets nobody in any more and waits for those inside.
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

package try

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// waitFor is how long a trial waits for others to end.
const waitFor = 5 * time.Second

// ErrBusy means that the caller or its tenant has as many trials running as it may, or that those of all tenants take too long.
var ErrBusy = errors.New("others run already")

// Gate bounds what runs at once: one of each caller, and so many of each tenant and in all, so that trials never take the time of events,
// nor one tenant the turns of others. Those that it lets in wait for each other. Make it with NewGate or NewLongGate.
type Gate struct {
	clock    clock.Clock
	running  chan struct{}
	ofTenant int
	mu       sync.Mutex
	callers  map[caller]bool
	tenants  map[string]int
}

type caller struct{ tenant, name string }

// NewGate returns a gate for what computes for a second at most, and takes a whole processor: in all as many as half of the processors,
// of which two of each tenant.
func NewGate(c clock.Clock) *Gate { return newGate(c, max(runtime.GOMAXPROCS(0)/2, 1), 2) }

// NewLongGate returns a gate for what takes minutes, and gives way to events by itself: one of each tenant, and of several tenants so many
// that none of them waits for the end of another.
func NewLongGate(c clock.Clock) *Gate { return newGate(c, max(runtime.GOMAXPROCS(0), 8), 1) }

func newGate(c clock.Clock, running, ofTenant int) *Gate {
	return &Gate{clock: c, running: make(chan struct{}, running), ofTenant: ofTenant, callers: map[caller]bool{}, tenants: map[string]int{}}
}

// Enter waits until a trial may run; leave ends it, and may be called again. The error is ErrBusy, or that of ctx.
func (g *Gate) Enter(ctx context.Context, tenant, name string) (leave func(), err error) {
	who := caller{tenant, name}
	if !g.admit(who) {
		return nil, ErrBusy
	}
	waited, stop := g.clock.After(waitFor)
	defer stop()
	select {
	case g.running <- struct{}{}:
		return sync.OnceFunc(func() { <-g.running; g.dismiss(who) }), nil
	case <-waited:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.dismiss(who)
	return nil, err
}

func (g *Gate) admit(who caller) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.callers[who] || g.tenants[who.tenant] >= g.ofTenant {
		return false
	}
	g.callers[who] = true
	g.tenants[who.tenant]++
	return true
}

func (g *Gate) dismiss(who caller) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.callers, who)
	if g.tenants[who.tenant]--; g.tenants[who.tenant] == 0 {
		delete(g.tenants, who.tenant)
	}
}

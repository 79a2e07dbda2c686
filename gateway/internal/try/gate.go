package try

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

const (
	// maxOfTenant is how many trials of one tenant run or wait at once.
	maxOfTenant = 2
	// waitFor is how long a trial waits for others to end.
	waitFor = 5 * time.Second
)

// ErrBusy means that the caller or its tenant has as many trials running as it may, or that those of all tenants take too long.
var ErrBusy = errors.New("another try is running: ask again when it has ended")

// Gate bounds the trials that run at once: one of each caller, two of each tenant, and in all as many as half of the processors, so
// that trials never take the time of events. Those that it lets in wait for each other. Make it with NewGate.
type Gate struct {
	clock   clock.Clock
	running chan struct{}
	mu      sync.Mutex
	callers map[caller]bool
	tenants map[string]int
}

type caller struct{ tenant, name string }

// NewGate returns an open gate.
func NewGate(c clock.Clock) *Gate {
	return &Gate{
		clock: c, running: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)), callers: map[caller]bool{}, tenants: map[string]int{},
	}
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
	if g.callers[who] || g.tenants[who.tenant] >= maxOfTenant {
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

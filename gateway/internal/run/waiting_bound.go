package run

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// lowerFor is how long it would take to lower the default bound of waiting deliveries to nothing.
const lowerFor = time.Hour

// waitingBound lowers the store's default bound on the bytes that wait for one destination slowly. That bound follows the memory
// of Redis: if somebody lowers its maxmemory, deliveries that wait must not become dead letters all at once, before anybody can
// raise it again or set a bound. The zero value is ready; it is used by one goroutine.
type waitingBound struct {
	bound int64         // the one in use; 0: none yet
	from  int64         // the bound that is being lowered; 0: none is
	since time.Duration // when that began
}

// follow returns the bound to use now, for the default of the store. began reports that lowering it has begun.
func (b *waitingBound) follow(store int64, now time.Duration) (bound int64, began bool) {
	if store >= b.bound {
		*b = waitingBound{bound: store}
		return store, false
	}
	if b.from == 0 {
		b.from, b.since, began = b.bound, now, true
	}
	left := float64(lowerFor-(now-b.since)) / float64(lowerFor)
	if b.bound = max(store, int64(float64(b.from)*left)); b.bound == store {
		b.from = 0
	}
	return b.bound, began
}

// retention returns the configured retention, with the store's default bounds where it has none.
func (g *gateway) retention(shares state.Shares) state.Retention {
	r := g.plan.Load().Config.Retention
	if r.Waiting.Bytes == 0 {
		before := g.waitingBound.bound
		bound, began := g.waitingBound.follow(shares.Waiting, g.clock.Elapsed())
		if began {
			g.log.Warn("the store has less memory: the bound on the bytes that wait for one destination is lowered within an hour, "+
				"and deliveries beyond it become dead letters; give it more memory, or set retention.waiting.bytes", "from", before, "to", shares.Waiting)
		}
		shares.Waiting = bound
	}
	return r.With(shares)
}

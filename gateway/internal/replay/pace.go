package replay

import (
	"math"
	"time"
)

// The pace of a replay follows the destinations. Where a destination has a rate, the replay begins with two fifths of it, so that live
// deliveries may have half, and what has gathered gets less; it takes a little more with each batch that is attempted in time, and much less
// when one is not. Elsewhere it begins with firstRate, doubles until a destination does not keep up, and then halves.
const (
	firstShare, moreShare, lessShare = 0.4, 0.005, 0.7
	firstRate                        = 50
	leastShare                       = 0.01
	// leastAtOnce are scheduled together to a slow destination, spread over the time that they take.
	leastAtOnce = 10
	// behindFor is the shortest wait for a destination that does not keep up.
	behindFor = 100 * time.Millisecond
)

// pace is how fast deliveries are scheduled.
type pace struct {
	rate    float64            // that was asked for, per second
	share   float64            // of rate, that the destinations keep up with
	found   bool               // a destination did not keep up: share is about what they take
	limits  map[string]limited // by destination that has a rate
	slowed  bool               // the batch that is on its way has slowed the pace down already
	limitOf func(destination string) float64
}

// limited is the pace to a destination with a rate.
type limited struct{ limit, now float64 } // both per second

// newPace returns the pace at the beginning. limitOf returns the rate of a destination; 0: it has none.
func newPace(rate float64, limitOf func(destination string) float64) pace {
	return pace{rate: rate, share: min(firstRate/rate, 1), limits: map[string]limited{}, limitOf: limitOf}
}

// size is how many deliveries are scheduled at once: those of a window. destination is the only one; empty: there may be several.
func (p *pace) size(destination string) int {
	each := p.rate * p.share
	if now := p.limited(destination).now; now > 0 {
		each = min(each, max(now, leastAtOnce))
	}
	return min(max(int(math.Ceil(each*window.Seconds())), 1), maxBatch)
}

// over is how long n deliveries take.
func (p *pace) over(n int) time.Duration {
	return time.Duration(float64(n) / (p.rate * p.share) * float64(time.Second))
}

// overTargets is how long deliveries to these destinations take.
func (p *pace) overTargets(targets []string) time.Duration {
	most, of := p.over(len(targets)), map[string]int{}
	for _, name := range targets {
		of[name]++
	}
	for name, n := range of {
		if now := p.limited(name).now; now > 0 {
			most = max(most, time.Duration(float64(n)/now*float64(time.Second)))
		}
	}
	return most
}

// limited returns the pace to a destination; zero: it has no rate.
func (p *pace) limited(name string) limited {
	limit := p.limitOf(name)
	l, known := p.limits[name]
	if !known || l.limit != limit { // it is new, or another one today
		l = limited{limit, limit * firstShare}
		p.limits[name] = l
	}
	return l
}

// behind slows down for a destination that did not attempt the last batch in time.
func (p *pace) behind(name string) {
	if p.slowed {
		return
	}
	p.slowed = true
	if l := p.limited(name); l.limit > 0 {
		p.limits[name] = limited{l.limit, max(l.now*lessShare, l.limit*leastShare)}
		return
	}
	p.found, p.share = true, max(p.share/2, leastShare)
}

// kept speeds up after a batch that was attempted in time.
func (p *pace) kept() {
	if p.slowed {
		p.slowed = false
		return
	}
	for name, l := range p.limits {
		p.limits[name] = limited{l.limit, min(l.now+l.limit*moreShare, l.limit)}
	}
	more := 2.0
	if p.found {
		more = 1.25
	}
	p.share = min(p.share*more, 1)
}

package deliver

import (
	"math/bits"
	"time"
)

const (
	// A circuit opens when at least circuitAfter answers are known and failingPercent of them are `retry`. The answers that count are
	// those of the last one to two windowSpan, or the last windowAnswers if those are more. A receiver that fails only some requests,
	// or all of them for a moment, still gets the others.
	circuitAfter   = 10
	failingPercent = 80
	windowSpan     = time.Second
	windowAnswers  = 20
	// circuitFirst is how long a circuit opens, doubling to circuitMost.
	circuitFirst = 10 * time.Second
	circuitMost  = 10 * time.Minute
	// probes is how many requests, one after the other, must fail until a half open circuit opens again.
	probes = 3
)

// circuit keeps requests from a destination that fails, and lets it recover in steps. Its states:
//
//   - closed: as many requests at once as the destination's concurrency.
//   - open: none. The lane has a hold that says until when.
//   - half open, when that time is over: 1 request at once, then 2, 4, … while most are answered, and half as many where
//     most fail. Where it is one at once and three of them fail in a row, it opens again, for longer; at the concurrency it is closed.
//
// The zero value is closed. The lane's mu guards it.
type circuit struct {
	epoch  uint64 // counts openings
	opened int    // openings in a row
	limit  int    // requests at once while open or half open; 0: closed
	round  tally  // answers since limit changed
	window window // answers while closed
}

// tally counts answers.
type tally struct{ passed, failed int }

func (t *tally) add(failed bool) {
	if failed {
		t.failed++
	} else {
		t.passed++
	}
}

func (t *tally) total() int { return t.passed + t.failed }

// window is the latest answers: by time, and the last few whatever their time.
type window struct {
	began          time.Time // of current
	current, older tally
	last           uint32 // the last windowAnswers answers, a bit each; 1 failed
	known          int    // bits of last
}

func (w *window) add(failed bool, now time.Time) {
	switch age := now.Sub(w.began); {
	case age < 0 || age >= 2*windowSpan:
		w.older, w.current, w.began = tally{}, tally{}, now
	case age >= windowSpan:
		w.older, w.current, w.began = w.current, tally{}, w.began.Add(windowSpan)
	}
	w.current.add(failed)
	w.last = w.last << 1 & (1<<windowAnswers - 1)
	if failed {
		w.last |= 1
	}
	w.known = min(w.known+1, windowAnswers)
}

// failing reports whether the destination fails nearly everything.
func (w *window) failing() bool {
	failed, total := w.older.failed+w.current.failed, w.older.total()+w.current.total()
	if total < w.known {
		failed, total = bits.OnesCount32(w.last), w.known
	}
	return total >= circuitAfter && 100*failed >= failingPercent*total
}

// count counts an answer; concurrency is the configured limit of requests at once. It reports whether the circuit is to open.
func (c *circuit) count(failed bool, concurrency int, now time.Time) (opens bool) {
	if c.limit == 0 {
		c.window.add(failed, now)
		return failed && c.window.failing()
	}
	if failed && c.limit == 1 && c.round.failed+1 < probes {
		c.round.failed++ // the next request may pass: the first one may be the same that failed before
		return false
	}
	if failed && c.limit == 1 {
		return true
	}
	if c.limit == 1 {
		c.round = tally{} // a single answer is enough
	}
	if c.round.add(failed); c.round.total() < c.limit {
		return false
	}
	switch {
	case c.round.failed > c.round.passed:
		c.limit /= 2
	case 2*c.limit >= concurrency:
		c.limit, c.opened, c.window = 0, 0, window{}
	default:
		c.limit *= 2
	}
	c.round = tally{}
	return false
}

// open opens the circuit and returns for how long.
func (c *circuit) open() time.Duration {
	wait := min(circuitFirst<<min(c.opened, 10), circuitMost)
	c.setOpened(c.opened + 1)
	return wait
}

// setOpened puts the circuit into the state after `times` openings in a row, by this replica or another.
func (c *circuit) setOpened(times int) {
	c.epoch++
	c.opened, c.limit, c.round, c.window = times, 1, tally{}, window{}
}

// atOnce is how many requests may run at once.
func (c *circuit) atOnce(concurrency int) int {
	if c.limit == 0 {
		return concurrency
	}
	return min(c.limit, concurrency)
}

package embedded

import (
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// stepped is from what difference on a clock has stepped; below it, it is being adjusted.
	stepped = int64(time.Second)
	// steppedFor is how long it is said that the clock stepped.
	steppedFor = 24 * time.Hour
	// seenEvery is how often the time that was seen is written down while something else is; where nothing is, seenAtRest.
	seenEvery  = time.Second
	seenAtRest = 30 * time.Second
)

var metaTime = metaKey("time")

// moment is what time it is. Wall is what the clock shows: what is stamped with it, and ages of what was stamped. Now is
// what due times, leases and holds are judged by, in nanoseconds: it never goes back.
type moment struct {
	now  int64
	wall time.Time
}

// due is a time of the caller's as now will be then. Where the clock stepped since the caller computed it, what was left
// then counts, as far as the time itself knows.
func (m moment) due(t time.Time) int64 {
	at, same := m.now+int64(t.Sub(m.wall)), nanos(t)
	if d := at - same; -stepped < d && d < stepped {
		return same
	}
	return at
}

// shown is a time of now's as the clock will show it then.
func (m moment) wallTime(at int64) time.Time { return fromNanos(at - m.now + nanos(m.wall)) }

// pace is the store's time: it is ahead of a clock that stepped back, and goes on from the latest time that was seen.
// A step forward takes that back; what is left of it is followed, but by leases (moved). The zero value is not ready: load
// begins it.
type storeClock struct {
	clock clock.Clock
	log   *slog.Logger
	moved func(by int64) // told of a step forward that is not one back to where the clock was

	mu      sync.Mutex
	seen    int64 // latest time
	ahead   int64 // of the clock
	wall    int64 // what the clock showed when it was last looked at
	elapsed time.Duration
	step    time.Duration // the last one back, until the clock was set forward again; 0: none
	at      time.Duration // when, by elapsed time

	wroteSeen, wroteAhead int64 // as written down; the writer's
	restMark              int64 // when a note was last asked for at rest
}

// load goes on from what was written down; nil: there is nothing.
func (p *storeClock) load(record []byte) error {
	wall, elapsed, _ := p.read()
	p.wall, p.elapsed, p.seen = nanos(wall), elapsed, nanos(wall)
	if record == nil {
		return nil
	}
	r := readerOf(record)
	seen, ahead := r.Int(), r.Int()
	if err := r.Err(); err != nil {
		return err
	}
	p.ahead, p.seen = ahead, max(seen, p.wall+ahead)
	if step := p.wall + ahead - seen; step < -stepped {
		p.noteStep(step)
		p.ahead -= step
	}
	return nil
}

// look is what time it is.
func (p *storeClock) look() moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	wall, elapsed, ok := p.read()
	if !ok {
		p.seen = max(p.seen, nanos(wall)+p.ahead)
		return moment{p.seen, wall}
	}
	step := nanos(wall) - p.wall - int64(elapsed-p.elapsed)
	p.wall, p.elapsed = nanos(wall), elapsed
	switch {
	case step < -stepped:
		p.ahead -= step
		p.noteStep(step)
	case step > stepped:
		back := min(step, p.ahead)
		p.ahead -= back
		p.noteStep(step)
		if step > back {
			p.moved(step - back)
		}
	}
	p.seen = max(p.seen, p.wall+p.ahead)
	return moment{p.seen, wall}
}

// read is what the clock shows, and how much time has elapsed then; false: the process was held up between the two, which
// would look like a step.
func (p *storeClock) read() (wall time.Time, elapsed time.Duration, ok bool) {
	const tries, apart = 3, 100 * time.Millisecond
	before := p.clock.Elapsed()
	for range tries {
		wall, elapsed = p.clock.Now(), p.clock.Elapsed()
		if elapsed-before < apart {
			return wall, elapsed, true
		}
		before = elapsed
	}
	return wall, elapsed, false
}

func (p *storeClock) noteStep(step int64) {
	by := time.Duration(step)
	p.log.Warn("the clock was set: retries, delays, holds and leases go on by elapsed time", "took", by)
	if step < 0 {
		p.step, p.at = by, p.elapsed
	} else if p.ahead == 0 {
		p.step = 0 // it is where it was
	}
}

// warning says that the clock was set back lately; empty: it was not.
func (p *storeClock) warning() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step == 0 || p.elapsed-p.at > steppedFor {
		return ""
	}
	return state.ClockSetBack("the clock", -p.step)
}

// write adds what was seen to a batch, at most every second. Only the writer calls it.
func (p *storeClock) write(t *tx) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.now-p.wroteSeen < int64(seenEvery) && p.ahead == p.wroteAhead {
		return
	}
	t.val = binary.AppendVarint(binary.AppendVarint(t.val[:0], p.seen), p.ahead)
	t.set(metaTime, t.val)
	p.wroteSeen, p.wroteAhead, p.restMark = p.seen, p.ahead, p.seen
}

// resting says, every now and then, that what was seen is to be written though nothing else is.
func (p *storeClock) markDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen-p.restMark < int64(seenAtRest) {
		return false
	}
	p.restMark = p.seen
	return true
}

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
	// stepped is the difference from which on a clock has stepped; below it, it is being adjusted.
	stepped = int64(time.Second)
	// steppedFor is how long the warning of a step lasts.
	steppedFor = 24 * time.Hour
	// seenEvery is how often the latest time is stored while other writes happen; without other writes it is seenAtRest.
	seenEvery  = time.Second
	seenAtRest = 30 * time.Second
)

var metaTime = metaKey("time")

// moment is the current time. wall is the time of the system clock, for timestamps and ages. now is the time of the store, in
// nanoseconds, by which due times, leases and holds are measured: it never goes back.
type moment struct {
	now  int64
	wall time.Time
}

// due converts a time of the caller to the store's time. If the clocks differ, the time that is left by the system clock
// counts.
func (m moment) due(t time.Time) int64 {
	at, same := m.now+int64(t.Sub(m.wall)), nanos(t)
	if d := at - same; -stepped < d && d < stepped {
		return same
	}
	return at
}

// wallTime converts a time of the store to the system clock.
func (m moment) wallTime(at int64) time.Time { return fromNanos(at - m.now + nanos(m.wall)) }

// storeClock is the store's clock. When the system clock steps back, the store's clock goes on from its latest time and is
// ahead from then on. A step forward first reduces that lead. By the rest the store's clock steps forward too, except for
// leases (moved). The zero value is not ready: load starts it.
type storeClock struct {
	clock clock.Clock
	log   *slog.Logger
	moved func(by int64) // called with the part of a step forward that exceeds the lead

	mu      sync.Mutex
	seen    int64 // the latest time
	ahead   int64 // lead over the system clock
	wall    int64 // system clock at the last look
	elapsed time.Duration
	step    time.Duration // the last step back, until the clock was set forward again; 0: none
	at      time.Duration // when that was, by elapsed time

	wroteSeen, wroteAhead int64 // as stored; of the writer
	restMark              int64 // when the latest time was last stored, or asked to be
}

// load starts the clock from its record; nil: there is none.
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

// look returns the current time.
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

// read reads the system clock and the elapsed time. False: the process was delayed between the two readings, which would
// look like a step.
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
		p.step = 0 // the clock is back where it was
	}
}

// warning is the warning that the clock was set back recently; empty: it was not.
func (p *storeClock) warning() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step == 0 || p.elapsed-p.at > steppedFor {
		return ""
	}
	return state.ClockSetBack("the clock", -p.step)
}

// write adds the latest time to a batch, at most every second. Only the writer calls it.
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

// markDue reports whether the latest time has to be stored although no other write happens.
func (p *storeClock) markDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen-p.restMark < int64(seenAtRest) {
		return false
	}
	p.restMark = p.seen
	return true
}

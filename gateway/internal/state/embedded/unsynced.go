package embedded

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// How long a write that no caller waits for may stay unsynced: after a kill or a power cut, deliveries whose end was not synced
// are made again.
const (
	syncIdle = 100 * time.Millisecond // after the last write
	syncMost = time.Second            // after the first write
)

// wall is the clock for syncs, which the clock of a test does not replace.
var wall = clock.System()

// unsynced tracks writes that are not synced yet. It belongs to the writing goroutine.
type unsynced struct {
	since, last time.Time // of the first and the last unsynced write; zero: there is none
	alarm       <-chan time.Time
	stop        func()
}

// wrote records a write. A synced one has synced all writes before it.
func (u *unsynced) wrote(synced bool) {
	switch now := wall.Now(); {
	case synced:
		u.since = time.Time{}
	case u.since.IsZero():
		u.since, u.last = now, now
	default:
		u.last = now
	}
}

// due reports whether it is time to sync.
func (u *unsynced) due() bool {
	u.disarm()
	now := wall.Now()
	return !u.since.IsZero() && (now.Sub(u.last) >= syncIdle || now.Sub(u.since) >= syncMost)
}

// arm sets the alarm if there are unsynced writes and none is set.
func (u *unsynced) arm() {
	if u.since.IsZero() || u.alarm != nil {
		return
	}
	now := wall.Now()
	u.alarm, u.stop = wall.After(max(min(u.last.Add(syncIdle).Sub(now), u.since.Add(syncMost).Sub(now)), time.Millisecond))
}

func (u *unsynced) disarm() {
	if u.alarm != nil {
		u.stop()
		u.alarm, u.stop = nil, nil
	}
}

// syncLog writes nothing new: its batch is synced, and with it all earlier ones.
type syncLog struct{}

func (syncLog) stage(t *tx) error {
	t.s.w.dirty = true // the counters are written again, because an empty batch is not written
	return nil
}

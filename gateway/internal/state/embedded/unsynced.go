package embedded

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// How long an end that nobody waited for may be on its way to the disk: a killed process, or one without power, makes
// deliveries again whose end was not written.
const (
	syncIdle = 100 * time.Millisecond // once nothing more is written
	syncMost = time.Second            // while more and more is
)

// The clock of the disk, which a test's own clock must not change.
var wall = clock.System()

// unsynced is what was written and is not on disk. It belongs to the writing goroutine.
type unsynced struct {
	since, last time.Time // of the first and the last write; zero where there is none
	alarm       <-chan time.Time
	stop        func()
}

// wrote records a write. One that was synced took along all before it.
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

// due says that it is time to sync.
func (u *unsynced) due() bool {
	u.disarm()
	now := wall.Now()
	return !u.since.IsZero() && (now.Sub(u.last) >= syncIdle || now.Sub(u.since) >= syncMost)
}

// arm sets the alarm where something is unsynced and none is set.
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

// flushed writes nothing that was not written before: it takes what was along to the disk.
type syncLog struct{}

func (syncLog) stage(t *tx) error {
	t.s.w.dirty = true // the counters are written once more, as an empty batch would not be
	return nil
}

package embedded

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Health returns the state of the store. It reads a few keys, however much is kept.
func (s *store) Health(ctx context.Context) state.Health {
	var h state.Health
	if h.Err = s.check(ctx); h.Err != nil {
		return h
	}
	if h.Err = s.enter(); h.Err != nil {
		return h
	}
	defer s.leave()
	c := s.w.counters.snapshot()
	h.Pending, h.Waiting, h.Dead, h.Events, h.Bytes, h.Counted = c.pending, c.waiting, c.dead, c.events, c.bytes, true
	h.Bytes += s.countBytes.Load()
	now := s.clock.look().wall
	if h.Err = s.broken(); h.Err == nil {
		if h.Err = s.folder.check(); h.Err != nil {
			s.breakWith(h.Err) // the next write may be far off
		}
	}
	if h.Err == nil {
		h.Err = s.space.err()
	}
	if h.Err == nil {
		h.Err = s.ages(&h, now)
	}
	if h.Err == nil {
		var warning string
		if warning, h.Err = s.respondentsWarning(); warning != "" {
			h.Warnings = append(h.Warnings, warning)
		}
	}
	if s.space.ballastFreed.Load() {
		h.Warnings = append(h.Warnings, "the disk was full and the reserve file was deleted: free some space")
	}
	if w := state.UnreadCounts(s.unreadCounts.Load()); w != "" {
		h.Warnings = append(h.Warnings, w)
	}
	if w := s.clock.warning(); w != "" {
		h.Warnings = append(h.Warnings, w)
	}
	return h
}

func (s *store) ages(h *state.Health, now time.Time) error {
	w := &s.window
	w.mu.Lock()
	low := w.low
	w.mu.Unlock()
	if h.Pending > 0 {
		v, err := s.read(s.db, posKey(nil, tabEvent, low), nil)
		if err != nil {
			return err
		}
		if v != nil {
			t, _, _, err := readEvent(v)
			if err != nil {
				return err
			}
			h.Oldest = fromNanos(t.received)
		}
	}
	if h.Waiting > 0 {
		err := s.eachOldestWaiting(s.due.destinations("*"), func(_ int, created time.Time) {
			if h.OldestWaiting.IsZero() || created.Before(h.OldestWaiting) {
				h.OldestWaiting = created
			}
		})
		if err != nil {
			return err
		}
	}
	oldest, err := s.oldestDuplicate()
	if err == nil && oldest != noTime {
		h.DedupeWindow = max(now.Sub(fromNanos(oldest)), 0)
	}
	return err
}

// oldestDuplicate is when the oldest event or id was accepted that is still deduplicated.
func (s *store) oldestDuplicate() (at int64, err error) {
	at = s.oldestID.Load()
	c := s.w.counters.snapshot()
	err = between(s.db, posKey(nil, tabDedupe, c.dedupe), []byte{tabDedupe + 1}, func(_, value []byte) error {
		f, err := readFormerID(value)
		if at == noTime || f.at < at {
			at = f.at
		}
		return errors.Join(err, errStop)
	})
	if err != nil && !errors.Is(err, errStop) || at != noTime {
		return at, ignoreStop(err)
	}
	err = between(s.db, posKey(nil, tabEvent, c.first), []byte{tabEvent + 1}, func(_, value []byte) error {
		t, _, _, err := readEvent(value)
		at = t.received
		return errors.Join(err, errStop)
	})
	return at, ignoreStop(err)
}

var errStop = errors.New("enough")

func ignoreStop(err error) error {
	if errors.Is(err, errStop) && !errors.Is(err, state.ErrCorrupt) {
		return nil
	}
	return err
}

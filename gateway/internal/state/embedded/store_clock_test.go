package embedded

import (
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// heldUp is a clock that delays its reader after each reading.
type heldUp struct {
	*clock.Manual
	by time.Duration
}

func (h *heldUp) Now() time.Time {
	t := h.Manual.Now()
	h.Advance(h.by)
	return t
}

// A process that is delayed between two readings does not take that for a step of the clock.
func TestHeldUpIsNoStep(t *testing.T) {
	t.Parallel()
	c := &heldUp{Manual: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	p := storeClock{clock: c, log: slog.New(slog.DiscardHandler), moved: func(by int64) { t.Errorf("leases are moved by %s", time.Duration(by)) }}
	if err := p.load(nil); err != nil {
		t.Fatal(err)
	}
	last := p.look().now
	for range 3 {
		for _, c.by = range []time.Duration{5 * time.Second, 0} {
			now := p.look().now
			if now < last {
				t.Errorf("%s behind the look before", time.Duration(last-now))
			}
			last = now
		}
	}
	if w := p.warning(); w != "" || p.ahead != 0 {
		t.Errorf("%s ahead: %s", time.Duration(p.ahead), w)
	}
}

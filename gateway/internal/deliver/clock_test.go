package deliver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// settable is the machine's clock, which somebody sets.
type settable struct {
	clock.Clock
	by atomic.Int64
}

func (s *settable) Now() time.Time {
	return s.Clock.Now().Round(0).Add(time.Duration(s.by.Load())) // as a clock shows it: without what has elapsed
}

// The clock is set back by an hour while retries and an open circuit wait: they go on, also over a restart, and so does what
// is delivered meanwhile.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var well atomic.Bool
			now := &settable{Clock: clock.System()}
			const wait = 2 * time.Second
			b := prepare(t, destinations(destination("crm", wait, wait, wait), destination("broken", wait, wait, wait)), func(seen) (int, http.Header) {
				if well.Load() {
					return 200, nil
				}
				return 503, nil
			})
			b.clock = now
			b.open()
			ids := b.accept(1)
			for _, destination := range []string{"crm", "broken"} {
				b.until("it waits", func() bool {
					d := b.delivery(ids[0], destination)
					return d != nil && d.Attempts > 0 && !d.Leased
				})
			}
			held := state.Hold{Kind: state.HoldCircuit, Reason: "503", Since: now.Now(), Until: now.Now().Add(wait)}
			if err := b.store.Hold(t.Context(), "default", "broken", held, nil); err != nil {
				t.Fatal(err)
			}
			if restart {
				b.close()
			}
			now.by.Store(-int64(time.Hour))
			well.Store(true)
			if restart {
				b.open()
			}
			began := time.Now()
			ids = append(ids, b.accept(1)...)
			for _, id := range ids {
				b.untilState(id, "crm", state.Delivered)
				b.untilState(id, "broken", state.Delivered)
			}
			t.Logf("delivered after %s", time.Since(began))
		})
	}
}

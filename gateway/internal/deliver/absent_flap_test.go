package deliver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A step that leaves and comes back twice within a minute takes what waits for it each time: the first time it came back
// its destination's note was removed.
func TestUnconfiguredTwiceWithinAMinute(t *testing.T) {
	t.Parallel()
	again := func() *config.Config {
		return destinations(destination("crm", time.Second, time.Second, time.Second, time.Second, time.Second, time.Second, time.Hour))
	}
	var status atomic.Int64
	status.Store(503)
	b := prepare(t, again(), func(seen) (int, http.Header) { return int(status.Load()), nil })
	b.open()
	id := b.accept(1)[0]
	b.until("it is tried", func() bool { d := b.delivery(id, "crm"); return d != nil && d.Attempts > 0 })
	b.reload(&config.Config{Generation: "empty"})
	b.untilReason(id, "crm", decide.Absent)
	b.reload(again())
	b.until("it goes on and nothing is noted", func() bool {
		noted, err := b.store.List(t.Context(), systemTenant, kindMissing)
		d := b.delivery(id, "crm")
		return err == nil && len(noted) == 0 && d.Reason != decide.Absent
	})
	b.reload(&config.Config{Generation: "empty again"})
	b.untilReason(id, "crm", decide.Absent)
	status.Store(200)
	b.reload(again())
	b.untilState(id, "crm", state.Delivered)
}

// A look for steps that are back removes no note that was written a moment ago: what it stands for may be put off later.
func TestNoteOfAMomentAgoStays(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Hour)), func(seen) (int, http.Header) { return 200, nil })
	b.open()
	key := laneKey{"default", "crm"}
	looks := noteVersions{}
	for _, c := range []struct {
		write bool
		notes int
	}{{true, 1}, {true, 1}, {false, 0}} {
		if c.write {
			if err := b.loop.writeMissing(key); err != nil {
				t.Fatal(err)
			}
		}
		b.until("no other look is at it", func() bool { return b.loop.recall(t.Context(), scope{all: true}, looks) == nil })
		if noted, err := b.store.List(t.Context(), systemTenant, kindMissing); err != nil || len(noted) != c.notes {
			t.Fatalf("noted: %v, %v, want %d", noted, err, c.notes)
		}
	}
}

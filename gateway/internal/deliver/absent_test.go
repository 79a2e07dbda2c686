package deliver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// shifted is the machine's clock, put forward.
type shifted struct {
	clock.Clock
	by atomic.Int64
}

func (s *shifted) Now() time.Time { return s.Clock.Now().Add(time.Duration(s.by.Load())) }

// without are configurations that lack what a delivery to crm needs.
func without() map[string]*config.Config {
	return map[string]*config.Config{
		"destination": {Generation: "g2"},
		"step":        {Generation: "g2", Destinations: destinations(destination("crm")).Destinations},
	}
}

// absent is a bench with a delivery that waits for what its configuration no longer has.
func absent(t *testing.T, lacks *config.Config) (b *bench, at *shifted, status *atomic.Int64, id string) {
	t.Helper()
	at, status = &shifted{Clock: clock.System()}, &atomic.Int64{}
	status.Store(http.StatusServiceUnavailable)
	b = prepare(t, destinations(destination("crm", time.Minute)), func(seen) (int, http.Header) { return int(status.Load()), nil })
	b.clock = at
	b.open()
	id = b.accept(1)[0]
	b.untilState(id, "crm", state.Waiting)
	status.Store(http.StatusOK)
	b.reload(lacks)
	at.by.Add(int64(2 * time.Minute)) // it is due
	b.loop.Wake()
	b.until("its absence is noticed", func() bool { return len(b.absences()) == 1 })
	return b, at, status, id
}

func (b *bench) absences() []state.Setting {
	b.t.Helper()
	all, err := b.store.List(b.t.Context(), absentTenant, absentKind)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// What waits for a step that left the configuration has an hour, also over a restart. Then it is a dead letter.
func TestAbsentForAnHour(t *testing.T) {
	t.Parallel()
	for name, lacks := range without() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, at, _, id := absent(t, lacks)
			var since time.Time
			if err := since.UnmarshalText(b.absences()[0].Value); err != nil {
				t.Fatal(err)
			}
			at.by.Add(int64(50 * time.Minute))
			b.close()
			b.open()
			if d := b.delivery(id, "crm"); d.State != state.Waiting {
				t.Fatalf("%s: %s", d.State, d.Reason)
			}
			at.by.Add(int64(11 * time.Minute))
			b.loop.Wake()
			d := b.untilState(id, "crm", state.Dead)
			if d.Reason != reasonGone || d.Updated.Sub(since) < absentFor {
				t.Errorf("%q after %s", d.Reason, d.Updated.Sub(since))
			}
			b.close()
		})
	}
}

// What comes back within the hour is delivered as if it had never left, and may leave again for an hour.
func TestAbsentAndBack(t *testing.T) {
	t.Parallel()
	for name, lacks := range without() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, at, _, id := absent(t, lacks)
			if name == "step" {
				b.until("it says why it waits", func() bool { return b.delivery(id, "crm").Reason == decide.Absent })
			}
			at.by.Add(int64(50 * time.Minute))
			b.reload(destinations(destination("crm", time.Minute)))
			b.untilState(id, "crm", state.Delivered)
			b.until("its absence is forgotten", func() bool { return len(b.absences()) == 0 })
			b.close()
		})
	}
}

package deliver

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// shifted is the machine's clock, moved on by a test.
type shifted struct {
	clock.Clock
	by atomic.Int64
}

func (s *shifted) Now() time.Time { return s.Clock.Now().Add(time.Duration(s.by.Load())) }

// without are configurations that lack the step that owes something: with its destination, or beside it.
func without() map[string]*config.Config {
	return map[string]*config.Config{
		"nothing":          {Generation: "empty"},
		"destination only": {Generation: "no rule", Destinations: destinations(destination("crm")).Destinations},
		"another step":     {Generation: "other", Destinations: destinations(destination("crm")).Destinations, Rules: destinations(destination("other"), destination("crm")).Rules[:1]},
	}
}

// mute is a bench with a delivery that waits to be retried, and a receiver that takes everything from now on.
func mute(t *testing.T) (b *bench, moves *shifted, id string) {
	t.Helper()
	var status atomic.Int64
	status.Store(503)
	b = prepare(t, destinations(destination("crm", time.Hour)), func(seen) (int, http.Header) { return int(status.Load()), nil })
	moves = &shifted{Clock: clock.System()}
	b.clock = moves
	b.open()
	id = b.accept(1)[0]
	b.until("it is retried", func() bool {
		d := b.delivery(id, "crm")
		return d != nil && d.State == state.Waiting && d.Attempts == 1 && !d.Leased
	})
	status.Store(200)
	return b, moves, id
}

func (b *bench) untilReason(eventID, destination, reason string) *state.Delivery {
	b.t.Helper()
	var d *state.Delivery
	b.until(destination+" is "+reason, func() bool {
		d = b.delivery(eventID, destination)
		return d != nil && d.Reason == reason && !d.Leased
	})
	return d
}

// What lost its step waits an hour, also over a restart, and is a dead letter then.
func TestUnconfiguredWaitsAnHour(t *testing.T) {
	t.Parallel()
	for name, after := range without() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, moves, id := mute(t)
			b.reload(after)
			b.advance(moves, time.Hour)
			d := b.untilReason(id, "crm", decide.Absent)
			if wait := d.Due.Sub(moves.Now()); d.State != state.Waiting || wait < 50*time.Minute || wait > time.Hour {
				t.Errorf("it is %s for %s", d.State, wait)
			}
			b.advance(moves, 55*time.Minute)
			b.close()
			b.open()
			if d := b.delivery(id, "crm"); d.State != state.Waiting || d.Reason != decide.Absent {
				t.Errorf("after a restart it is %s: %s", d.State, d.Reason)
			}
			b.advance(moves, 10*time.Minute)
			if d := b.untilState(id, "crm", state.Dead); d.Reason != reasonGone || d.Attempts != 1 {
				t.Errorf("dead: %q after %d attempts", d.Reason, d.Attempts)
			}
		})
	}
}

// What lost its step goes out by itself when a reload brings the step back, or the next start does.
func TestUnconfiguredComesBack(t *testing.T) {
	t.Parallel()
	for name, after := range without() {
		for by, restart := range map[string]bool{"reload": false, "restart": true} {
			t.Run(name+", "+by, func(t *testing.T) {
				t.Parallel()
				b, moves, id := mute(t)
				b.reload(after)
				b.advance(moves, time.Hour)
				b.untilReason(id, "crm", decide.Absent)
				again := destinations(destination("crm", time.Hour))
				if restart {
					b.close()
					b.plan.Store(decide.New(again))
					b.open()
				} else {
					b.reload(again)
				}
				if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 2 {
					t.Errorf("%d attempts", d.Attempts)
				}
				b.until("nothing is noted", func() bool {
					noted, err := b.store.List(t.Context(), systemTenant, kindMissing)
					return err == nil && len(noted) == 0
				})
			})
		}
	}
}

// A step that is back only for some leaves the others waiting, and noted.
func TestUnconfiguredInPart(t *testing.T) {
	t.Parallel()
	both := func() *config.Config {
		return destinations(destination("crm", time.Hour), destination("chat", time.Hour))
	}
	var status atomic.Int64
	status.Store(503)
	b := prepare(t, both(), func(seen) (int, http.Header) { return int(status.Load()), nil })
	moves := &shifted{Clock: clock.System()}
	b.clock = moves
	b.open()
	const many = 450 // more than two pages
	ids := b.accept(many)
	waits := func(to string) func() bool {
		return func() bool {
			page, err := b.store.Deliveries(t.Context(), "default", state.DeliveryQuery{State: state.Waiting, Destination: to, Limit: 200})
			return err == nil && len(page.Items) == 200
		}
	}
	b.until("all wait", func() bool { return b.loop.Claimed() == 0 && waits("crm")() && waits("chat")() })
	status.Store(200)
	b.reload(&config.Config{Generation: "empty"})
	b.advance(moves, 2*time.Hour)
	for _, id := range ids {
		b.untilReason(id, "crm", decide.Absent)
		b.untilReason(id, "chat", decide.Absent)
	}
	b.reload(destinations(destination("crm", time.Hour)))
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
	if d := b.delivery(ids[0], "chat"); d.State != state.Waiting || d.Reason != decide.Absent {
		t.Errorf("the other one is %s: %s", d.State, d.Reason)
	}
	b.reload(both())
	for _, id := range ids {
		b.untilState(id, "chat", state.Delivered)
	}
	if n := b.world.count(func(s seen) bool { return s.n > 2 }); n > 0 {
		t.Errorf("%d repeats", n)
	}
}

// A step that sends elsewhere today takes what waits for it there, also where its destination has left the configuration.
func TestStepThatMoved(t *testing.T) {
	t.Parallel()
	b, moves, id := mute(t)
	moved := destinations(destination("crm2", time.Hour))
	rule := ruleTo("crm", &product{})
	rule.Steps[0].Destination = "crm2"
	moved.Rules = []*config.Rule{rule}
	b.reload(moved)
	b.advance(moves, time.Hour)
	if d := b.untilState(id, "crm", state.Delivered); d.Destination != "crm2" {
		t.Errorf("it went to %s", d.Destination)
	}
	if n, err := b.store.List(t.Context(), systemTenant, kindMissing); err != nil || len(n) > 0 {
		t.Errorf("noted: %v, %v", n, err)
	}
}

// A replica that has an older configuration, and lacks the step too, does not begin the hour anew.
func TestUnconfiguredOnAnOlderReplica(t *testing.T) {
	t.Parallel()
	b, moves, id := mute(t)
	b.close()
	var newest atomic.Bool
	newest.Store(true)
	asked := make(chan struct{}, 1)
	b.newest = func(context.Context) bool {
		if !newest.Load() {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
		return newest.Load()
	}
	b.plan.Store(decide.New(without()["destination only"]))
	b.open()
	b.advance(moves, time.Hour)
	b.untilReason(id, "crm", decide.Absent)
	newest.Store(false)
	b.advance(moves, time.Hour)
	<-asked
	<-asked
	newest.Store(true)
	if d := b.untilState(id, "crm", state.Dead); d.Reason != reasonGone {
		t.Errorf("dead: %q", d.Reason)
	}
}

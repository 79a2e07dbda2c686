package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

func TestDelivered(t *testing.T) {
	t.Parallel()
	b := begin(t, destinations(destination("crm"), destination("chat")), nil)
	for _, id := range b.accept(50) {
		for _, to := range []string{"crm", "chat"} {
			d := b.untilState(id, to, state.Delivered)
			if d.Attempts != 1 || len(d.Log) != 1 || d.Log[0].Verdict != "delivered" {
				t.Errorf("%s: %d attempts, history %v", to, d.Attempts, d.Log)
			}
		}
	}
	if n := b.world.count(func(seen) bool { return true }); n != 100 {
		t.Errorf("%d requests for 100 deliveries", n)
	}
}

// A receiver that hangs delays nobody else, and its delivery is handed over while its attempt still runs.
func TestHangingDestinationHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := begin(t, destinations(destination("healthy"), destination("hanging", time.Minute)), func(s seen) (int, http.Header) {
		if s.destination == "default/hanging" {
			<-release
		}
		return 200, nil
	})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	ids := b.accept(30)
	for _, id := range ids {
		b.untilState(id, "healthy", state.Delivered)
		b.untilState(id, "hanging", state.Waiting) // handed over: its event is committed
	}
	b.until("nothing is held", func() bool { return b.loop.Claimed() == 0 })
	once.Do(func() { close(release) })
	for _, id := range ids {
		if d := b.untilState(id, "hanging", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts for one answer", d.Attempts)
		}
	}
	if n := b.world.count(func(s seen) bool { return s.n > 1 }); n > 0 {
		t.Errorf("%d deliveries were sent twice", n)
	}
}

func TestRetriesThenDead(t *testing.T) {
	t.Parallel()
	b := begin(t, destinations(destination("crm", 20*time.Millisecond, 40*time.Millisecond)), func(seen) (int, http.Header) { return 500, nil })
	id := b.accept(1)[0]
	d := b.untilState(id, "crm", state.Dead)
	if d.Attempts != 3 || len(d.Log) != 3 {
		t.Fatalf("%d attempts, %d in history; want 3: one and two waits", d.Attempts, len(d.Log))
	}
	for i, least := range []time.Duration{20 * time.Millisecond, 40 * time.Millisecond} {
		if gap := d.Log[i+1].At.Sub(d.Log[i].At); gap < least {
			t.Errorf("attempt %d came %s after the one before, earlier than %s", i+2, gap, least)
		}
	}
	if d.Log[0].Request == nil || d.Log[0].Status != 500 {
		t.Errorf("a failure keeps its request and status: %+v", d.Log[0])
	}
}

func TestRecovers(t *testing.T) {
	t.Parallel()
	b := begin(t, destinations(destination("crm", 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond)), func(s seen) (int, http.Header) {
		return map[bool]int{true: 0, false: 204}[s.n < 3], nil
	})
	d := b.untilState(b.accept(1)[0], "crm", state.Delivered)
	if d.Attempts != 3 {
		t.Errorf("%d attempts, want 3", d.Attempts)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		build    func(*event.Event) error
		status   int
		state    state.DeliveryState
		reason   string
		attempts int
	}{
		{"skipped", func(*event.Event) error { return connectors.Skip("no e-mail") }, 200, state.Skipped, "no e-mail", 0},
		{"build fails", func(*event.Event) error { return errors.New("no such field") }, 200, state.Dead, "cannot be built: no such field", 0},
		{"build panics", func(*event.Event) error { panic("boom") }, 200, state.Dead, "the connector panicked", 0},
		{"rejected", nil, 422, state.Dead, "422 Unprocessable Entity", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := destinations(destination("crm", time.Minute))
			conf.Rules = []*config.Rule{ruleTo("crm", &product{build: c.build})}
			b := begin(t, conf, func(seen) (int, http.Header) { return c.status, nil })
			d := b.untilState(b.accept(1)[0], "crm", c.state)
			if d.Reason != c.reason || d.Attempts != c.attempts {
				t.Errorf("reason %q after %d attempts, want %q after %d", d.Reason, d.Attempts, c.reason, c.attempts)
			}
		})
	}
}

// Revoked credentials pause the destination; its events wait and pass once the credentials change.
func TestRevokedPausesAndHeals(t *testing.T) {
	t.Parallel()
	d := destination("crm", 10*time.Millisecond)
	d.Credentials = []connectors.Secret{connectors.NewSecret("old")}
	conf := destinations(d)
	status := 401
	var mu sync.Mutex
	b := begin(t, conf, func(seen) (int, http.Header) {
		mu.Lock()
		defer mu.Unlock()
		return status, nil
	})
	first := b.accept(1)[0]
	b.until("held", func() bool {
		holds, err := b.store.Holds(t.Context(), "default")
		return err == nil && len(holds) == 1 && holds[0].Hold.Kind == state.HoldRevoked
	})
	later := b.accept(20)
	for _, id := range later {
		if d := b.untilState(id, "crm", state.Waiting); d.Attempts != 0 {
			t.Errorf("%d attempts on a paused destination", d.Attempts)
		}
	}
	mu.Lock()
	status = 200
	mu.Unlock()

	fixed := *d
	fixed.Credentials = []connectors.Secret{connectors.NewSecret("new")}
	b.close()
	b.plan.Store(decide.New(destinations(&fixed)))
	b.open()
	for _, id := range append(later, first) {
		b.untilState(id, "crm", state.Delivered)
	}
	b.close()
}

// Ten failures in a row open the circuit: the rest waits without being tried.
func TestCircuitOpens(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Hour)
	d.Concurrency = 1
	b := begin(t, destinations(d), func(seen) (int, http.Header) { return 503, nil })
	ids := b.accept(200)
	for _, id := range ids {
		b.untilState(id, "crm", state.Waiting)
	}
	n := b.world.count(func(seen) bool { return true })
	if n < circuitAfter || n > circuitAfter+d.Concurrency {
		t.Errorf("%d attempts; the circuit opens after %d", n, circuitAfter)
	}
}

// What is stopped is started again: nothing is lost, and what was handed over goes on.
func TestDrainAndRestart(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	status := 503
	d := destination("crm", 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond)
	b := begin(t, destinations(d), func(seen) (int, http.Header) {
		mu.Lock()
		defer mu.Unlock()
		return status, nil
	})
	ids := b.accept(5)
	b.close()
	mu.Lock()
	status = 200
	mu.Unlock()
	b.open()
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
	b.close()
}

// While replicas have different configurations, what only the newer one has is left to those that have it: nothing is
// counted, nothing becomes a dead letter.
func TestStepOfANewerConfiguration(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]*config.Config{
		"destination": {Generation: "older"},
		"step":        {Generation: "older", Destinations: []*config.Destination{destination("crm")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newer := destinations(destination("crm", time.Hour))
			var mu sync.Mutex
			status := 503
			b := begin(t, newer, func(seen) (int, http.Header) {
				mu.Lock()
				defer mu.Unlock()
				return status, nil
			})
			id := b.accept(1)[0]
			b.untilState(id, "crm", state.Waiting)
			b.close()
			mu.Lock()
			status = 200
			mu.Unlock()

			b.plan.Store(decide.New(older))
			asked := make(chan struct{}, 1)
			b.newest = func(context.Context) bool {
				select {
				case asked <- struct{}{}:
				default:
				}
				return false
			}
			b.open()
			waiting := b.untilState(id, "crm", state.Waiting)
			waiting.Due, waiting.Log = b.clock.Now(), nil
			if moved, err := b.store.Schedule(t.Context(), "default", []state.Delivery{*waiting}); err != nil || !moved[0] {
				t.Fatal(moved, err)
			}
			b.loop.Wake()
			for range 2 {
				<-asked
			}
			if d := b.untilState(id, "crm", state.Waiting); d.Attempts != 1 {
				t.Errorf("%d attempts, one of them with the newer configuration", d.Attempts)
			}
			b.close()
			b.plan.Store(decide.New(newer))
			b.newest = nil
			b.open()
			b.untilState(id, "crm", state.Delivered)
			b.close()
		})
	}
}

// A rate is kept, and what it keeps back is delivered later without a lost or counted attempt.
func TestRate(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Minute)
	d.Rate = config.Rate{Events: 20, Per: time.Second}
	b := begin(t, destinations(d), nil)
	began := time.Now()
	ids := b.accept(40)
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
	}
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	if took := b.world.seen[39].at.Sub(began); took < 900*time.Millisecond {
		t.Errorf("40 requests in %s: more than 20 a second beyond the first burst", took)
	}
}

// What a response is told once, another survey's and another platform's response of the same id is told too: platforms
// count them 1, 2, 3.
func TestOnce(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Minute))
	conf.Rules[0].Once = true
	b := begin(t, conf, nil)
	for _, e := range []struct {
		source, survey, key, verified string
		want                          state.DeliveryState
	}{
		{"limesurvey", "1", "a", "token", state.Delivered},
		{"limesurvey", "1", "b", "token", state.Skipped},
		{"limesurvey", "2", "c", "token", state.Delivered},
		{"wufoo", "1", "d", "token", state.Delivered},
		{"wufoo", "1", "e", "token", state.Skipped},
		{"wufoo", "2", "f", "token", state.Delivered},
		// Somebody who proves nothing takes no response from the source that is named.
		{"wufoo", "3", "g", "none", state.Delivered},
		{"wufoo", "3", "h", "token", state.Delivered},
		{"wufoo", "3", "i", "none", state.Skipped},
	} {
		body := fmt.Sprintf(`{"type":"response.completed","id":%q,"survey":{"id":%q},"response":{"id":"1"}}`, e.key, e.survey)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: e.source, Received: b.clock.Now(), Verified: e.verified})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.Append(t.Context(), []*event.Event{ev}); err != nil {
			t.Fatal(err)
		}
		b.untilState(ev.ID, "crm", e.want)
	}
	if n := b.world.count(func(seen) bool { return true }); n != 6 {
		t.Errorf("%d requests, want one for each of six responses", n)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Minute))
	conf.Rules[0].Delay = 200 * time.Millisecond
	b := begin(t, conf, nil)
	before := time.Now().Truncate(time.Millisecond) // as due times are kept
	b.untilState(b.accept(1)[0], "crm", state.Delivered)
	if took := time.Since(before); took < 200*time.Millisecond {
		t.Errorf("delivered after %s", took)
	}
}

package deliver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// deferredOnEachEngine runs a test on each engine with a configuration of its own.
func deferredOnEachEngine(t *testing.T, c func() *config.Config, answer func(seen) (int, http.Header), test func(t *testing.T, b *bench)) {
	t.Helper()
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		b := prepare(t, c(), answer)
		open(b)
		b.open()
		test(t, b)
	})
}

// settling is a configuration with one rule to crm that waits for responses to come to rest.
func settling(t testing.TB, wait time.Duration, until, when string, events ...string) *config.Config {
	t.Helper()
	c := destinations(destination("crm", 10*time.Millisecond, 10*time.Millisecond))
	r := c.Rules[0]
	if len(events) > 0 {
		r.Match.Events = events
	}
	r.Match.Deferred = r.Match.Events
	r.Settle.For = wait
	if until != "" {
		r.Settle.Until = condition(t, until)
	}
	if when != "" {
		r.Match.When = condition(t, when)
	}
	return c
}

func condition(t testing.TB, text string) *expression.Condition {
	t.Helper()
	c, err := expression.CompileCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tell appends events of the API's own form, and returns their ids.
func (b *bench) tell(source string, bodies ...string) (ids []string) {
	b.t.Helper()
	var all []*event.Event
	for _, body := range bodies {
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: source, Type: event.TypeResponseCompleted, Received: b.clock.Now(), Verified: "token"})
		if err != nil {
			b.t.Fatal(err)
		}
		all, ids = append(all, ev), append(ids, ev.ID)
	}
	if _, err := b.store.Append(b.t.Context(), all); err != nil {
		b.t.Fatal(err)
	}
	return ids
}

func (b *bench) requests() int { return b.world.count(func(seen) bool { return true }) }

const (
	started  = `{"type":"response.started","id":"%[1]s-s","response":{"id":"%[1]s"}}`
	partial  = `{"type":"response.partial","id":"%[1]s-p","response":{"id":"%[1]s"},"nps_score":3}`
	complete = `{"type":"response.completed","id":"%[1]s-c","response":{"id":"%[1]s"},"email":"jo@example.com"}`
	updated  = `{"type":"response.updated","id":"%[1]s-u","response":{"id":"%[1]s"},"nps_score":9}`
)

func of(response string, bodies ...string) []string {
	out := make([]string, len(bodies))
	for i, body := range bodies {
		out[i] = fmt.Sprintf(body, response)
	}
	return out
}

func all() []string { return []string{"response.*"} }

// The newest event of a response is told alone, with what all of them say; what other sources and surveys say of the same id is of
// another response.
func TestSettle(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		return settling(t, 300*time.Millisecond, "", `nps_score <= 6 and has(email)`, all()...)
	}, nil, func(t *testing.T, b *bench) {
		first := b.tell("api", of("r1", partial, complete)...)
		late := b.tell("api", of("r2", complete, partial)...)
		never := b.tell("api", of("r3", partial)...)
		apart := append(b.tell("a", of("r4", partial)...), b.tell("b", of("r4", complete)...)...)
		changed := b.tell("api", of("r5", partial, complete, updated)...)
		for _, id := range []string{first[1], late[1]} {
			if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
				t.Errorf("%d attempts", d.Attempts)
			}
		}
		for id, reason := range map[string]string{
			first[0]: decide.SupersededBy + first[1], late[0]: decide.SupersededBy + late[1],
			never[0]:   decide.NotMatched + "`nps_score <= 6 and has(email)` is false",
			apart[0]:   decide.NotMatched + "`nps_score <= 6 and has(email)` is false",
			apart[1]:   decide.NotMatched + "`nps_score <= 6 and has(email)` is unknown: it has no nps_score",
			changed[0]: decide.SupersededBy + changed[2], changed[1]: decide.SupersededBy + changed[2],
			changed[2]: decide.NotMatched + "`nps_score <= 6 and has(email)` is false",
		} {
			if d := b.untilState(id, "crm", state.Skipped); d.Reason != reason {
				t.Errorf("reason %q, want %q", d.Reason, reason)
			}
		}
		if n := b.requests(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		// It moves again, and is told again.
		again := b.tell("api", `{"type":"response.updated","id":"again","response":{"id":"r1"},"nps_score":2}`)
		b.untilState(again[0], "crm", state.Delivered)
	})
}

// With `once`, a response that moves again is not told again. One whose first attempt failed is told by the delivery that owns it.
func TestSettleOnce(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		c := settling(t, 100*time.Millisecond, "", "", all()...)
		c.Rules[0].Once = true
		c.Destinations[0].Retry.Waits = []time.Duration{time.Second, time.Second, time.Second}
		return c
	}, func(s seen) (int, http.Header) {
		if s.event == "r2-p" && s.n == 1 {
			return 500, nil
		}
		return 200, nil
	}, func(t *testing.T, b *bench) {
		first := b.tell("api", of("r1", partial)...)
		fails := b.tell("api", of("r2", partial)...)
		b.untilState(first[0], "crm", state.Delivered)
		b.until("the first attempt failed", func() bool { d := b.delivery(fails[0], "crm"); return d != nil && d.Attempts == 1 })
		second := b.tell("api", append(of("r1", complete), of("r2", complete)...)...)
		for i, owner := range []string{first[0], fails[0]} {
			if d := b.untilState(second[i], "crm", state.Skipped); d.Reason != fmt.Sprintf(reasonOnce, owner) {
				t.Errorf("reason %q", d.Reason)
			}
		}
		b.untilState(fails[0], "crm", state.Delivered)
	})
}

// `until` ends the wait as soon as it is true; else the wait ends a time after the first event.
func TestSettleUntil(t *testing.T) {
	t.Parallel()
	const wait = 3 * time.Second
	deferredOnEachEngine(t, func() *config.Config { return settling(t, wait, "has(email)", "", all()...) }, nil, func(t *testing.T, b *bench) {
		began := time.Now()
		waits := b.tell("api", of("r1", partial)...)
		lead := b.tell("api", of("r2", partial, complete)...)
		early := b.untilState(lead[1], "crm", state.Delivered)
		late := b.untilState(waits[0], "crm", state.Delivered)
		if after := late.Log[0].At.Sub(began); after < wait-100*time.Millisecond || !early.Log[0].At.Before(late.Log[0].At) {
			t.Errorf("without e-mail told after %s, with it after %s", after, early.Log[0].At.Sub(began))
		}
		b.untilState(lead[0], "crm", state.Skipped)
	})
}

// A response that was deleted before it came to rest is not told, and its deletion can be.
func TestSettleDeleted(t *testing.T) {
	t.Parallel()
	const deleted = `{"type":"response.deleted","id":"%[1]s-d","response":{"id":"%[1]s"}}`
	b := begin(t, settling(t, 100*time.Millisecond, "", "", "response.completed"), nil)
	ids := b.tell("api", of("r1", complete, deleted)...)
	if d := b.untilState(ids[0], "crm", state.Skipped); d.Reason != decide.Deleted {
		t.Errorf("reason %q", d.Reason)
	}
	b.reload(settling(t, 100*time.Millisecond, "", "", all()...))
	ids = b.tell("api", of("r2", complete, deleted)...)
	b.untilState(ids[1], "crm", state.Delivered)
}

// An event without a response id is a response of its own, and waits for nothing.
func TestSettleWithoutResponse(t *testing.T) {
	t.Parallel()
	b := begin(t, settling(t, time.Hour, "", "nps_score <= 6"), nil)
	ids := b.tell("api", `{"id":"a","nps_score":3}`, `{"id":"b","nps_score":9}`)
	b.untilState(ids[0], "crm", state.Delivered)
	b.untilState(ids[1], "crm", state.Skipped)
}

// An attempt that failed is not repeated once a newer event of the response has come.
func TestSettleRetries(t *testing.T) {
	t.Parallel()
	c := settling(t, 50*time.Millisecond, "", "", all()...)
	c.Destinations[0].Retry.Waits = []time.Duration{time.Second, time.Second}
	b := begin(t, c, func(s seen) (int, http.Header) {
		return map[bool]int{true: 500, false: 200}[s.event == "r1-p"], nil
	})
	first := b.tell("api", of("r1", partial)...)
	b.until("the first attempt failed", func() bool { d := b.delivery(first[0], "crm"); return d != nil && d.Attempts == 1 })
	second := b.tell("api", of("r1", complete)...)
	b.untilState(second[0], "crm", state.Delivered)
	if d := b.untilState(first[0], "crm", state.Skipped); d.Attempts != 1 || !strings.HasPrefix(d.Reason, decide.SupersededBy) {
		t.Errorf("%d attempts, %q", d.Attempts, d.Reason)
	}
}

// An unfinished response is told once, a time after its start, with what there is of it; one that was completed by then is not; and
// a later completion is told by itself.
func TestIncompleteDelay(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		c := destinations(destination("crm"))
		r := c.Rules[0]
		r.Match.Events = []string{"response.completed", "response.partial", "response.started", "answer.upserted"}
		r.Match.Deferred = r.Match.Events[1:]
		r.IncompleteDelay = 700 * time.Millisecond
		return c
	}, nil, func(t *testing.T, b *bench) {
		never := b.tell("api", of("r1", started, partial)...)
		done := b.tell("api", of("r2", started, partial, complete)...)
		b.untilState(done[2], "crm", state.Delivered)
		if d := b.untilState(never[1], "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
		for _, id := range []string{never[0], done[0], done[1]} {
			b.untilState(id, "crm", state.Skipped)
		}
		if d := b.delivery(done[1], "crm"); d.Reason != decide.Finished+"completed" {
			t.Errorf("reason %q", d.Reason)
		}
		later := b.tell("api", `{"type":"response.partial","id":"later","response":{"id":"r1"}}`)
		if d := b.untilState(later[0], "crm", state.Skipped); d.Reason != decide.ToldAlready+never[1] {
			t.Errorf("reason %q", d.Reason)
		}
		b.untilState(b.tell("api", of("r1", complete)...)[0], "crm", state.Delivered)
		if n := b.requests(); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

// A delivery whose newer event is not decided yet waits for the decision, and is told if that event owes nothing.
func TestSettleBehindUndecided(t *testing.T) {
	t.Parallel()
	c := settling(t, 50*time.Millisecond, "", "", all()...)
	owed := decide.New(c)
	ev := parsed(t, fmt.Sprintf(partial, "r1"))
	newer := parsed(t, fmt.Sprintf(complete, "r1"))
	d := owed.Decide(ev, time.Now())
	if len(d.Owed) != 1 {
		t.Fatalf("%d deliveries", len(d.Owed))
	}
	now := time.Now()
	look := func(outcome *state.Outcome) decide.Look {
		t.Helper()
		l, err := d.Owed[0].Look(ev, []decide.Known{{Event: ev, Outcome: &state.Outcome{}}, {Event: newer, Outcome: outcome}}, false, now)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := look(nil); !l.Wait.After(now) {
		t.Errorf("undecided: %+v", l)
	}
	if l := look(&state.Outcome{}); l.Event == nil {
		t.Errorf("it owes nothing: %+v", l)
	}
	if l := look(&state.Outcome{Dead: "poison", Deliveries: []state.Delivery{d.Owed[0].Delivery}}); l.Event == nil {
		t.Errorf("it is dead: %+v", l)
	}
	if l := look(&state.Outcome{Deliveries: []state.Delivery{d.Owed[0].Delivery}}); l.Skip == "" {
		t.Errorf("it owes the step: %+v", l)
	}
}

func parsed(t testing.TB, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Type: event.TypeResponseCompleted, Received: time.Now(), Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// What a connector builds is the response as it stands.
func TestSettleBuildsTheWhole(t *testing.T) {
	t.Parallel()
	c := settling(t, 50*time.Millisecond, "", "", all()...)
	got := make(chan *event.Event, 10)
	c.Rules[0].Steps[0].Build["default"] = &product{build: func(ev *event.Event) error { got <- ev; return connectors.Skip("seen") }}
	b := begin(t, c, nil)
	ids := b.tell("api", of("r1", complete, partial)...)
	b.untilState(ids[1], "crm", state.Skipped)
	ev := <-got
	data := ev.Data()
	if ev.ID != ids[1] || ev.Type != event.TypeResponseCompleted || data.Response.Score.NPS == nil || data.Respondent.Email != "jo@example.com" || *data.Response.Events != 2 {
		t.Errorf("built of %s %s", ev.Type, ev.DataJSON())
	}
}

// An event that retention has reached while its delivery waited counts all the same, as the oldest.
func TestSettleAfterRetention(t *testing.T) {
	t.Parallel()
	ev, newer := parsed(t, fmt.Sprintf(partial, "r1")), parsed(t, fmt.Sprintf(complete, "r1"))
	now := time.Now()
	for _, when := range []string{"nps_score <= 6", "has(email)"} {
		d := decide.New(settling(t, time.Minute, "", when, all()...)).Decide(ev, now)
		l, err := d.Owed[0].Look(ev, []decide.Known{{Event: newer, Outcome: &state.Outcome{}}}, false, now)
		if err != nil || l.Event == nil {
			t.Errorf("%s: %+v, %v", when, l, err)
		}
	}
	d := decide.New(settling(t, time.Minute, "", "nps_score <= 6", all()...)).Decide(newer, now)
	if l, err := d.Owed[0].Look(newer, []decide.Known{{Event: newer, Outcome: &state.Outcome{}}}, false, now); err != nil || l.Skip == "" {
		t.Errorf("what is no longer kept counts: %+v, %v", l, err)
	}
}

// Two replicas tell of each response once, whichever of them looks at it.
func TestSettleReplicas(t *testing.T) {
	t.Parallel()
	address := redistest.Start(t).URL()
	var worlds []*world
	var first *bench
	for range 2 {
		b := prepare(t, settling(t, 300*time.Millisecond, "", "nps_score <= 6 and has(email)", all()...), nil)
		b.openStore = func() (state.Store, error) { return redis.Open(redis.Options{URL: address, Clock: b.clock}) }
		b.open()
		if worlds = append(worlds, b.world); first == nil {
			first = b
		}
	}
	const n = 60
	var last []string
	for i := range n {
		last = append(last, first.tell("api", of(fmt.Sprintf("r%d", i), started, partial, complete)...)[2])
	}
	for _, id := range last {
		first.untilState(id, "crm", state.Delivered)
	}
	if got := worlds[0].count(func(seen) bool { return true }) + worlds[1].count(func(seen) bool { return true }); got != n {
		t.Errorf("%d requests for %d responses", got, n)
	}
}

// Whatever the order in which the events of a response come, the last one tells alone, and what it tells is what all of them say.
func TestSettleOrders(t *testing.T) {
	t.Parallel()
	events := []string{partial, complete, updated}
	got := make(chan *event.Event, 16)
	c := settling(t, 300*time.Millisecond, "", "", all()...)
	c.Rules[0].Steps[0].Build["default"] = &product{build: func(ev *event.Event) error { got <- ev; return nil }}
	b := begin(t, c, nil)
	last := map[string][]string{} // by the id of the last event, the order
	for i, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		var bodies []string
		for _, n := range order {
			bodies = append(bodies, events[n])
		}
		ids := b.tell("api", of(fmt.Sprintf("r%d", i), append(bodies, bodies[1])...)...) // one of them twice: a duplicate
		last[ids[2]] = bodies
		for _, id := range ids[:2] {
			b.untilState(id, "crm", state.Skipped)
		}
		b.untilState(ids[2], "crm", state.Delivered)
	}
	for range len(last) {
		ev := <-got
		bodies := last[ev.ID]
		if bodies == nil {
			t.Fatalf("told by %s", ev.ID)
		}
		delete(last, ev.ID)
		score := 3.0
		if slices.Index(bodies, updated) > slices.Index(bodies, partial) {
			score = 9
		}
		r := ev.Data().Response
		if r.Score.NPS == nil || *r.Score.NPS != score || ev.Data().Respondent.Email == "" || *r.Events != 3 || r.Status != event.Completed || *r.Version != 2 {
			t.Errorf("after %q: %s", bodies, ev.DataJSON())
		}
	}
	if len(got) > 0 || len(last) > 0 {
		t.Errorf("%d more, %d missing", len(got), len(last))
	}
}

// The responses of two tenants with one id are two.
func TestSettleTenants(t *testing.T) {
	t.Parallel()
	c := settling(t, 200*time.Millisecond, "", "nps_score <= 6 and has(email)", all()...)
	other := settling(t, 200*time.Millisecond, "", "nps_score <= 6 and has(email)", all()...)
	d, r := other.Destinations[0], other.Rules[0]
	d.Tenant, r.Tenant, r.Match.Tenant = "acme", "acme", "acme"
	r.Steps[0].Build = map[string]connectors.Connector{"acme": &product{}}
	c.Destinations, c.Rules = append(c.Destinations, d), append(c.Rules, r)
	b := begin(t, c, nil)
	own := b.tell("api", of("r1", partial)...)
	ev, err := event.ParseOne([]byte(fmt.Sprintf(complete, "r1")), event.Defaults{Tenant: "acme", Source: "api", Received: b.clock.Now(), Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Append(t.Context(), []*event.Event{ev}); err != nil {
		t.Fatal(err)
	}
	b.untilState(own[0], "crm", state.Skipped)
	b.until("the other tenant's has ended", func() bool {
		page, err := b.store.Deliveries(t.Context(), "acme", state.DeliveryQuery{State: state.Skipped})
		return err == nil && len(page.Items) == 1
	})
	if n := b.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

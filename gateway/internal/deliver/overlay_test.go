package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// overlayOf is the overlay of a tenant in which every response goes to each of these destinations.
func overlayOf(tenant string, all ...*config.Destination) *config.TenantConfig {
	o := &config.TenantConfig{Tenant: tenant, Generation: "o", Builds: map[*config.Step]connectors.Connector{}}
	for _, d := range all {
		d.Tenant, d.Product, d.Timeout, d.Concurrency = tenant, "product", time.Minute, 4
		r := ruleTo(d.Name, &product{})
		r.Tenant, r.Match.Tenant = tenant, tenant
		r.Steps[0].Build = map[string]connectors.Connector{tenant: &product{}}
		if d.Broken {
			r.Steps[0].Build[tenant] = nil
			d.Concurrency, d.Timeout = 0, 0
		}
		o.Destinations, o.Rules = append(o.Destinations, d), append(o.Rules, r)
		o.Documents = append(o.Documents, document("connection/"+d.Name, 1, config.Active), document("rule/to-"+d.Name, 1, config.Active))
	}
	slices.SortFunc(o.Documents, func(a, b config.CompiledDocument) int { return strings.Compare(a.Name, b.Name) })
	return o
}

func document(name string, version uint64, s config.DocumentState) config.CompiledDocument {
	return config.CompiledDocument{Document: config.Document{Name: name, Version: version}, State: s}
}

func broken(d *config.Destination) *config.Destination {
	d.Broken = true
	return d
}

// change makes overlays part of the running plan.
func (b *bench) change(overlays ...*config.TenantConfig) {
	b.t.Helper()
	var tenants []string
	for _, o := range overlays {
		tenants = append(tenants, o.Tenant)
	}
	b.betweenRounds(func() { b.plan.Store(b.plan.Load().With(overlays...)) })
	if err := b.loop.Changed(b.t.Context(), tenants...); err != nil {
		b.t.Error(err)
	}
}

// counting counts what the loop asks the store for.
type counting struct {
	state.Store
	rounds atomic.Int64 // of the due-queue

	mu    sync.Mutex
	gets  map[string]int // of documents
	holds map[string]int // by tenant
	err   error          // of reading documents
}

func (c *counting) ClaimDue(ctx context.Context, q state.ClaimDue) ([]state.Due, time.Time, error) {
	due, next, err := c.Store.ClaimDue(ctx, q)
	c.rounds.Add(1)
	return due, next, err
}

func (c *counting) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	if kind == state.KindDocument {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gets[tenant+" "+name]++
		if c.err != nil {
			return state.Setting{}, c.err
		}
	}
	return c.Store.Get(ctx, tenant, kind, name)
}

func (c *counting) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	c.mu.Lock()
	c.holds[tenant]++
	c.mu.Unlock()
	return c.Store.Holds(ctx, tenant)
}

func (c *counting) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (b *bench) count() *counting {
	c := &counting{gets: map[string]int{}, holds: map[string]int{}}
	b.wrap = func(s state.Store) state.Store { c.Store = s; return c }
	return c
}

// untilRounds waits for some more rounds of the due-queue.
func (b *bench) untilRounds(c *counting, n int64) {
	b.t.Helper()
	end := c.rounds.Load() + n
	b.until("the due-queue is asked again", func() bool { return c.rounds.Load() >= end })
}

// onEachEngine runs a test over both engines.
func onEachEngine(t *testing.T, test func(t *testing.T, open func(b *bench))) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, func(*bench) {})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		address := redistest.Start(t).URL()
		test(t, func(b *bench) {
			b.openStore = func() (state.Store, error) {
				return redis.Open(redis.Options{URL: address, Prefix: "b", Clock: b.clock})
			}
		})
	})
}

// TestBrokenDestinationWaits: what is owed to a destination whose document has a fault waits without an attempt, also over a
// restart, and goes on when the document compiles. So does what waited for its next attempt.
func TestBrokenDestinationWaits(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		var status atomic.Int64
		status.Store(503)
		b := prepare(t, &config.Config{Generation: "base"}, func(seen) (int, http.Header) { return int(status.Load()), nil })
		open(b)
		moves := &shifted{Clock: clock.System()}
		b.clock = moves
		whole := func() *config.TenantConfig {
			return overlayOf("default", destination("crm", time.Hour), destination("other"))
		}
		faulty := func() *config.TenantConfig {
			return overlayOf("default", broken(destination("crm")), destination("other"))
		}
		b.plan.Store(b.plan.Load().With(whole()))
		c := b.count()
		b.open()
		retried := b.accept(1)[0]
		b.until("it is retried", func() bool {
			d := b.delivery(retried, "crm")
			return d != nil && d.State == state.Waiting && d.Attempts == 1 && !d.Leased
		})
		status.Store(200)
		b.change(faulty())
		owed := b.accept(1)[0]
		b.untilReason(owed, "crm", decide.BrokenDestination)
		b.untilState(owed, "other", state.Delivered) // whose destination is well
		b.advance(moves, 2*time.Hour)
		b.untilRounds(c, 5)
		b.close()
		b.open()
		b.untilRounds(c, 5)
		for id, attempts := range map[string]int{retried: 1, owed: 0} {
			d := b.delivery(id, "crm")
			if d.State != state.Waiting || d.Attempts != attempts || b.plan.Load().ReasonOf(d) != decide.BrokenDestination {
				t.Errorf("%s: %s after %d attempts: %s", id, d.State, d.Attempts, b.plan.Load().ReasonOf(d))
			}
		}
		b.change(whole())
		for id, attempts := range map[string]int{retried: 2, owed: 1} {
			if d := b.untilState(id, "crm", state.Delivered); d.Attempts != attempts || d.Forgiven != 0 {
				t.Errorf("delivered after %d attempts, %d of them forgiven", d.Attempts, d.Forgiven)
			}
		}
	})
}

// TestBrokenDestinationIsBounded: retention.waiting bounds what waits for a document without faults, as everything that waits.
func TestBrokenDestinationIsBounded(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		b := prepare(t, &config.Config{Generation: "base"}, nil)
		open(b)
		moves := &shifted{Clock: clock.System()}
		b.clock = moves
		b.plan.Store(b.plan.Load().With(overlayOf("default", broken(destination("crm")))))
		b.open()
		id := b.accept(1)[0]
		b.untilReason(id, "crm", decide.BrokenDestination)
		b.advance(moves, 3*time.Hour)
		retention := state.Retention{
			Events: state.Bound{Age: 100 * time.Hour, Bytes: 1 << 30}, Dedupe: state.Bound{Age: 100 * time.Hour, Bytes: 1 << 30},
			Dead: state.Bound{Age: 100 * time.Hour, Bytes: 1 << 30}, History: state.HistoryBound{Age: 100 * time.Hour, PerDestination: 1000},
			Waiting: state.WaitingBound{Age: time.Hour, Count: 1000, Bytes: 1 << 30},
		}
		b.until("it is overdue", func() bool {
			if _, err := b.store.Trim(t.Context(), retention); err != nil {
				t.Fatal(err)
			}
			return b.delivery(id, "crm").State == state.Dead
		})
	})
}

// TestBrokenRuleWaits: what a rule owes whose document has a fault waits for the document, and goes on when it compiles.
func TestBrokenRuleWaits(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(503)
	b := prepare(t, &config.Config{Generation: "base"}, func(seen) (int, http.Header) { return int(status.Load()), nil })
	moves := &shifted{Clock: clock.System()}
	b.clock = moves
	b.plan.Store(b.plan.Load().With(overlayOf("default", destination("crm", time.Hour))))
	b.open()
	id := b.accept(1)[0]
	b.until("it is retried", func() bool {
		d := b.delivery(id, "crm")
		return d != nil && d.State == state.Waiting && d.Attempts == 1 && !d.Leased
	})
	status.Store(200)
	faulty := overlayOf("default", destination("crm", time.Hour))
	faulty.Rules, faulty.Documents[1].State = nil, config.Broken
	b.change(faulty)
	for range 3 { // however long the fault lasts
		b.advance(moves, time.Hour)
		b.until("it waits for its rule", func() bool {
			d := b.delivery(id, "crm")
			return d.Reason == decide.BrokenRule && !d.Leased && d.Due.After(moves.Now())
		})
	}
	b.change(overlayOf("default", destination("crm", time.Hour)))
	if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 2 {
		t.Errorf("%d attempts", d.Attempts)
	}
	b.until("nothing is noted", func() bool {
		noted, err := b.store.List(t.Context(), systemTenant, kindMissing)
		return err == nil && len(noted) == 0
	})
}

// TestStepOfDocument: a step that the plan lacks is left to the document that the store has and the plan was not made with. It is
// gone if the store has none, or if that very document lacks it.
func TestStepOfDocument(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		var status atomic.Int64
		status.Store(503)
		b := prepare(t, &config.Config{Generation: "base"}, func(seen) (int, http.Header) { return int(status.Load()), nil })
		open(b)
		moves := &shifted{Clock: clock.System()}
		b.clock = moves
		b.plan.Store(b.plan.Load().With(overlayOf("default", destination("crm", time.Hour), destination("chat", time.Hour))))
		c := b.count()
		b.open()
		version, err := b.store.Put(t.Context(), "default", state.KindDocument, "rule/to-crm", []byte("{}"), 0)
		if err != nil {
			t.Fatal(err)
		}
		ids := b.accept(8) // too few to open a circuit
		waits := func(name, reason string) {
			t.Helper()
			for _, id := range ids {
				if d := b.untilReason(id, name, reason); d.Attempts != 1 || d.Forgiven != 0 {
					t.Errorf("%d attempts, %d of them forgiven", d.Attempts, d.Forgiven)
				}
			}
		}
		for _, name := range []string{"crm", "chat"} {
			for _, id := range ids {
				b.until("it is retried", func() bool {
					d := b.delivery(id, name)
					return d != nil && d.State == state.Waiting && d.Attempts == 1 && !d.Leased
				})
			}
		}
		b.change(overlayOf("default", destination("crm2"))) // it lacks both, and has no document of them
		before := c.rounds.Load()
		b.advance(moves, time.Hour)
		waits("crm", decide.Newer)
		waits("chat", decide.Absent)
		rounds := int(c.rounds.Load() - before)
		c.mu.Lock()
		for name, n := range c.gets {
			if n > rounds {
				t.Errorf("%s was read %d times in %d rounds", name, n, rounds)
			}
		}
		if got := slices.Sorted(maps.Keys(c.gets)); !slices.Equal(got, []string{"default rule/to-chat", "default rule/to-crm"}) {
			t.Errorf("read: %q", got)
		}
		c.mu.Unlock()

		c.fail(errors.New("the store is away")) // then nothing is taken for deleted
		if err := b.store.Delete(t.Context(), "default", state.KindDocument, "rule/to-crm", version); err != nil {
			t.Fatal(err)
		}
		b.untilRounds(c, 5)
		waits("crm", decide.Newer)
		c.fail(nil)
		waits("crm", decide.Absent)

		// The document is there, the plan was made with it, and it has another step.
		version, err = b.store.Put(t.Context(), "default", state.KindDocument, "rule/to-chat", []byte("{}"), 0)
		if err != nil {
			t.Fatal(err)
		}
		changed := overlayOf("default", destination("chat", time.Hour))
		changed.Rules[0].Steps[0].Name = "renamed"
		for i := range changed.Documents {
			changed.Documents[i].Version = version
		}
		b.change(changed)
		b.advance(moves, 2*time.Hour)
		for _, id := range ids {
			if d := b.untilState(id, "chat", state.Dead); d.Reason != reasonGone {
				t.Errorf("dead: %q", d.Reason)
			}
		}
	})
}

// TestDestinationOfDocument: what a rule of every tenant owes to a destination that this replica lacks waits for the document that
// the store has.
func TestDestinationOfDocument(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(503)
	everybody := ruleTo("crm", nil)
	everybody.Tenant, everybody.Match.Tenant, everybody.Steps[0].Build = config.AnyTenant, config.AnyTenant, map[string]connectors.Connector{}
	b := prepare(t, &config.Config{Generation: "base", Rules: []*config.Rule{everybody}}, func(seen) (int, http.Header) { return int(status.Load()), nil })
	moves := &shifted{Clock: clock.System()}
	b.clock = moves
	with := func() *config.TenantConfig {
		o := overlayOf("default", destination("crm", time.Hour))
		o.Rules, o.Builds[everybody.Steps[0]] = nil, &product{}
		return o
	}
	b.plan.Store(b.plan.Load().With(with()))
	b.open()
	id := b.accept(1)[0]
	b.until("it is retried", func() bool {
		d := b.delivery(id, "crm")
		return d != nil && d.State == state.Waiting && d.Attempts == 1 && !d.Leased
	})
	status.Store(200)
	if _, err := b.store.Put(t.Context(), "default", state.KindDocument, "connection/crm", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	b.change(&config.TenantConfig{Tenant: "default"})
	b.advance(moves, time.Hour)
	b.untilReason(id, "crm", decide.Newer)
	b.change(with())
	if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 2 {
		t.Errorf("%d attempts", d.Attempts)
	}
}

// TestChangedTenantAlone: a change of one tenant looks at this tenant's holds and lanes, lifts the pauses whose credentials it
// changed, and removes the lanes whose destination it removed.
func TestChangedTenantAlone(t *testing.T) {
	t.Parallel()
	with := func(tenant, secret string) *config.TenantConfig {
		crm, chat := destination("crm"), destination("chat")
		crm.Credentials = []connectors.Secret{connectors.NewSecret(secret)}
		return overlayOf(tenant, crm, chat)
	}
	b := prepare(t, &config.Config{Generation: "base"}, nil)
	b.plan.Store(b.plan.Load().With(with("a", "old"), with("b", "old")))
	c := b.count()
	b.make() // the loop does not run, and so asks for nothing by itself
	for _, tenant := range []string{"a", "b"} {
		for _, name := range []string{"crm", "chat"} {
			lane := b.loop.lanes.get(laneKey{tenant, name})
			lane.configure(b.plan.Load().Destination(tenant, name))
		}
		refused := state.Hold{Kind: state.HoldRevoked, Since: b.clock.Now(), Fingerprint: b.loop.fingerprint(b.plan.Load().Destination(tenant, "crm"), state.HoldRevoked)}
		if err := b.store.Hold(t.Context(), tenant, "crm", refused, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.loop.learnHolds(t.Context()); err != nil {
		t.Fatal(err)
	}
	clear(c.holds)
	of := func(tenant string) []*lane {
		lanes := b.loop.lanes.of(tenant)
		slices.SortFunc(lanes, func(x, y *lane) int { return strings.Compare(x.key.name, y.key.name) })
		return lanes
	}
	others := of("b")

	b.change(with("a", "new"))
	if diff := cmp.Diff(map[string]int{"a": 1}, c.holds); diff != "" {
		t.Errorf("holds were asked for: %s", diff)
	}
	if holds, err := b.store.Holds(t.Context(), "*"); err != nil || len(holds) != 1 || holds[0].Tenant != "b" {
		t.Errorf("holds: %v, %v", holds, err)
	}
	if lane := b.loop.lanes.find(laneKey{"a", "crm"}); lane.hold.Kind != "" || lane.destination != b.plan.Load().Destination("a", "crm") {
		t.Errorf("the lane has the hold %q, or former settings", lane.hold.Kind)
	}

	for i := range 100 { // names that come and go
		name := fmt.Sprint("crm", i)
		b.change(overlayOf("a", destination(name)))
		b.loop.lanes.get(laneKey{"a", name}).configure(b.plan.Load().Destination("a", name))
	}
	if lanes := of("a"); len(lanes) != 1 || lanes[0].key.name != "crm99" {
		t.Errorf("%d lanes are left", len(lanes))
	}
	b.change(&config.TenantConfig{Tenant: "a"})
	if left := len(b.loop.lanes.all()); left != 2 || !slices.Equal(others, of("b")) || len(b.loop.lanes.ofTenant) != 1 {
		t.Errorf("%d lanes are left", left)
	}
	b.close()
}

// TestOnePlanDecides: while base and overlays are swapped, each event is decided by one plan: its generation and all of its
// deliveries are of the same base and overlay.
func TestOnePlanDecides(t *testing.T) {
	t.Parallel()
	tenants := []string{"a", "b", "c"}
	// base k has a rule of every tenant; the overlays that are compiled over it have k in everything.
	baseOf := func(k int) *config.Config {
		everybody := ruleTo("crm", nil)
		everybody.Tenant, everybody.Match.Tenant, everybody.Steps[0].Build = config.AnyTenant, config.AnyTenant, map[string]connectors.Connector{}
		return &config.Config{Generation: fmt.Sprint("base", k), Rules: []*config.Rule{everybody}}
	}
	over := func(base *config.Config, tenant, k string) *config.TenantConfig {
		o := overlayOf(tenant, destination("crm"), destination("chat"))
		o.Generation, o.Rules = base.Generation+"."+k, o.Rules[1:]
		for _, d := range o.Destinations {
			d.Product, d.Enabled = o.Generation, false // nothing is sent
		}
		o.Builds[base.Rules[0].Steps[0]] = &product{}
		return o
	}
	all := func(base *config.Config) (overlays []*config.TenantConfig) {
		for _, tenant := range tenants {
			overlays = append(overlays, over(base, tenant, tenant))
		}
		return overlays
	}
	b := prepare(t, &config.Config{}, nil)
	base := baseOf(0)
	b.plan.Store(decide.New(base, all(base)...))
	b.open()
	ctx, stop := context.WithCancel(t.Context())
	swapped := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if n%50 == 0 {
				base = baseOf(n)
				b.plan.Store(decide.New(base, all(base)...))
			}
			tenant := tenants[n%len(tenants)]
			b.plan.Store(b.plan.Load().With(over(base, tenant, fmt.Sprint(n))))
		}
		swapped <- n
	}()
	type published struct{ tenant, id string }
	var events []published
	for range 40 {
		var batch []*event.Event
		for _, tenant := range tenants {
			for range 5 {
				b.n++
				ev, err := event.ParseOne(fmt.Appendf(nil, `{"type":"response.completed","id":"e%d"}`, b.n),
					event.Defaults{Tenant: tenant, Source: "api", Received: b.clock.Now(), Verified: "token"})
				if err != nil {
					t.Fatal(err)
				}
				batch, events = append(batch, ev), append(events, published{tenant, ev.ID})
			}
		}
		if _, err := b.store.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	generations := map[string]bool{}
	for _, p := range events {
		var record *state.Record
		b.until("it is decided", func() bool {
			var err error
			record, err = b.store.Event(t.Context(), p.tenant, p.id)
			return err == nil && record.Outcome != nil
		})
		o := record.Outcome
		generations[o.Generation] = true
		ofBase, ofOverlay, _ := strings.Cut(o.Generation, "+")
		if !strings.HasPrefix(ofOverlay, ofBase+".") || len(o.Deliveries) != 2 {
			t.Fatalf("decided by %s, with %d deliveries", o.Generation, len(o.Deliveries))
		}
		for _, d := range o.Deliveries {
			if d.Connector != ofOverlay {
				t.Fatalf("decided by %s, and %s goes to a destination of %s", o.Generation, d.Step, d.Connector)
			}
		}
	}
	stop()
	if n := <-swapped; n < 1000 || len(generations) < 2 {
		t.Errorf("%d swaps, %d generations decided", n, len(generations))
	}
}

package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// product is a connector whose request names the event, and whose Build can be made to fail.
type product struct{ build func(ev *event.Event) error }

func (p *product) Build(ev *event.Event) (*connectors.Request, error) {
	if p.build != nil {
		if err := p.build(ev); err != nil {
			return nil, err
		}
	}
	return connectors.Post("https://product.example/"+ev.OrigID, map[string]string{"id": ev.OrigID}), nil
}

// world answers requests; a test says how.
type world struct {
	mu     sync.Mutex
	seen   []seen
	answer func(s seen) (status int, header http.Header)
	// send, where it is set, is asked instead of answer.
	send func(ctx context.Context, s seen, o outbound.Attempt) outbound.Result
	came chan struct{}
}

type seen struct {
	destination, event, delivery string
	n                            int // of this delivery, from 1
	at                           time.Time
}

func (w *world) Send(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result {
	w.mu.Lock()
	s := seen{destination: o.Tenant + "/" + o.Destination, event: r.URL[len("https://product.example/"):], delivery: o.DeliveryID, n: 1, at: time.Now()}
	for _, before := range w.seen {
		if before.delivery == s.delivery {
			s.n++
		}
	}
	w.seen = append(w.seen, s)
	answer, send := w.answer, w.send
	w.mu.Unlock()
	if send != nil {
		return send(ctx, s, o)
	}
	status, header := http.StatusOK, http.Header{}
	if answer != nil {
		status, header = answer(s)
	}
	select {
	case w.came <- struct{}{}:
	default:
	}
	if status == 0 {
		return outbound.Result{Kind: outbound.Timeout, Err: &outbound.Error{Kind: outbound.Timeout, Reason: "no answer in time"}}
	}
	if header == nil {
		header = http.Header{}
	}
	return outbound.Result{Kind: outbound.Answered, Response: &connectors.Response{Status: status, Header: header, At: time.Now()}}
}

func (w *world) count(match func(seen) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, s := range w.seen {
		if match(s) {
			n++
		}
	}
	return n
}

// bench is a loop over a real store.
type bench struct {
	t     *testing.T
	dir   string
	store state.Store
	world *world
	loop  *Loop
	plan  atomic.Pointer[decide.Plan]
	clock clock.Clock
	drain time.Duration
	// openStore opens the store; nil opens the embedded engine in dir.
	openStore func() (state.Store, error)
	// newest is Options.Newest.
	newest func(context.Context) bool
	// sender is asked instead of the world; nil is the world.
	sender Sender
	// wrap stands between the loop and the store; nil is nothing.
	wrap func(state.Store) state.Store
	// due is asked for due deliveries before the store is.
	due     dueGate
	running bool
	stop    func()
	n       int
}

// dueGate is between the loop and the due-queue. While it is shut, nothing is due.
type dueGate struct {
	asked atomic.Int64

	mu   sync.RWMutex // held while the store is asked
	shut bool
}

// gated is a store whose due-queue is behind a gate.
type gated struct {
	state.Store
	gate *dueGate
}

func (g *gated) ClaimDue(ctx context.Context, q state.ClaimDue) ([]state.Due, time.Time, error) {
	g.gate.asked.Add(1)
	g.gate.mu.RLock()
	defer g.gate.mu.RUnlock()
	if g.gate.shut {
		return nil, time.Time{}, nil
	}
	return g.Store.ClaimDue(ctx, q)
}

// betweenRounds makes a change to the plan or the clock that no round of the due-queue sees half of: a round reads both, and asks
// the store later. What began before the change gets nothing from the due-queue any more.
func (b *bench) betweenRounds(change func()) {
	b.t.Helper()
	b.due.mu.Lock()
	b.due.shut = true
	change()
	b.due.mu.Unlock()
	if b.running {
		end := b.due.asked.Load() + 2 // the second one from here began after the change
		b.until("the due-queue is asked again", func() bool { b.loop.wakeDue(); return b.due.asked.Load() >= end })
	}
	b.due.mu.Lock()
	b.due.shut = false
	b.due.mu.Unlock()
	if b.loop != nil {
		b.loop.wakeDue()
	}
}

// advance moves the machine's clock on.
func (b *bench) advance(moves *shifted, by time.Duration) {
	b.t.Helper()
	b.betweenRounds(func() { moves.by.Add(int64(by)) })
}

type nothing struct{}

func (nothing) Decided(*event.Event, []*rules.Set, []state.RuleOutcome, []string, time.Time)      {}
func (nothing) Attempt(*state.Delivery, connectors.Kind, state.Reached, time.Duration, time.Time) {}
func (nothing) Ended(*state.Delivery, time.Time)                                                  {}
func (nothing) Batch(string, int)                                                                 {}

// destinations make a configuration in which every response goes to each of them.
func destinations(all ...*config.Destination) *config.Config {
	c := &config.Config{Generation: "g1"}
	for _, d := range all {
		d.Tenant, d.Product = "default", "product"
		if d.Timeout == 0 {
			d.Timeout = time.Minute // no lease ends within a test, however slow the machine is
		}
		if d.Concurrency == 0 {
			d.Concurrency = 4
		}
		c.Destinations = append(c.Destinations, d)
		c.Rules = append(c.Rules, ruleTo(d.Name, &product{}))
	}
	return c
}

func ruleTo(destination string, build connectors.Connector) *config.Rule {
	return &config.Rule{
		Item:  config.Item{Tenant: "default", Name: "to-" + destination},
		Match: &rules.Rule{Kind: rules.RuleKind, Tenant: "default", Name: "to-" + destination, Events: []string{event.TypeResponseCompleted}},
		Steps: []*config.Step{{
			Name: destination, Destination: destination,
			Build: map[string]connectors.Connector{"default": build},
		}},
	}
}

func destination(name string, waits ...time.Duration) *config.Destination {
	return &config.Destination{Item: config.Item{Name: name}, Enabled: true, Retry: config.Retry{Waits: waits}}
}

func begin(t *testing.T, c *config.Config, answer func(seen) (int, http.Header)) *bench {
	t.Helper()
	b := prepare(t, c, answer)
	b.open()
	return b
}

// prepare is a bench whose loop does not run yet.
func prepare(t *testing.T, c *config.Config, answer func(seen) (int, http.Header)) *bench {
	t.Helper()
	b := &bench{
		t: t, dir: t.TempDir(), clock: clock.System(), drain: time.Minute,
		world: &world{answer: answer, came: make(chan struct{}, 1)},
	}
	b.plan.Store(decide.New(c))
	t.Cleanup(b.close)
	return b
}

// make opens the store and makes a loop that does not run.
func (b *bench) make() {
	b.t.Helper()
	openStore := b.openStore
	if openStore == nil {
		openStore = func() (state.Store, error) { return embedded.Open(embedded.Options{Dir: b.dir, Clock: b.clock}) }
	}
	store, err := openStore()
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = store
	if b.wrap != nil {
		store = b.wrap(store)
	}
	store = &gated{store, &b.due}
	sender := b.sender
	if sender == nil {
		sender = b.world
	}
	b.loop = New(Options{
		Store: store, Sender: sender, Plan: b.plan.Load, Clock: b.clock,
		Log: slog.New(slog.DiscardHandler), Observer: nothing{}, Jitter: func() float64 { return 0 },
		FingerprintKey: []byte("key"), Drain: b.drain, Newest: b.newest,
	})
	b.loop.missing.repeat = 200 * time.Millisecond
	b.stop = func() {}
}

func (b *bench) open() {
	b.t.Helper()
	b.make()
	b.run()
}

// run has the loop run.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.loop.Run(ctx) }()
	b.running = true
	b.stop = func() {
		b.running = false
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bench) close() {
	if b.stop == nil {
		return
	}
	b.stop()
	b.stop = nil
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
}

// reload makes a configuration the running one.
func (b *bench) reload(c *config.Config) {
	b.t.Helper()
	b.betweenRounds(func() { b.plan.Store(decide.New(c)) })
	if err := b.loop.Reloaded(b.t.Context()); err != nil {
		b.t.Error(err)
	}
}

// accept appends events as the intake does, and returns their ids.
func (b *bench) accept(n int) []string { return b.acceptType(event.TypeResponseCompleted, n) }

func (b *bench) acceptType(kind string, n int) []string {
	b.t.Helper()
	events := make([]*event.Event, n)
	ids := make([]string, n)
	for i := range events {
		b.n++
		body := fmt.Sprintf(`{"type":%q,"id":"e%d","response":{"id":"r%d"}}`, kind, b.n, b.n)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: b.clock.Now(), Verified: "token"})
		if err != nil {
			b.t.Fatal(err)
		}
		events[i], ids[i] = ev, ev.ID
	}
	if _, err := b.store.Append(b.t.Context(), events); err != nil {
		b.t.Fatal(err)
	}
	return ids
}

// until waits for a condition that becomes true by something the world or the store does.
func (b *bench) until(what string, true func() bool) {
	b.t.Helper()
	end := time.After(2 * time.Minute)
	for !true() {
		select {
		case <-b.world.came:
		case <-time.After(5 * time.Millisecond): // what a commit changes says nothing by itself
		case <-end:
			b.t.Fatalf("not reached: %s", what)
		}
	}
}

func (b *bench) delivery(eventID, destination string) *state.Delivery {
	b.t.Helper()
	id := state.DeliveryID(&event.Event{Header: event.Header{ID: eventID}}, state.Origin{Kind: state.Rule, Name: "to-" + destination}, destination)
	d, err := b.store.Delivery(b.t.Context(), "default", id)
	if err != nil {
		return nil
	}
	return d
}

func (b *bench) untilState(eventID, destination string, s state.DeliveryState) *state.Delivery {
	b.t.Helper()
	var d *state.Delivery
	b.until(destination+" is "+string(s), func() bool {
		d = b.delivery(eventID, destination)
		return d != nil && d.State == s
	})
	return d
}

func ok() outbound.Result {
	return outbound.Result{Kind: outbound.Answered, Response: &connectors.Response{Status: http.StatusOK, Header: http.Header{}, At: time.Now()}}
}

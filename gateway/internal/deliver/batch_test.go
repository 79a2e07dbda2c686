package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// many is a product that takes batches: its body is the ids of the events. What it answers of one event is its
// verdict, if the answer is 207.
type many struct {
	product
	limit connectors.BatchLimit
	key   func(ev *event.Event) string
	each  func(ev *event.Event) connectors.Verdict
}

type told struct {
	IDs []string `json:"ids"`
}

func (m *many) Batch() connectors.BatchLimit { return m.limit }

func (m *many) Key(ev *event.Event) string {
	if m.key == nil {
		return ev.OrigID
	}
	return m.key(ev)
}

func (m *many) Build(ev *event.Event) (*connectors.Request, error) {
	return m.BuildBatch([]*event.Event{ev})
}

func (m *many) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	var t told
	for _, ev := range events {
		if m.build != nil {
			if err := m.build(ev); err != nil {
				return nil, err
			}
		}
		t.IDs = append(t.IDs, ev.OrigID)
	}
	return connectors.Post("https://product.example/batch", t), nil
}

func (m *many) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if v.Kind == connectors.Delivered && res.Status != http.StatusMultiStatus {
		return connectors.JudgeEach(res, func(int, *event.Event) (connectors.Verdict, bool) { return connectors.Deliver(), true })
	}
	if res.Status != http.StatusMultiStatus {
		return v
	}
	for _, ev := range res.Events {
		v.Each = append(v.Each, m.each(ev))
	}
	return v
}

// crowd is the other end: it remembers the members of each request, and a test says how it answers them.
type crowd struct {
	mu       sync.Mutex
	requests [][]string
	answer   func(ids []string) (status int)
}

func (c *crowd) Send(_ context.Context, r *connectors.Request, _ outbound.Attempt) outbound.Result {
	var t told
	if err := json.Unmarshal(r.Body, &t); err != nil {
		panic(err)
	}
	c.mu.Lock()
	c.requests = append(c.requests, t.IDs)
	c.mu.Unlock()
	status := 200
	if c.answer != nil {
		status = c.answer(t.IDs)
	}
	if status == 0 {
		return outbound.Result{Kind: outbound.Timeout, Err: &outbound.Error{Kind: outbound.Timeout, Reason: "no answer in time"}, Sent: len(r.Body)}
	}
	body := []byte(`{"about": "` + strings.Join(t.IDs, " ") + `"}`)
	return outbound.Result{
		Kind: outbound.Answered, Sent: len(r.Body), Received: len(body),
		Response: &connectors.Response{Status: status, Header: http.Header{"X-Request": {"7"}}, Body: body, At: time.Now()},
	}
}

func (c *crowd) all() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// sent counts how often each event was told of.
func (c *crowd) sent() map[string]int {
	counts := map[string]int{}
	for _, ids := range c.all() {
		for _, id := range ids {
			counts[id]++
		}
	}
	return counts
}

// gathered is a bench of one destination that takes batches; the loop does not run yet.
func gathered(t *testing.T, m connectors.Connector, batch config.Batch, answer func(ids []string) int, waits ...time.Duration) (*bench, *crowd) {
	t.Helper()
	d := destination("crm", waits...)
	d.Batch = batch
	conf := destinations(d)
	conf.Rules = []*config.Rule{ruleTo("crm", m)}
	b := prepare(t, conf, nil)
	c := &crowd{answer: answer}
	b.sender = c
	return b, c
}

// firstFails answers a batch with one status and everything after it with 200.
func firstFails(status int) func([]string) int {
	var once atomic.Bool
	return func([]string) int {
		if once.CompareAndSwap(false, true) {
			return status
		}
		return 200
	}
}

func TestBatchesAreFullAndTellEachOnce(t *testing.T) {
	t.Parallel()
	b, c := gathered(t, &many{limit: connectors.BatchLimit{Events: 10}}, config.Batch{Wait: 500 * time.Millisecond}, nil)
	b.open()
	ids := b.accept(100)
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 || len(d.Log) != 1 {
			t.Errorf("%d attempts, %d kept", d.Attempts, len(d.Log))
		}
	}
	for _, ids := range c.all() {
		if len(ids) > 10 {
			t.Errorf("%d in a batch of at most 10", len(ids))
		}
	}
	if n := len(c.all()); n < 10 || n >= 100 {
		t.Errorf("%d requests for 100 events", n)
	}
	for id, n := range c.sent() {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
}

// Two of one key are never in one request, nor in two at once, and keep their order.
func TestOneKeyAtATime(t *testing.T) {
	t.Parallel()
	person := func(id string) string { // e7 → one of five
		return id[len(id)-1:]
	}
	var mu sync.Mutex
	under, latest := map[string]bool{}, map[string]int{}
	answer := func(ids []string) int {
		mu.Lock()
		for _, id := range ids {
			key, n := person(id), 0
			_, _ = fmt.Sscanf(id, "e%d", &n)
			if under[key] {
				t.Errorf("%s is told of twice at a time", key)
			}
			if n < latest[key] {
				t.Errorf("%s comes after %d of the same key", id, latest[key])
			}
			under[key], latest[key] = true, n
		}
		mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			under[person(id)] = false
		}
		return 200
	}
	m := &many{limit: connectors.BatchLimit{Events: 50}, key: func(ev *event.Event) string { return person(ev.OrigID) }}
	b, c := gathered(t, m, config.Batch{Wait: 5 * time.Millisecond}, answer)
	b.open()
	for _, id := range b.accept(200) {
		b.untilState(id, "crm", state.Delivered)
	}
	for _, ids := range c.all() {
		keys := map[string]bool{}
		for _, id := range ids {
			if keys[person(id)] {
				t.Errorf("one key twice in %v", ids)
			}
			keys[person(id)] = true
		}
	}
}

// Each member of a batch gets the verdict on itself.
func TestEachHasItsOwnVerdict(t *testing.T) {
	t.Parallel()
	m := &many{each: func(ev *event.Event) connectors.Verdict {
		switch ev.OrigID {
		case "e2":
			return connectors.Reject("bad e-mail")
		case "e3":
			return connectors.TryAgain("locked")
		}
		return connectors.Deliver()
	}}
	b, c := gathered(t, m, config.Batch{Wait: 500 * time.Millisecond}, firstFails(http.StatusMultiStatus), 5*time.Millisecond)
	b.open()
	ids := b.accept(4)
	for i, want := range []struct {
		state    state.DeliveryState
		reason   string
		attempts int
	}{{state.Delivered, "", 1}, {state.Dead, "bad e-mail", 1}, {state.Delivered, "", 2}, {state.Delivered, "", 1}} {
		if d := b.untilState(ids[i], "crm", want.state); d.Reason != want.reason || d.Attempts != want.attempts {
			t.Errorf("%d: %q after %d attempts, want %+v", i+1, d.Reason, d.Attempts, want)
		}
	}
	if first := c.all()[0]; len(first) != 4 {
		t.Fatalf("the first request told of %v", first)
	}
	dead := b.untilState(ids[1], "crm", state.Dead)
	log := dead.Log[0]
	if !strings.Contains(string(log.Request), "e2") || strings.Contains(string(log.Request), "e1") {
		t.Errorf("kept of the request:\n%s", log.Request)
	}
	if text := string(log.Response); strings.Contains(text, "e1") || !strings.HasPrefix(text, "207\n") || !strings.Contains(text, "X-Request: 7") {
		t.Errorf("kept of the answer, which speaks of others:\n%s", text)
	}
	if log.Status != 207 || log.Verdict != "rejected" || log.Sent == 0 || log.Sent > 10 {
		t.Errorf("kept: %+v", log)
	}
}

// An event that the answer to its batch does not name is not delivered: it is tried once alone, and what is said of it then
// counts. Its neighbours that are named are done.
func TestWhatABatchsAnswerDoesNotName(t *testing.T) {
	t.Parallel()
	lost := func(m *many, ev *event.Event, res *connectors.Response) (connectors.Verdict, bool) {
		return connectors.Deliver(), ev.OrigID != "e3" && (ev.OrigID != "e2" || len(res.Events) == 1)
	}
	m := &naming{names: lost}
	b, c := gathered(t, m, config.Batch{Wait: 500 * time.Millisecond}, nil)
	b.open()
	ids := b.accept(3)
	for i, want := range []struct {
		state              state.DeliveryState
		attempts, forgiven int
		reason             string
	}{
		{state.Delivered, 1, 0, ""},
		{state.Delivered, 2, 1, ""},
		{state.Dead, 2, 1, "200 OK, but the answer names the record neither as written nor as refused"},
	} {
		d := b.untilState(ids[i], "crm", want.state)
		if d.Attempts != want.attempts || d.Forgiven != want.forgiven || d.Reason != want.reason {
			t.Errorf("%d: %d attempts, %d forgiven, %q, want %+v", i, d.Attempts, d.Forgiven, d.Reason, want)
		}
	}
	if all := c.all(); len(all) != 3 || len(all[0]) != 3 || len(all[1]) != 1 || len(all[2]) != 1 {
		t.Errorf("requests: %v", all)
	}
}

// A connector that says of a whole batch that it is delivered, without saying so of each event, is not believed unless its
// product is known to name nothing.
func TestABatchIsNotDeliveredAsAWhole(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		whole := connectors.Deliver()
		f := &faulty{many: many{limit: connectors.BatchLimit{Silent: silent}}, verdict: &whole}
		b, c := gathered(t, f, config.Batch{Wait: 500 * time.Millisecond}, nil)
		b.open()
		requests, attempts := 3, 2
		if silent {
			requests, attempts = 1, 1
		}
		for _, id := range b.accept(2) {
			if d := b.untilState(id, "crm", state.Delivered); d.Attempts != attempts {
				t.Errorf("silent %t: %d attempts: %+v", silent, d.Attempts, d.Log)
			}
		}
		if all := c.all(); len(all) != requests {
			t.Errorf("silent %t: %d requests: %v", silent, len(all), all)
		}
	}
}

// naming is a product that names some of the events in its answer.
type naming struct {
	many
	names func(m *many, ev *event.Event, res *connectors.Response) (connectors.Verdict, bool)
}

func (n *naming) Judge(res *connectors.Response) connectors.Verdict {
	return connectors.JudgeEach(res, func(_ int, ev *event.Event) (connectors.Verdict, bool) { return n.names(&n.many, ev, res) })
}

// A batch without an answer is retried as each of its members would be, and again together.
func TestABatchWithoutAnswerIsRetried(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 503, 429} {
		b, c := gathered(t, &many{}, config.Batch{Wait: 200 * time.Millisecond}, firstFails(status), 5*time.Millisecond)
		b.open()
		for _, id := range b.accept(20) {
			if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 2 || d.Forgiven != 0 {
				t.Errorf("%d: %d attempts, %d forgiven", status, d.Attempts, d.Forgiven)
			}
		}
		if n := len(c.all()); n > 10 {
			t.Errorf("%d: %d requests, so the retries went alone", status, n)
		}
		b.close()
	}
}

// Refused credentials pause the connection; nobody in the batch is lost or pays for it.
func TestARevokedBatchWaits(t *testing.T) {
	t.Parallel()
	b, _ := gathered(t, &many{}, config.Batch{Wait: 200 * time.Millisecond}, firstFails(401))
	b.open()
	ids := b.accept(20)
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Waiting); d.Forgiven != d.Attempts {
			t.Errorf("%d attempts, %d forgiven", d.Attempts, d.Forgiven)
		}
	}
	b.until("held", func() bool {
		holds, err := b.store.Holds(t.Context(), "default")
		return err == nil && len(holds) == 1 && holds[0].Hold.Kind == state.HoldRevoked
	})
	if err := b.store.Hold(t.Context(), "default", "crm", state.Hold{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.loop.Reloaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
}

// What cannot be sent of one member leaves the batch, with its own reason; the rest goes without it.
func TestAMemberThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	m := &many{product: product{build: func(ev *event.Event) error {
		switch ev.OrigID {
		case "e1":
			return connectors.Skip("no e-mail")
		case "e3":
			return errors.New("no such field")
		case "e4":
			panic("boom")
		}
		return nil
	}}}
	b, c := gathered(t, m, config.Batch{Wait: 500 * time.Millisecond}, nil)
	b.open()
	ids := b.accept(5)
	for i, want := range []struct {
		state    state.DeliveryState
		reason   string
		attempts int
	}{
		{state.Skipped, "no e-mail", 0},
		{state.Delivered, "", 1},
		{state.Dead, "cannot be built: no such field", 0},
		{state.Dead, "the connector panicked", 0},
		{state.Delivered, "", 1},
	} {
		if d := b.untilState(ids[i], "crm", want.state); d.Reason != want.reason || d.Attempts != want.attempts {
			t.Errorf("%d: %q after %d attempts, want %+v", i+1, d.Reason, d.Attempts, want)
		}
	}
	if all := c.all(); len(all) != 1 || !slices.Equal(all[0], []string{"e2", "e5"}) {
		t.Errorf("requests: %v", all)
	}
}

// A connector that cannot make up its mind about a batch is asked for one event at a time.
func TestWrongVerdictsOnABatch(t *testing.T) {
	t.Parallel()
	short := &many{}
	short.each = func(*event.Event) connectors.Verdict { panic("boom") }
	b, _ := gathered(t, short, config.Batch{Wait: 500 * time.Millisecond}, firstFails(207))
	b.open()
	for _, id := range b.accept(3) {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 2 || d.Log[0].Reason != "the connector panicked" {
			t.Errorf("%d attempts: %+v", d.Attempts, d.Log)
		}
	}
	v := judge(&many{each: func(*event.Event) connectors.Verdict { return connectors.Then(nil) }}, &config.Destination{},
		&connectors.Response{Status: 207, Events: make([]*event.Event, 2)})
	if v.Each[0].Kind != connectors.Rejected {
		t.Errorf("a member that goes on alone: %v", v.Each[0])
	}
}

// A body over the product's limit is cut into several requests; nobody is left out.
func TestABatchOverTheLimitInBytes(t *testing.T) {
	t.Parallel()
	b, c := gathered(t, &many{limit: connectors.BatchLimit{Bytes: 40}}, config.Batch{Wait: 500 * time.Millisecond}, nil)
	b.open()
	for _, id := range b.accept(30) {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
	}
	counts := c.sent()
	if len(counts) != 30 {
		t.Errorf("%d of 30 were told of", len(counts))
	}
	for _, ids := range c.all() {
		if body, _ := event.Marshal(told{ids}); len(body) > 40 {
			t.Errorf("%d bytes: %v", len(body), ids)
		}
	}
}

// handing is a store that remembers which deliveries were handed over.
type handing struct {
	state.Store
	mu   sync.Mutex
	over []state.Delivery
}

func (s *handing) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	s.mu.Lock()
	for _, o := range c.Events {
		s.over = append(s.over, o.Deliveries...)
	}
	s.mu.Unlock()
	return s.Store.Commit(ctx, c)
}

// Deliveries that may wait longer do it in the due-queue and come back together.
func TestLongWaitsAreInTheDueQueue(t *testing.T) {
	t.Parallel()
	b, c := gathered(t, &many{}, config.Batch{Wait: 1200 * time.Millisecond}, nil)
	store := &handing{}
	b.wrap = func(s state.Store) state.Store { store.Store = s; return store }
	b.open()
	first, second := b.accept(10), b.accept(10)
	b.until("all are handed over", func() bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		return len(store.over) == 20
	})
	for _, d := range store.over {
		if d.State != state.Waiting || d.Reason != reasonBatch || d.Attempts != 0 {
			t.Errorf("%s, waits for %q after %d attempts", d.State, d.Reason, d.Attempts)
		}
	}
	for _, id := range append(first, second...) {
		b.untilState(id, "crm", state.Delivered)
	}
	if n := len(c.all()); n > 4 {
		t.Errorf("%d requests for 20 events in two spans", n)
	}
}

// A rate counts requests, and a backlog behind it is worked off in full batches.
func TestARateCountsRequests(t *testing.T) {
	t.Parallel()
	b, c := gathered(t, &many{limit: connectors.BatchLimit{Events: 100}}, config.Batch{Max: 100, Wait: 10 * time.Millisecond}, nil)
	conf := b.plan.Load().Config
	conf.Destinations[0].Rate = config.Rate{Events: 10, Per: time.Second}
	b.plan.Store(decide.New(conf))
	b.open()
	began := time.Now()
	for _, id := range b.accept(3000) {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
	}
	took, n := time.Since(began), len(c.all())
	if most := 10 + int(10*took.Seconds()) + 11; n > most {
		t.Errorf("%d requests in %s, more than the rate of 10/s and what it may book ahead", n, took)
	}
	if n > 300 {
		t.Errorf("%d requests for 3000 events", n)
	}
}

// The gateway stops while a batch gathers: nobody has been tried, and all are sent after the start.
func TestDrainWhileGathering(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var once sync.Once
	b, c := gathered(t, &many{key: func(*event.Event) string { return "one" }}, config.Batch{Wait: 500 * time.Millisecond}, func([]string) int {
		<-release
		return 200
	})
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	b.open()
	ids := b.accept(5) // one under way, the others behind it
	b.until("the first is on its way", func() bool { return len(c.all()) == 1 })
	closed := make(chan struct{})
	go func() { b.close(); close(closed) }()
	once.Do(func() { close(release) })
	<-closed
	b.open()
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
	}
	for id, n := range c.sent() {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	b.until("nothing is left in memory", func() bool {
		l := b.loop.lanes.get(laneKey{"default", "crm"})
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pending == 0 && l.inFlight == 0 && len(l.gather.last) == 0 && len(l.gather.unqueued) == 0
	})
}

// A destination of batches that hangs holds up no neighbour, and leaves room in memory for others' due deliveries.
func TestAHangingBatchHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	hanging, healthy := destination("hanging", time.Minute), destination("healthy", time.Minute)
	hanging.Batch = config.Batch{Max: 100, Wait: 50 * time.Millisecond}
	conf := destinations(hanging, healthy)
	conf.Rules = []*config.Rule{ruleTo("hanging", &many{}), ruleTo("healthy", &many{})}
	b := prepare(t, conf, nil)
	release := make(chan struct{})
	var once sync.Once
	c := &crowd{}
	b.sender = senders(func(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result {
		if o.Tenant+"/"+o.Destination == "default/hanging" {
			<-release
		}
		return c.Send(ctx, r, o)
	})
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	b.open()
	ids := b.accept(3000)
	for _, id := range ids {
		b.untilState(id, "healthy", state.Delivered)
	}
	for _, id := range ids {
		b.untilState(id, "hanging", state.Waiting)
	}
	if n := b.loop.due.Load(); n > laneBatched {
		t.Errorf("%d due deliveries in memory for a destination that hangs, at most %d", n, laneBatched)
	}
	once.Do(func() { close(release) })
	for _, id := range ids {
		b.untilState(id, "hanging", state.Delivered)
	}
	for id, n := range c.sent() {
		if n != 2 {
			t.Errorf("%s was sent %d times, want once to each", id, n)
		}
	}
}

type senders func(context.Context, *connectors.Request, outbound.Attempt) outbound.Result

func (f senders) Send(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result {
	return f(ctx, r, o)
}

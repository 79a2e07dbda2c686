package replay

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const connections = `
connections:
  crm: {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl"}, tenant: acme}
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T2/B2/abcdefghijkl"}, tenant: acme}
  other: {slack: {webhook: "https://hooks.slack.com/services/T3/B3/abcdefghijkl"}, tenant: blue}
`

const someRules = connections + `
rules:
  - {name: all, events: [response.completed], send: [crm], tenant: acme}
  - {name: updates, events: [response.updated], send: [alarms], tenant: acme}
  - {name: blue, events: ["response.*"], send: [other], tenant: blue}
`

func plan(t testing.TB, text string) *decide.Plan {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return decide.New(c)
}

// virtual is a clock on which a job never waits: where it would, its time passes. Longer waits, such as those for the renewal of a lease
// and for the next look for jobs, end when that time has passed.
type virtual struct {
	*clock.Manual
	passed func() // called when time has passed so
}

func (v virtual) After(d time.Duration) (<-chan time.Time, func()) {
	if d > time.Second {
		return v.Manual.After(d)
	}
	v.Advance(d)
	if v.passed != nil {
		v.passed()
	}
	at := make(chan time.Time, 1)
	at <- v.Now()
	return at, func() {}
}

// rig is a store with the replays of one process after another.
type rig struct {
	t     *testing.T
	store state.Store
	clock virtual
	plan  atomic.Pointer[decide.Plan]
	sent  map[string]int // by event: how often a delivery of it was made
	ids   map[string]int // by delivery
}

// onBoth runs a test on both engines.
func onBoth(t *testing.T, test func(*rig)) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, clock: virtual{Manual: clock.NewManual(noon)}}
			r.plan.Store(plan(t, someRules))
			var err error
			if engine == "embedded" {
				r.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: r.clock.Manual})
			} else {
				r.store, err = redis.Open(redis.Options{URL: redistest.Start(t).URL(), Clock: r.clock.Manual})
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.store.Close() })
			r.forget()
			test(r)
		})
	}
}

// forget forgets what was delivered so far.
func (r *rig) forget() { r.sent, r.ids = map[string]int{}, map[string]int{} }

// publish stores events of a tenant and decides them. Their deliveries end, or wait, in a state. It returns the events' ids.
func (r *rig) publish(tenant, eventType string, n int, as state.DeliveryState) (ids []string) {
	r.t.Helper()
	ctx := context.Background()
	var all []*event.Event
	for i := range n {
		ev, err := event.New(event.Header{
			Tenant: tenant, Source: "pollqr", Type: eventType, Received: r.clock.Now(), Verified: "token",
			DedupeKey: fmt.Sprint(eventType, r.clock.Now().UnixNano(), "-", i),
		}, nil, event.Raw{})
		if err != nil {
			r.t.Fatal(err)
		}
		all, ids = append(all, ev), append(ids, ev.ID)
	}
	if _, err := r.store.Append(ctx, all); err != nil {
		r.t.Fatal(err)
	}
	for decided := 0; decided < n; {
		claimed, err := r.store.Claim(ctx, 100, 1<<20)
		if err != nil {
			r.t.Fatal(err)
		}
		var c state.Commit
		for _, one := range claimed {
			c.Events = append(c.Events, r.decide(one, as))
		}
		if _, err := r.store.Commit(ctx, &c); err != nil {
			r.t.Fatal(err)
		}
		decided += len(claimed)
	}
	r.clock.Advance(time.Minute)
	return ids
}

func (r *rig) decide(one state.Claimed, as state.DeliveryState) state.Outcome {
	now := r.clock.Now()
	decision := r.plan.Load().Decide(one.Event, now)
	o := state.Outcome{Position: one.Position, Tenant: one.Event.Tenant, EventID: one.Event.ID, At: now, Rules: decision.Rules, Generation: "g"}
	for _, owed := range decision.Owed {
		d := owed.Delivery
		d.State, d.Attempts, d.Due = as, 1, now.Add(time.Hour)
		d.Log = []state.Attempt{attempt(now, as == state.Delivered)}
		o.Deliveries = append(o.Deliveries, d)
	}
	return o
}

func attempt(at time.Time, delivered bool) state.Attempt {
	if delivered {
		return state.Attempt{N: 1, At: at, Verdict: "delivered", Status: 200}
	}
	return state.Attempt{N: 1, At: at, Verdict: "retry", Status: 503, Reason: "503 Service Unavailable"}
}

// deliver makes all deliveries that are due by now, as the delivery loop does.
func (r *rig) deliver() {
	r.t.Helper()
	ctx := context.Background()
	for {
		due, _, err := r.store.ClaimDue(ctx, state.ClaimDue{Max: 100, Bytes: 1 << 20, Lease: time.Minute})
		if err != nil {
			r.t.Error(err)
			return
		}
		if len(due) == 0 {
			return
		}
		var c state.Commit
		for i := range due {
			d := due[i].Delivery
			r.sent[d.EventID]++
			r.ids[d.ID]++
			d.State, d.Reason, d.Attempts = state.Delivered, "", d.Attempts+1
			d.Log = []state.Attempt{attempt(r.clock.Now(), true)}
			c.Due = append(c.Due, state.Settled{Delivery: d, Lease: due[i].Lease})
		}
		if _, err := r.store.Commit(ctx, &c); err != nil {
			r.t.Error(err)
			return
		}
	}
}

// process runs replays. onWrite is called before each write with its number from 1; what it returns says how the write fails.
type process struct {
	state.Store
	jobs    *job.Jobs
	replays *Replayer
	writes  atomic.Int32
	onWrite func(n int, what string) failure
	dead    atomic.Bool
	busy    atomic.Bool // destinations are attempting something else: nothing is delivered
	onWait  func()      // called when time has passed
	stop    func()
	counted atomic.Int32  // deliveries that were counted as dropped
	left    chan struct{} // receives when a job has left the index of those that have not ended
}

// failure is how a write fails: the process dies before it or right after it.
type failure int

const (
	works failure = iota
	diesBefore
	diesAfter
)

var errDead = fmt.Errorf("killed: %w", state.ErrUnavailable)

// write does a write as long as the process lives. What it has begun it does: with its context, a store may apply it later.
func (p *process) write(what string, do func() error) error {
	if p.dead.Load() {
		return errDead
	}
	fails := works
	if n := int(p.writes.Add(1)); p.onWrite != nil {
		fails = p.onWrite(n, what)
	}
	if fails == diesBefore {
		p.dead.Store(true)
		return errDead
	}
	err := do()
	if fails == diesAfter {
		p.dead.Store(true)
		return errDead
	}
	return err
}

func (p *process) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (now uint64, err error) {
	err = p.write("put "+kind, func() error {
		now, err = p.Store.Put(context.WithoutCancel(ctx), tenant, kind, name, value, version)
		return err
	})
	return now, err
}

func (p *process) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	err := p.write("delete "+kind, func() error { return p.Store.Delete(context.WithoutCancel(ctx), tenant, kind, name, version) })
	if err == nil && kind == "job-active" {
		p.left <- struct{}{}
	}
	return err
}

func (p *process) Schedule(ctx context.Context, tenant string, all []state.Delivery) (done []bool, err error) {
	err = p.write("schedule", func() error { done, err = p.Store.Schedule(context.WithoutCancel(ctx), tenant, all); return err })
	return done, err
}

func (p *process) Drop(ctx context.Context, tenant, id string) error {
	return p.write("drop", func() error { return p.Store.Drop(context.WithoutCancel(ctx), tenant, id) })
}

func (p *process) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if p.dead.Load() {
		return 0, errDead
	}
	return p.Store.Lease(ctx, name, holder, ttl)
}

// run runs a process until stop, or until the end of the test. What it schedules is delivered when it is due, as long as it lives.
func (r *rig) run(onWrite func(n int, what string) failure) *process {
	r.t.Helper()
	p := &process{Store: r.store, onWrite: onWrite, left: make(chan struct{}, 10)}
	deliver := func() {
		if !p.dead.Load() && !p.busy.Load() {
			r.deliver()
		}
	}
	passing := virtual{r.clock.Manual, func() {
		if deliver(); p.onWait != nil {
			p.onWait()
		}
	}}
	p.replays = &Replayer{Options: Options{Store: p, Plan: r.plan.Load, Clock: passing, Due: deliver, Ended: func(*state.Delivery) { p.counted.Add(1) }}}
	p.jobs = job.New(job.Options{
		Store: p, Clock: passing, Log: slog.New(slog.DiscardHandler), Holder: "one", Kinds: map[string]job.Kind{Kind: p.replays.Work, DropKind: p.replays.Work},
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.jobs.Run(ctx) })
	p.stop = func() { stop(); running.Wait() }
	r.t.Cleanup(p.stop)
	return p
}

// spec is a replay with a rate.
func (r *rig) spec(of view.ReplayOf, as As, rate string) *Spec {
	r.t.Helper()
	s, err := New(of, time.Time{}, time.Time{}, string(as), rate, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) create(p *process, s *Spec) *job.Job {
	r.t.Helper()
	made, err := p.jobs.Create(r.t.Context(), "acme", Kind, s, audit.By{Name: "token:test"})
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// ended waits until the only replay has ended, and returns it. Nothing of it is left but the job.
func (r *rig) ended(p *process, id string) *job.Job {
	r.t.Helper()
	select {
	case <-p.left:
	case <-time.After(time.Minute):
		r.t.Fatal("the replay does not end")
	}
	return r.last(p, id)
}

// last returns a replay that has ended.
func (r *rig) last(p *process, id string) *job.Job {
	r.t.Helper()
	last, err := p.jobs.Get(r.t.Context(), "acme", id)
	if err != nil || !last.State.Ended() {
		r.t.Fatalf("%+v, %v", last, err)
	}
	if pages, err := r.store.List(r.t.Context(), "acme", "job-page"); err != nil || len(pages) > 0 {
		r.t.Errorf("%d pages are left, %v", len(pages), err)
	}
	return last
}

// replay runs a replay to its end, and delivers what it scheduled.
func (r *rig) replay(s *Spec) *job.Job {
	r.t.Helper()
	p := r.run(nil)
	j := r.ended(p, r.create(p, s).ID)
	p.stop()
	r.clock.Advance(time.Minute)
	r.deliver()
	return j
}

// want checks that exactly these events were delivered, each once.
func (r *rig) want(what string, ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		if r.sent[id] != 1 {
			r.t.Errorf("%s: event %s was delivered %d times, want once", what, id, r.sent[id])
		}
	}
	for id, n := range r.sent {
		if !slices.Contains(ids, id) {
			r.t.Errorf("%s: event %s was delivered %d times, want never", what, id, n)
		}
	}
}

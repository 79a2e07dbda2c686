package erase

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// rig is a store with erasures.
type rig struct {
	t     *testing.T
	store state.Store
	plan  *decide.Plan
	ended atomic.Int64
	n     int
}

// fast is the time of the machine, in which nothing waits long.
type fast struct{ clock.Clock }

func (f fast) After(d time.Duration) (<-chan time.Time, func()) {
	return f.Clock.After(min(d, 5*time.Millisecond))
}

func onBoth(t *testing.T, test func(*rig)) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t}
			var err error
			if engine == "embedded" {
				r.store, err = embedded.Open(embedded.Options{Dir: t.TempDir()})
			} else {
				r.store, err = redis.Open(redis.Options{URL: redistest.Start(t).URL()})
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.store.Close() })
			test(r)
		})
	}
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

var testKeys = sync.OnceValue(func() vault.Keys {
	keys, err := vault.ParseKeys(vault.NewKey(), "test")
	if err != nil {
		panic(err)
	}
	return keys
})

var lists = []string{"rejected/app", "rejected/app/unproved", "captured/app", "idempotency/0a"}

func (r *rig) eraser(store state.Store) *Eraser {
	return &Eraser{Options{
		Store: store, Vault: vault.New(vault.Options{Store: store, Keys: testKeys()}), Clock: clock.System(),
		Audit: &audit.Log{Store: store, Clock: clock.System()},
		Lists: func(context.Context, string) ([]string, error) { return lists, nil },
		Ended: func(*state.Delivery) { r.ended.Add(1) },
		Plan:  func() *decide.Plan { return r.plan },
	}}
}

// run runs the jobs of a store until ctx ends.
func (r *rig) jobs(ctx context.Context, store state.Store) (*Eraser, *job.Jobs, func()) {
	e := r.eraser(store)
	jobs := job.New(job.Options{
		Store: store, Clock: fast{clock.System()}, Log: slog.New(slog.DiscardHandler), Kinds: map[string]job.Kind{Kind: e.Work}, Holder: "one",
	})
	ctx, stop := context.WithCancel(ctx)
	var runs sync.WaitGroup
	runs.Go(func() { jobs.Run(ctx) })
	return e, jobs, func() { stop(); runs.Wait() }
}

// erase runs an erasure to its end.
func (r *rig) erase(person string) view.Erasure {
	r.t.Helper()
	e, jobs, stop := r.jobs(context.Background(), r.store)
	defer stop()
	return r.ends(jobs, r.begin(e, jobs, person))
}

func (r *rig) begin(e *Eraser, jobs *job.Jobs, person string) string {
	r.t.Helper()
	spec, err := e.Spec(context.Background(), "acme", person, false)
	r.ok(err)
	j, err := jobs.Create(context.Background(), "acme", Kind, spec, audit.By{Name: "test"})
	r.ok(err)
	return j.ID
}

func (r *rig) ends(jobs *job.Jobs, id string) view.Erasure {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		j, err := jobs.Get(context.Background(), "acme", id)
		r.ok(err)
		if j.State.Ended() {
			return View(j)
		}
	}
	j, err := jobs.Get(context.Background(), "acme", id)
	r.t.Fatalf("the erasure does not end: %+v, %v", j, err)
	return view.Erasure{}
}

// accept stores and decides an event of acme with one delivery in a state.
func (r *rig) accept(change func(*event.Header, *event.Data), st state.DeliveryState, said string) *event.Event {
	r.t.Helper()
	ctx, now := context.Background(), time.Now()
	r.n++
	h := event.Header{
		Tenant: "acme", Source: "app", SourceKind: "api", Type: event.TypeResponseCompleted, SurveyID: "s1", ResponseID: fmt.Sprint("r", r.n),
		Time: now, Received: now, DedupeKey: fmt.Sprint("k", r.n), Verified: "token",
	}
	d := event.Data{}
	change(&h, &d)
	ev, err := event.New(h, &d, event.Raw{Body: []byte(said)})
	r.ok(err)
	_, err = r.store.Append(ctx, []*event.Event{ev})
	r.ok(err)
	claimed, err := r.store.Claim(ctx, 1, 0)
	r.ok(err)
	delivery := state.Delivery{
		ID: state.JoinDeliveryID(ev.ID, "crmaaaaaaaaaa"), Tenant: "acme", EventID: ev.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
		Step: "crm", Destination: "crm", Connector: "webhook", State: st, Attempts: 1,
		Log: []state.Attempt{{N: 1, At: now, Verdict: "rejected", Status: 422, Request: []byte("sent " + said), Response: []byte("got " + said)}},
	}
	if st == state.Waiting {
		delivery.Due = now.Add(time.Hour)
	}
	_, err = r.store.Commit(ctx, &state.Commit{Events: []state.Outcome{{
		Position: claimed[0].Position, Tenant: "acme", EventID: ev.ID, At: now, Deliveries: []state.Delivery{delivery},
	}}})
	r.ok(err)
	return ev
}

const jo = "jo@example.com"

func of(email, phone, response string) func(*event.Header, *event.Data) {
	return func(h *event.Header, d *event.Data) {
		d.Respondent.Email, d.Respondent.Phone = email, phone
		if response != "" {
			h.ResponseID, d.Response.ID = response, response
		}
	}
}

// feed stores what a person left, and what others did. It returns the ids of the person's events.
func (r *rig) feed() (own []string, others []*event.Event) {
	r.t.Helper()
	add := func(ev *event.Event) { own = append(own, ev.ID) }
	add(r.accept(of(jo, "", "jo-1"), state.Delivered, "a "+jo))
	add(r.accept(of("JO@Example.com", "+905551112233", "jo-2"), state.Dead, "b "+jo))
	add(r.accept(of("", "", "jo-2"), state.Waiting, "of the same response"))
	add(r.accept(func(h *event.Header, d *event.Data) {
		h.Source, h.Type = event.NoticeSource, event.TypeDeliveryDead
		d.Notice.Reason = "answered 422: " + jo + " is not valid"
	}, state.Delivered, "a notice"))
	others = append(others, r.accept(of("ann@example.com", "", "ann"), state.Waiting, "nothing of theirs"))
	others = append(others, r.accept(of("bob@example.com", "", "bob"), state.Delivered, "a batch with "+jo))
	others = append(others, r.accept(func(h *event.Header, d *event.Data) { // a response of this id in another survey
		of("eve@example.com", "", "jo-2")(h, d)
		h.SurveyID, d.Survey.ID = "s2", "s2"
	}, state.Delivered, "x"))
	for list, items := range map[string][]string{
		"rejected/app":          {`{"body":"{\"email\":\"jo@example.com\"}"}`, `{"body":"{\"email\":\"ann@example.com\"}"}`},
		"rejected/app/unproved": {`{"body":"phone=0555%20111%2022%2033"}`},
		"captured/app":          {`{"body":"JO@EXAMPLE.COM"}`, `{"body":"nothing"}`},
		"idempotency/0a":        {`{"status":200,"body":{"attempts":[{"request":"to jo@example.com"}]}}`},
	} {
		for _, item := range items {
			r.ok(r.store.Keep(context.Background(), "acme", list, []byte(item), 10, time.Hour))
		}
	}
	return own, others
}

// checkErased checks that the person's events are erased, and those of others are not.
func (r *rig) checkErased(own []string, others []*event.Event) {
	r.t.Helper()
	ctx := context.Background()
	for _, id := range own {
		record, err := r.store.Event(ctx, "acme", id)
		r.ok(err)
		if !record.Event.IsErased() {
			r.t.Errorf("%s is not erased", id)
		}
	}
	for _, ev := range others {
		record, err := r.store.Event(ctx, "acme", ev.ID)
		r.ok(err)
		if !bytes.Equal(record.Event.Envelope(), ev.Envelope()) {
			r.t.Errorf("an event of another is %s", record.Event.Envelope())
		}
	}
	d, err := r.store.Delivery(ctx, "acme", state.JoinDeliveryID(others[1].ID, "crmaaaaaaaaaa"))
	r.ok(err)
	if d.State != state.Delivered || len(d.Log) != 1 || len(d.Log[0].Request) > 0 {
		r.t.Errorf("the batch is %+v", d)
	}
	for list, want := range map[string]int{"rejected/app": 1, "rejected/app/unproved": 0, "captured/app": 1} {
		items, err := r.store.Kept(ctx, "acme", list, 0, -1)
		r.ok(err)
		if len(items) != want {
			r.t.Errorf("%s has %d requests, want %d", list, len(items), want)
		}
	}
	// Neither the jobs nor the audit name the person.
	for _, kind := range []string{"job", "job-page"} {
		all, err := r.store.List(ctx, "acme", kind)
		r.ok(err)
		for _, s := range all {
			if n := newNames([]string{jo, "5551112233"}); n.in(string(s.Value)) {
				r.t.Errorf("%s: %s", kind, s.Value)
			}
		}
	}
	lines, err := r.store.Kept(ctx, "acme", "audit", 0, -1)
	r.ok(err)
	for _, line := range lines {
		if bytes.Contains(line, []byte(jo)) {
			r.t.Errorf("the audit says %s", line)
		}
	}
}

// What a person left is erased, and counted as a dry run counts it; what others left stays.
func TestErasure(t *testing.T) {
	onBoth(t, func(r *rig) {
		own, others := r.feed()
		would, err := r.eraser(r.store).Count(context.Background(), "acme", " Jo@example.com ", false)
		r.ok(err)
		want := view.ErasureReceipt{
			Events: 4, Responses: 2, Deliveries: 4, Dropped: 2, Attempts: 4, Mentioned: 1, Rejected: 2, Captured: 1, Answers: 1,
		}
		same(r.t, "a dry run", would, want)
		if record, err := r.store.Event(context.Background(), "acme", own[0]); err != nil || record.Event.IsErased() {
			t.Fatalf("the dry run erased: %v", err)
		}
		got := r.erase(jo)
		if got.State != "done" || got.Person == "" || strings.Contains(got.Person, "jo") || got.Receipt.Disk == "" {
			t.Fatalf("%+v", got)
		}
		receipt := got.Receipt
		receipt.Disk, receipt.OffDisk = "", view.Time{}
		same(r.t, "the receipt", receipt, want)
		r.checkErased(own, others)
		if n := r.ended.Load(); n != 1 {
			t.Errorf("%d deliveries that waited were counted", n)
		}
		again := r.erase(jo)
		if again.State != "done" || again.Person != got.Person || again.Receipt.Events != 0 || len(again.Receipt.NotFound) != 3 {
			t.Errorf("once more: %+v", again)
		}
		r.checkErased(own, others)
	})
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("%s: %s\nwant %s", what, a, b)
	}
}

// dying is a store whose process dies at a write.
type dying struct {
	state.Store
	left  *atomic.Int64
	after bool
	die   func()
}

func (d *dying) write(do func() error) error {
	left := d.left.Add(-1)
	if left < 0 || left == 0 && !d.after {
		d.die()
		return context.Canceled
	}
	err := do()
	if left == 0 {
		d.die()
		return context.Canceled
	}
	return err
}

func (d *dying) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (v uint64, err error) {
	err = d.write(func() error { v, err = d.Store.Put(ctx, tenant, kind, name, value, version); return err })
	return v, err
}

func (d *dying) Erase(ctx context.Context, tenant string, ids []string) (res []state.Erased, err error) {
	err = d.write(func() error { res, err = d.Store.Erase(ctx, tenant, ids); return err })
	return res, err
}

func (d *dying) EraseAttempts(ctx context.Context, tenant string, ids []string) (n int, err error) {
	err = d.write(func() error { n, err = d.Store.EraseAttempts(ctx, tenant, ids); return err })
	return n, err
}

func (d *dying) Weed(ctx context.Context, tenant, list string, drop func([]byte) bool) (n int, err error) {
	err = d.write(func() error { n, err = d.Store.Weed(ctx, tenant, list, drop); return err })
	return n, err
}

func (d *dying) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	return d.write(func() error { return d.Store.Keep(ctx, tenant, list, item, most, ttl) })
}

// An erasure whose process dies before or after any of its writes goes on in the next one.
func TestErasureGoesOnAfterEachCrash(t *testing.T) {
	onBoth(t, func(r *rig) {
		points := 0
		for at := int64(1); ; at++ {
			died := false
			for _, after := range []bool{false, true} {
				own, others := r.feed()
				e, jobs, stop := r.jobs(context.Background(), r.store)
				stop()
				id := r.begin(e, jobs, jo)
				ctx, die := context.WithCancel(context.Background())
				d := &dying{Store: r.store, left: &atomic.Int64{}, after: after, die: die}
				d.left.Store(at)
				_, dead, stop := r.jobs(ctx, d)
				for ctx.Err() == nil {
					if j, err := dead.Get(context.Background(), "acme", id); err != nil || j.State.Ended() {
						break
					}
					time.Sleep(time.Millisecond)
				}
				died = died || ctx.Err() != nil
				die()
				stop()
				_, jobs, stop = r.jobs(context.Background(), r.store)
				if got := r.ends(jobs, id); got.State != "done" || got.Receipt.Events != 4 {
					t.Errorf("write %d, after %v: %+v", at, after, got)
				}
				stop()
				r.checkErased(own, others)
				for _, list := range lists {
					_, err := r.store.Weed(context.Background(), "acme", list, func([]byte) bool { return true })
					r.ok(err)
				}
			}
			if !died {
				break
			}
			points++
		}
		if points < 8 {
			t.Errorf("only %d writes", points)
		}
	})
}

// An event that is still being decided, or delivered, is waited for.
func TestErasureWaitsForWhatIsBusy(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx, now := context.Background(), time.Now()
		ev, err := event.New(event.Header{
			Tenant: "acme", Source: "app", Type: event.TypeResponseCompleted, ResponseID: "r", Time: now, Received: now, DedupeKey: "k", Verified: "token",
		}, &event.Data{Respondent: event.Respondent{Email: jo}}, event.Raw{Body: []byte("x")})
		r.ok(err)
		_, err = r.store.Append(ctx, []*event.Event{ev})
		r.ok(err)
		claimed, err := r.store.Claim(ctx, 1, 0)
		r.ok(err)
		e, jobs, stop := r.jobs(ctx, r.store)
		defer stop()
		id := r.begin(e, jobs, jo)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			j, err := jobs.Get(ctx, "acme", id)
			r.ok(err)
			if strings.Contains(j.Waits, state.BusyPending) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not wait: %+v", j)
			}
		}
		_, err = r.store.Commit(ctx, &state.Commit{Events: []state.Outcome{{Position: claimed[0].Position, Tenant: "acme", EventID: ev.ID, At: now}}})
		r.ok(err)
		if got := r.ends(jobs, id); got.State != "done" || got.Receipt.Events != 1 || got.Waits != "" {
			t.Errorf("%+v", got)
		}
		record, err := r.store.Event(ctx, "acme", ev.ID)
		r.ok(err)
		if !record.Event.IsErased() {
			t.Error("it is not erased")
		}
	})
}

// Without a key of the vault the person cannot be sealed, and nothing begins.
func TestErasureNeedsAKey(t *testing.T) {
	onBoth(t, func(r *rig) {
		e := r.eraser(r.store)
		e.Vault = vault.New(vault.Options{Store: r.store})
		if _, err := e.Spec(context.Background(), "acme", jo, false); !errors.Is(err, ErrNoKey) {
			t.Errorf("%v", err)
		}
	})
}

// A digest that waits for its period is passed on to another delivery that it tells of.
func TestErasurePassesDigestsOn(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := context.Background()
		deliveryOf := func(ev *event.Event) state.Delivery {
			return state.Delivery{
				ID: state.JoinDeliveryID(ev.ID, "crmaaaaaaaaaa"), Tenant: "acme", EventID: ev.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
				Step: "crm", Destination: "crm", Connector: "webhook",
			}
		}
		digest := r.accept(of(jo, "", ""), state.Waiting, jo)
		own := r.accept(of(jo, "", ""), state.Skipped, jo)
		other := r.accept(of("ann@example.com", "", ""), state.Skipped, "ann")
		period := decide.Period{From: time.Now().Truncate(time.Hour), Per: time.Hour}
		waits := deliveryOf(digest)
		waits.State, waits.Reason, waits.Due = state.Waiting, decide.DigestWaits, time.Now().Add(30*time.Minute).Truncate(time.Millisecond)
		_, err := r.store.Schedule(ctx, "acme", []state.Delivery{waits})
		r.ok(err)
		owed := decide.Owed{Delivery: waits}
		keys := []state.OnceKey{{Key: owed.DigestOfKey(), Owner: period.String()}}
		for i, ev := range []*event.Event{digest, own, other} {
			keys = append(keys, state.OnceKey{Key: owed.MemberKeys(period)[i], Owner: deliveryOf(ev).ID})
		}
		_, err = r.store.Once(ctx, "acme", keys, time.Hour)
		r.ok(err)

		if e := r.erase(jo); e.State != "done" {
			t.Fatalf("%+v", e)
		}
		d, err := r.store.Delivery(ctx, "acme", deliveryOf(other).ID)
		r.ok(err)
		if d.State != state.Waiting || d.Reason != decide.DigestWaits || !d.Due.Equal(waits.Due) {
			t.Errorf("%s, due %s: %s", d.State, d.Due, d.Reason)
		}
		if d, err = r.store.Delivery(ctx, "acme", deliveryOf(own).ID); err != nil || d.State != state.Skipped {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// While a product does not answer, an erasure says what it waits for, and goes on however often it is begun.
func TestErasureAwaitsProducts(t *testing.T) {
	t.Parallel()
	r := &rig{t: t}
	var err error
	r.store, err = embedded.Open(embedded.Options{Dir: t.TempDir()})
	r.ok(err)
	t.Cleanup(func() { _ = r.store.Close() })
	r.plan = decide.New(&config.Config{Destinations: []*config.Destination{{
		Item: config.Item{Tenant: "acme", Name: "crm"}, Product: "hubspot", Enabled: true, Alone: forgetting{},
	}}})
	var id string
	for range 12 {
		e, jobs, stop := r.jobs(context.Background(), r.store)
		if id == "" {
			spec, err := e.Spec(context.Background(), "acme", jo, true)
			r.ok(err)
			j, err := jobs.Create(context.Background(), "acme", Kind, spec, audit.By{Name: "test"})
			r.ok(err)
			id = j.ID
		}
		waits := ""
		for deadline := time.Now().Add(10 * time.Second); waits == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			j, err := jobs.Get(context.Background(), "acme", id)
			r.ok(err)
			if j.State.Ended() {
				stop()
				t.Fatalf("it ended: %s", j.Fault)
			}
			waits = j.Waits
		}
		stop()
		if waits != "crm is being asked to erase the person" {
			t.Fatalf("it waits: %q", waits)
		}
	}
}

// forgetting is a product that can erase a person.
type forgetting struct{ connectors.Connector }

func (forgetting) CanForget() error { return nil }

func (forgetting) Forget(*event.Event) (*connectors.Request, error) {
	return nil, connectors.Skip("not here")
}

// A product's answer that names the person is not quoted in the receipt.
func TestAnswerThatNamesThePerson(t *testing.T) {
	t.Parallel()
	f := &finder{s: &search{Names: []string{jo}}}
	for reason, want := range map[string]string{
		"404: no such contact":             "refused: 404: no such contact",
		"404: no contact Jo@Example.com":   "refused: its answer, which names the person, is erased",
		"404: no contact jo%40example.com": "refused: its answer, which names the person, is erased",
	} {
		if got := f.ended(&state.Delivery{State: state.Dead, Log: []state.Attempt{{Reason: reason}}}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

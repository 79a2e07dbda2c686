package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// applied is what a worker has applied, as a plan would have it.
type applied struct {
	mu      sync.Mutex
	specs   map[string]map[string]string // by tenant and document
	times   map[string]int               // applications by tenant
	now     map[string]bool
	atOnce  int
	gate    chan struct{} // nil: nothing waits
	failing map[string]error
	tell    chan string // receives the tenant of each application
	t       testing.TB
}

func newApplied(t testing.TB) *applied {
	return &applied{
		t: t, specs: map[string]map[string]string{}, times: map[string]int{}, now: map[string]bool{}, failing: map[string]error{},
		tell: make(chan string, 100_000),
	}
}

func (a *applied) apply(ctx context.Context, tenant string, documents []config.Document) error {
	a.mu.Lock()
	if a.now[tenant] {
		a.t.Errorf("%s is applied twice at once", tenant)
	}
	a.now[tenant] = true
	a.atOnce = max(a.atOnce, len(a.now))
	a.times[tenant]++
	gate, err := a.gate, a.failing[tenant]
	a.mu.Unlock()
	a.tell <- tenant
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.now, tenant)
	if err != nil {
		return err
	}
	a.specs[tenant] = specsOf(documents)
	return nil
}

func specsOf(documents []config.Document) map[string]string {
	all := map[string]string{}
	for _, d := range documents {
		all[d.Name] = string(d.Spec)
	}
	return all
}

func (a *applied) has(tenant string, want map[string]string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Equal(a.specs[tenant], want)
}

// work starts a worker on a store, and stops it when the test ends.
func work(t testing.TB, store state.Settings, clock clock.Clock, a *applied) *Worker {
	t.Helper()
	w := New(Options{Store: store, Vault: newVault(t, store, one), Clock: clock, Log: slog.New(slog.DiscardHandler), Apply: a.apply})
	all, err := w.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for tenant, documents := range all {
		a.specs[tenant] = specsOf(documents)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !true() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-end:
			t.Fatalf("not reached: %s", what)
		}
	}
}

func put(t testing.TB, w *Writer, tenant, name, spec string, version uint64) uint64 {
	t.Helper()
	v, err := w.Put(t.Context(), tenant, hook(name, spec), version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What is there at the start, each change, and each deletion is applied; other kinds of settings are not documents.
func TestWorkerApplies(t *testing.T) {
	t.Parallel()
	store := local(t)
	w := newWriter(t, store)
	v1 := put(t, w, "acme", "a", `{"n":1}`, 0)
	a := newApplied(t)
	worker := work(t, store, clock.System(), a)
	if !a.has("acme", map[string]string{"webhook/a": `{"n":1}`}) {
		t.Fatalf("at the start: %v", a.specs)
	}
	if _, err := store.Put(t.Context(), "zeta", "token", "a", nil, 0); err != nil {
		t.Fatal(err)
	}
	v2 := put(t, w, "acme", "a", `{"n":2}`, v1)
	put(t, w, "acme", "b", `{}`, 0)
	put(t, w, "zeta", "a", `{}`, 0)
	until(t, "changes are applied", func() bool {
		return a.has("acme", map[string]string{"webhook/a": `{"n":2}`, "webhook/b": `{}`}) && a.has("zeta", map[string]string{"webhook/a": `{}`})
	})
	if err := w.Delete(t.Context(), "acme", "webhook/a", v2); err != nil {
		t.Fatal(err)
	}
	until(t, "a deletion is applied", func() bool { return a.has("acme", map[string]string{"webhook/b": `{}`}) })
	until(t, "nothing is left", func() bool { return worker.Standing() == Standing{} })
	// A sweep finds nothing but the deletion, which no document tells of; the next one finds nothing.
	a.mu.Lock()
	times := maps.Clone(a.times)
	a.mu.Unlock()
	for range 2 {
		if err := worker.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, "the sweep has ended", func() bool { return worker.Standing() == Standing{} })
	}
	if a.mu.Lock(); !maps.Equal(times, a.times) {
		t.Errorf("a sweep applied what was applied: %v, before it %v", a.times, times)
	}
	a.mu.Unlock()
}

// rewound is a store that shows the index of last changes as it was, once asked to.
type rewound struct {
	state.Settings
	back atomic.Bool
}

func (r *rewound) LastChanges(ctx context.Context, kind string) ([]state.LastChange, error) {
	last, err := r.Settings.LastChanges(ctx, kind)
	if r.back.Load() {
		for i := range last {
			last[i].Version--
		}
	}
	return last, err
}

// If the store goes back to an older state, the log names the tenants whose documents are older, and the documents are read again.
func TestStoreGoesBack(t *testing.T) {
	t.Parallel()
	store := &rewound{Settings: local(t)}
	put(t, newWriter(t, store), "acme", "a", `{"n":1}`, 0)
	var said bytes.Buffer
	w := New(Options{Store: store, Vault: newVault(t, store, one), Clock: clock.System(), Log: slog.New(slog.NewTextHandler(&said, nil)), Apply: newApplied(t).apply})
	if _, err := w.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if was, is := strings.Contains(said.String(), "tenant=acme"), store.back.Load(); was != is || (w.Standing().Unapplied == 1) != is {
			t.Errorf("back %v: it said %q, and stands %+v", is, said.String(), w.Standing())
		}
		store.back.Store(true)
	}
}

// Many changes of many tenants are one application each, at most maxApplying at once, and none of one tenant twice at once.
func TestWorkerGathers(t *testing.T) {
	t.Parallel()
	store := local(t)
	a := newApplied(t)
	time := clock.NewManual(clock.System().Now())
	a.gate = make(chan struct{})
	worker := work(t, store, time, a)
	const tenants, each = 20, 10
	var writing sync.WaitGroup
	for i := range tenants {
		writing.Go(func() {
			for j := range each {
				if _, err := store.Put(t.Context(), fmt.Sprint("t", i), state.KindDocument, fmt.Sprint("webhook/", j), []byte(`{"v":1,"doc":{}}`), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	until(t, "all changes are noticed", func() bool { return worker.Standing().Unapplied == tenants })
	time.Advance(gatherFor)
	for range maxApplying {
		<-a.tell
	}
	close(a.gate)
	until(t, "all is applied", func() bool {
		time.Advance(gatherFor) // for what was noticed while its tenant was applied
		return worker.Standing() == Standing{}
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range tenants {
		name := fmt.Sprint("t", i)
		if len(a.specs[name]) != each || a.times[name] > 2 {
			t.Errorf("%s: %d documents, applied %d times", name, len(a.specs[name]), a.times[name])
		}
	}
	if a.atOnce != maxApplying {
		t.Errorf("%d at once", a.atOnce)
	}
}

// A tenant that changes all the time does not keep others waiting: each application of it lets all others go first.
func TestWorkerIsFair(t *testing.T) {
	t.Parallel()
	var d dirty
	now := time.Now()
	for i := range 100 {
		d.add(fmt.Sprint("t", i), gatherFor, now)
	}
	d.add("busy", 0, now)
	order := map[string]int{}
	for i := range 300 {
		first := d.take()
		order[first.name]++
		if first.name == "busy" {
			d.add("busy", time.Duration(i)*time.Millisecond+gatherFor+1, now)
		}
		if len(d.order) == 1 {
			break
		}
	}
	if len(order) != 101 || order["busy"] > 2 {
		t.Errorf("%d tenants, busy %d times", len(order), order["busy"])
	}
	// A tenant is there once, by its earliest time.
	d = dirty{}
	d.add("a", 2*time.Second, now)
	d.add("b", time.Second, now.Add(time.Second))
	d.add("a", time.Millisecond, now.Add(time.Hour))
	d.add("b", time.Hour, now)
	if a, b := *d.take(), *d.take(); a.name != "a" || !a.since.Equal(now) || b.due != time.Second || !b.since.Equal(now) || d.first() != nil {
		t.Errorf("%+v, %+v", a, b)
	}
}

// faulty is a store whose lists of one tenant fail.
type faulty struct {
	state.Settings
	mu     sync.Mutex
	tenant string
	lists  int
}

func (f *faulty) List(ctx context.Context, tenant, kind string) ([]state.Setting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tenant == f.tenant {
		f.lists++
		return nil, state.ErrUnavailable
	}
	return f.Settings.List(ctx, tenant, kind)
}

// A tenant that cannot be read or applied keeps what it has and is tried again, later each time; no other tenant notices.
func TestWorkerTriesAgain(t *testing.T) {
	t.Parallel()
	store := &faulty{Settings: local(t)}
	w := newWriter(t, store.Settings)
	v := put(t, w, "acme", "a", `{"n":1}`, 0)
	a := newApplied(t)
	manual := clock.NewManual(clock.System().Now())
	worker := work(t, store, manual, a)
	store.mu.Lock()
	store.tenant = "acme"
	store.mu.Unlock()
	put(t, w, "acme", "a", `{"n":2}`, v)
	lists := func() int {
		store.mu.Lock()
		defer store.mu.Unlock()
		return store.lists
	}
	until(t, "the change is noticed", func() bool { return worker.Standing().Unapplied == 1 })
	manual.Advance(gatherFor)
	for n, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		until(t, "it failed", func() bool { return lists() == n+1 && worker.Standing().Failing == 1 && idle(worker) })
		manual.Advance(wait - time.Millisecond)
		put(t, w, "zeta", fmt.Sprint("z", n), `{}`, 0)
		until(t, "another tenant is noticed", func() bool { return worker.Standing().Unapplied == 2 })
		if lists() != n+1 {
			t.Fatalf("tried again before %v", wait)
		}
		manual.Advance(gatherFor)
		until(t, "another tenant is applied", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.specs["zeta"]) == n+1
		})
	}
	if !a.has("acme", map[string]string{"webhook/a": `{"n":1}`}) {
		t.Error("what it had is not in use any more")
	}
	store.mu.Lock()
	store.tenant = ""
	store.mu.Unlock()
	a.mu.Lock()
	a.failing["acme"] = errors.New("the generation cannot be kept")
	a.mu.Unlock()
	manual.Advance(lastRetry)
	until(t, "it cannot be applied", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.times["acme"] > 0
	})
	a.mu.Lock()
	delete(a.failing, "acme")
	a.mu.Unlock()
	until(t, "it is applied", func() bool {
		manual.Advance(lastRetry)
		return a.has("acme", map[string]string{"webhook/a": `{"n":2}`})
	})
	until(t, "nothing is left", func() bool { return worker.Standing() == Standing{} })
}

// idle reports whether nothing is being applied.
func idle(w *Worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applying == 0
}

// deaf is a store whose watch tells of nothing.
type deaf struct{ state.Settings }

func (deaf) Watch(ctx context.Context, _ string) (<-chan state.Change, error) {
	c := make(chan state.Change)
	return c, nil
}

// A change whose message is lost is found by the sweep, a deletion too.
func TestWorkerSweeps(t *testing.T) {
	t.Parallel()
	store := local(t)
	w := newWriter(t, store)
	v := put(t, w, "acme", "a", `{}`, 0)
	a := newApplied(t)
	manual := clock.NewManual(clock.System().Now())
	worker := work(t, deaf{store}, manual, a)
	put(t, w, "zeta", "a", `{}`, 0)
	if err := w.Delete(t.Context(), "acme", "webhook/a", v); err != nil {
		t.Fatal(err)
	}
	until(t, "all is swept", func() bool {
		manual.Advance(sweepEvery)
		return a.has("acme", nil) && a.has("zeta", map[string]string{"webhook/a": `{}`})
	})
	until(t, "nothing is left", func() bool { return worker.Standing() == Standing{} })
}

// emptied is a store that calls asked once when it is asked for its identity.
type emptied struct {
	state.Store
	asked func()
}

func (e *emptied) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	if kind == kindStore && e.asked != nil {
		ask := e.asked
		e.asked = nil
		ask()
	}
	return e.Store.Get(ctx, tenant, kind, name)
}

// A store that lost its documents may be written back, and get a new identity, between the two questions of an application: what
// the application read before that must not look like a deletion.
func TestRestoreDuringApply(t *testing.T) {
	t.Parallel()
	store := &emptied{Store: local(t)}
	w := newWriter(t, store)
	put(t, w, "acme", "a", `{"n":1}`, 0)
	put(t, w, "acme", "b", `{"n":1}`, 0)
	a := newApplied(t)
	worker := New(Options{
		Store: store, Vault: newVault(t, store, one), Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Apply: a.apply,
	})
	if _, err := worker.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	lose := func(tenant, kind, name string) {
		kept, err := store.Store.Get(t.Context(), tenant, kind, name)
		if err == nil {
			err = store.Delete(t.Context(), tenant, kind, name, kept.Version)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lose("acme", state.KindDocument, "webhook/a")
	lose(systemTenant, kindStore, nameIdentity)
	store.asked = func() {
		// This ends when the application does, so that here it reaches its deadline.
		within, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _ = worker.Restore(within)
	}
	if _, err := worker.apply(t.Context(), "acme", worker.tenants["acme"]); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"webhook/a": `{"n":1}`, "webhook/b": `{"n":1}`}; !a.has("acme", want) {
		t.Errorf("in use: %v", a.specs["acme"])
	}
}

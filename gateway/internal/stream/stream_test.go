package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// rig is readers with a store, and a Redis with the streams.
type rig struct {
	t       *testing.T
	server  *redistest.Server
	store   state.Store
	stats   *stats.Stats
	fail    func(events []*event.Event) error // called before each append
	mu      sync.Mutex
	readers *Readers
}

// Append appends to the store, unless the test makes it fail.
func (r *rig) Append(ctx context.Context, events []*event.Event) ([]state.Appended, error) {
	r.mu.Lock()
	fail := r.fail
	r.mu.Unlock()
	if fail != nil {
		if err := fail(events); err != nil {
			return nil, err
		}
	}
	return r.store.Append(ctx, events)
}

func (r *rig) failing(with func([]*event.Event) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = with
}

func newRig(t *testing.T, args ...string) *rig {
	t.Helper()
	r := &rig{t: t, server: redistest.Start(t, args...)}
	store, err := embedded.Open(embedded.Options{Dir: filepath.Join(t.TempDir(), "store"), Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	r.stats = stats.New(stats.Options{Store: store, Clock: clock.System(), Generation: func() string { return "g" }})
	r.readers = r.replica()
	t.Cleanup(func() {
		r.readers.Stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// replica makes readers as of another process.
func (r *rig) replica() *Readers {
	readers := New(Options{
		Store: r, Stats: r.stats, Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Redis: r.server.URL(), Stale: 300 * time.Millisecond,
	})
	r.t.Cleanup(readers.Stop)
	return readers
}

// use reads these sources; REDIS stands for the server.
func (r *rig) use(sources string) {
	r.t.Helper()
	if err := r.readers.Use(r.config(sources)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) config(sources string) *config.Config {
	r.t.Helper()
	return load(r.t, "redis: "+r.server.URL()+"\n"+strings.ReplaceAll(sources, "REDIS", r.server.URL()))
}

func (r *rig) add(stream string, fields ...any) string {
	r.t.Helper()
	return fmt.Sprint(r.server.Do(append([]any{"XADD", stream, "*"}, fields...)...))
}

// kept returns a tenant's events as `source type origid`, in order.
func (r *rig) kept(tenant string) []string {
	r.t.Helper()
	all := []string{}
	err := r.store.Range(r.t.Context(), tenant, 0, func(rec *state.Record) error {
		all = append(all, rec.Event.Source+" "+rec.Event.Type+" "+rec.Event.OrigID)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (r *rig) pending(stream, group string) string {
	r.t.Helper()
	return fmt.Sprint(r.server.Do("XPENDING", stream, group))
}

const nothingPending = "[0 <nil> <nil> <nil>]"

func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	until(r.t, what, is)
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-time.After(5 * time.Millisecond): // between looks at other processes
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (r *rig) untilKept(tenant string, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	var got []string
	end := time.Now().Add(2 * time.Minute)
	for time.Now().Before(end) {
		if got = r.kept(tenant); len(got) >= len(want) {
			break
		}
		time.Sleep(5 * time.Millisecond) // between looks at another process
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Fatalf("kept (-want +got):\n%s", diff)
	}
}

func ours(id string) string {
	return fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":3}`, id)
}

// Good entries become events and bad ones dead letters; neither blocks the other, and all are acknowledged.
func TestGoodAndBadEntries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("survey-events", "event", ours("e1"))
	bad := r.add("survey-events", "event", `{"type":`)
	shape := r.add("survey-events", "evnt", ours("e9"))
	large := r.add("survey-events", "event", strings.Repeat("x", MaxEntry+1))
	body := r.add("survey-events", "body", pollqrBody)
	r.add("survey-events", "event", ours("e2"))
	r.use("sources:\n  app: {redis_stream: survey-events}\n  poll: {redis_stream: survey-events, profile: pollqr}\n")
	// Each source has a group of its own, so both read all of it.
	want := []string{}
	for _, source := range []string{"app", "poll"} {
		for _, id := range []string{"e1", "e2"} {
			want = append(want, source+" response.completed "+id)
		}
		for _, entry := range []string{bad, shape, large} {
			want = append(want, source+" gateway.entry "+entry)
		}
	}
	want = append(want, "app gateway.entry "+body, "poll response.completed ")
	r.untilKept("default", want...)
	for _, source := range []string{"app", "poll"} {
		r.until("all are acknowledged", func() bool {
			return r.pending("survey-events", "surveygate:default:"+source) == nothingPending
		})
	}
	scrape := httptest.NewRecorder()
	text, err := r.stats.Scrape(true)
	if err != nil {
		t.Fatal(err)
	}
	scrape.Body.Write(text)
	for _, line := range []string{
		`surveygate_events_total{outcome="accepted",source="app"} 2`, `surveygate_events_total{outcome="invalid",source="app"} 4`,
		`surveygate_events_total{outcome="accepted",source="poll"} 3`, `surveygate_events_total{outcome="invalid",source="poll"} 3`,
	} {
		if !strings.Contains(scrape.Body.String(), line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

// While the store is unavailable, nothing is acknowledged and Problems says why; afterwards reading continues.
func TestPausesWhileNothingCanBeKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.failing(func([]*event.Event) error { return fmt.Errorf("%w: disk full", state.ErrUnavailable) })
	r.add("survey-events", "event", ours("e1"))
	r.add("survey-events", "event", "{")
	r.use("sources:\n  app: {redis_stream: survey-events}\n")
	r.until("it says so", func() bool {
		all := r.readers.Problems()
		return len(all) == 1 && strings.Contains(all[0].Text, "the source app cannot take events from its stream: accept entries: store unavailable: disk full")
	})
	if got := r.pending("survey-events", "surveygate:default:app"); !strings.HasPrefix(got, "[2 ") {
		t.Errorf("pending %s", got)
	}
	if got := r.kept("default"); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	r.failing(nil)
	r.until("it goes on", func() bool {
		return len(r.kept("default")) == 2 && len(r.readers.Problems()) == 0 && r.pending("survey-events", "surveygate:default:app") == nothingPending
	})
}

// A reader that stops while the store is unavailable leaves its entries to the next one.
func TestStopWhileNothingCanBeKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	refused := make(chan struct{}, 1)
	r.failing(func([]*event.Event) error {
		select {
		case refused <- struct{}{}:
		default:
		}
		return state.ErrUnavailable
	})
	r.add("survey-events", "event", ours("e1"))
	r.use("sources:\n  app: {redis_stream: survey-events}\n")
	<-refused
	r.readers.Stop()
	r.failing(nil)
	r.readers = r.replica()
	r.use("sources:\n  app: {redis_stream: survey-events}\n")
	r.untilKept("default", "app response.completed e1")
}

// Entries that were appended and not acknowledged are read again after a crash, and make no second event or dead letter.
func TestRedeliveryIsSwallowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	group := "surveygate:default:app"
	r.use("sources:\n  app: {redis_stream: survey-events}\n")
	r.add("survey-events", "event", ours("e1"))
	bad := r.add("survey-events", "event", "{")
	want := []string{"app response.completed e1", "app gateway.entry " + bad}
	r.untilKept("default", want...)
	r.until("acknowledged", func() bool { return r.pending("survey-events", group) == nothingPending })
	// The group is lost, so that all entries are read again.
	r.server.Do("XGROUP", "DESTROY", "survey-events", group)
	r.until("the group is there again", func() bool {
		groups := fmt.Sprint(r.server.Do("XINFO", "GROUPS", "survey-events"))
		return strings.Contains(groups, group)
	})
	r.add("survey-events", "event", ours("e2"))
	r.untilKept("default", append(want, "app response.completed e2")...)
}

// A reload starts and ends readers and changes sources, and no entry is lost or read twice.
func TestReloadLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	configs := []*config.Config{
		r.config("sources:\n  app: {redis_stream: survey-events}\n"),
		r.config("sources:\n  app: {redis_stream: survey-events, redis: \"REDIS\", profile: pollqr}\n"), // another reader, the same group
		r.config("sources:\n  app: {redis_stream: survey-events, enabled: false}\n"),
		r.config("sources: {}\n"),
	}
	const entries = 400
	var want []string
	var load sync.WaitGroup
	load.Go(func() {
		for i := range entries {
			r.server.Do("XADD", "survey-events", "*", "event", ours(fmt.Sprintf("e%03d", i)))
		}
	})
	for i := range entries {
		want = append(want, fmt.Sprintf("app response.completed e%03d", i))
	}
	for i := range 12 {
		if err := r.readers.Use(configs[i%len(configs)]); err != nil {
			t.Fatal(err)
		}
	}
	load.Wait()
	if err := r.readers.Use(configs[0]); err != nil {
		t.Fatal(err)
	}
	r.untilKept("default", want...)
}

// A corrected source applies to the next entry, with the same reader.
func TestReloadChangesTheSource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.use("sources:\n  app: {redis_stream: survey-events}\n")
	bad := r.add("survey-events", "body", pollqrBody)
	r.untilKept("default", "app gateway.entry "+bad)
	r.until("acknowledged", func() bool { return r.pending("survey-events", "surveygate:default:app") == nothingPending })
	before := fmt.Sprint(r.server.Do("XINFO", "CONSUMERS", "survey-events", "surveygate:default:app"))
	c := r.config("sources:\n  app: {redis_stream: survey-events, profile: pollqr}\n")
	if err := r.readers.Use(c); err != nil {
		t.Fatal(err)
	}
	r.add("survey-events", "body", pollqrBody)
	r.untilKept("default", "app gateway.entry "+bad, "app response.completed ")
	name := func(consumers string) string { return strings.Fields(consumers)[1] }
	after := fmt.Sprint(r.server.Do("XINFO", "CONSUMERS", "survey-events", "surveygate:default:app"))
	if name(before) != name(after) {
		t.Errorf("another reader: %s, then %s", before, after)
	}
	// And the dead letter is read through it.
	page, err := r.store.Events(t.Context(), "default", state.EventQuery{Type: event.TypeEntry})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%d letters, %v", len(page.Items), err)
	}
	record, err := r.store.Event(t.Context(), "default", page.Items[0].Event.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Reread(c.Sources[0], record.Event, noon)
	if err != nil || len(again) != 1 || again[0].Type != event.TypeResponseCompleted {
		t.Errorf("read again: %v, %v", again, err)
	}
}

// Replicas share a source's group: each entry goes to one of them, and those of a dead one to another.
func TestReplicasShare(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sources := "sources:\n  app: {redis_stream: survey-events}\n"
	r.server.Do("XGROUP", "CREATE", "survey-events", "surveygate:default:app", "0", "MKSTREAM")
	r.add("survey-events", "event", ours("held"))
	r.server.Do("XREADGROUP", "GROUP", "surveygate:default:app", "dead", "STREAMS", "survey-events", ">")
	r.use(sources)
	if err := r.replica().Use(r.config(sources)); err != nil {
		t.Fatal(err)
	}
	want := []string{"app response.completed held"}
	for i := range 200 {
		id := fmt.Sprintf("e%03d", i)
		r.add("survey-events", "event", ours(id))
		want = append(want, "app response.completed "+id)
	}
	r.untilKept("default", want...)
	r.until("acknowledged", func() bool { return r.pending("survey-events", "surveygate:default:app") == nothingPending })
}

// Problems reports a Redis that is down. The readers continue when it is up again.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Durable...)
	r.use("tenant: acme\nsources:\n  app: {redis_stream: survey-events}\n")
	r.add("survey-events", "event", ours("e1"))
	r.untilKept("acme", "app response.completed e1")
	r.server.Kill()
	r.until("it says so", func() bool {
		all := r.readers.Problems()
		return len(all) == 1 && all[0].Hidden != "" && strings.HasPrefix(all[0].Text, "the source acme/app cannot take events from its stream: read: ")
	})
	r.server.Again()
	r.add("survey-events", "event", ours("e2"))
	r.untilKept("acme", "app response.completed e1", "app response.completed e2")
	r.until("all is well", func() bool { return len(r.readers.Problems()) == 0 })
	if got := r.kept("default"); len(got) != 0 {
		t.Errorf("another tenant has %v", got)
	}
}

// A source that names no Redis cannot be read if the gateway runs without one.
func TestNoRedisAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	readers := New(Options{Store: r, Stats: r.stats, Clock: clock.System(), Log: slog.New(slog.DiscardHandler)})
	if err := readers.Use(r.config("sources:\n  app: {redis_stream: survey-events}\n")); err == nil || !strings.Contains(err.Error(), "source app") {
		t.Errorf("used: %v", err)
	}
	readers.Stop()
	if err := readers.Use(r.config("sources:\n  app: {redis_stream: survey-events}\n")); err != nil {
		t.Errorf("after the stop: %v", errors.Unwrap(err))
	}
}

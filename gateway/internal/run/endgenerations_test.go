package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

const day = 24 * time.Hour

// library is a store with configurations, and the clock of its replicas.
type library struct {
	t     *testing.T
	store state.Store
	clock *clock.Manual
}

// libraries runs a test on each engine.
func libraries(t *testing.T, test func(l *library)) {
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			l := &library{t: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
			var err error
			if engine == config.EngineRedis {
				l.store, err = redis.Open(redis.Options{URL: redistest.Start(t).URL(), Prefix: "surveygate", Holder: "me", Clock: l.clock, Logger: slog.New(slog.DiscardHandler)})
			} else {
				l.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: l.clock})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := l.store.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(l)
		})
	}
}

// replica is a process that runs a base, and overlays by tenant.
func (l *library) replica(base string, overlays map[string]string) *gateway {
	l.t.Helper()
	g := &gateway{store: l.store, clock: l.clock, log: slog.New(slog.DiscardHandler), stored: newStoredGenerations(l.store, l.clock)}
	c := &config.Config{Generation: base, Kept: []byte("text of " + base)}
	var compiled []*config.TenantConfig
	for tenant, generation := range overlays {
		compiled = append(compiled, &config.TenantConfig{
			Tenant: tenant, Generation: generation, Kept: []byte("text of " + generation), Documents: make([]config.CompiledDocument, 1),
		})
	}
	g.plan.plan.Store(decide.New(c, compiled...))
	if err := g.refreshGenerations(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return g
}

// receive accepts an event of a tenant.
func (l *library) receive(tenant, key string) {
	l.t.Helper()
	now := l.clock.Now()
	e, err := event.New(event.Header{
		ID: event.ID(tenant, "app", key), Tenant: tenant, Source: "app", SourceKind: "api", Type: "response.completed", SurveyID: "s",
		ResponseID: key, Time: now, Received: now, DedupeKey: key, Verified: "token",
	}, &event.Data{}, event.Raw{ContentType: "application/json", Body: []byte("{}")})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.store.Append(l.t.Context(), []*event.Event{e}); err != nil {
		l.t.Fatal(err)
	}
}

// decideAll commits what waits for its decision, so that retention may remove it.
func (l *library) decideAll() {
	l.t.Helper()
	for l.store.Health(l.t.Context()).Pending > 0 {
		claimed, err := l.store.Claim(l.t.Context(), 100, 1<<20)
		if err != nil {
			l.t.Fatal(err)
		}
		c := &state.Commit{}
		for _, e := range claimed {
			c.Events = append(c.Events, state.Outcome{Position: e.Position, Tenant: e.Event.Tenant, EventID: e.Event.ID, At: l.clock.Now()})
		}
		if _, err := l.store.Commit(l.t.Context(), c); err != nil {
			l.t.Fatal(err)
		}
	}
}

// trim removes the events that are older.
func (l *library) trim(older time.Duration) {
	l.t.Helper()
	l.decideAll()
	for {
		done, err := l.store.Trim(l.t.Context(), state.Retention{Events: state.Bound{Age: older}})
		if err != nil {
			l.t.Fatal(err)
		}
		if done.Nothing() {
			return
		}
	}
}

// has checks which configurations of an owner are stored, and that each has its mark, and each mark its text.
func (l *library) has(when, owner string, want ...string) {
	l.t.Helper()
	names := func(kind string) (all []string) {
		kept, err := l.store.List(l.t.Context(), owner, kind)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, s := range kept {
			all = append(all, s.Name)
		}
		return all
	}
	slices.Sort(want)
	if texts, marks := names(kindGeneration), names(kindGenerationUsed); !slices.Equal(texts, want) || !slices.Equal(marks, want) {
		l.t.Errorf("%s: %s has %v, marked %v; want %v", when, owner, texts, marks, want)
	}
}

func (l *library) clean(g *gateway) {
	l.t.Helper()
	if err := g.cleanGenerations(l.t.Context(), "holder"); err != nil {
		l.t.Fatal(err)
	}
}

// A configuration leaves the store when it was last used before the oldest kept event was received: of all tenants for a base,
// of the tenant for its own.
func TestGenerationsEnd(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		l.receive("acme", "a0")
		l.replica("base0", map[string]string{"acme": "over0", "zeta": "z0"})
		l.clock.Advance(2 * day)
		l.receive("zeta", "z")
		l.replica("base1", map[string]string{"acme": "over1", "zeta": "z1"})
		l.clock.Advance(unusedFor + 3*day)
		l.receive("acme", "a1")
		g := l.replica("base2", map[string]string{"acme": "over2", "zeta": "z2"})
		l.clean(g)
		l.has("nothing is removed that an event may refer to", systemTenant, "base0", "base1", "base2")
		l.has("nothing of a tenant is removed that an event may refer to", "acme", "over0", "over1", "over2")
		l.has("what was used before a tenant's oldest event is removed", "zeta", "z1", "z2")

		// Acme's first event leaves; zeta's stays.
		l.clock.Advance(day)
		l.trim(12 * day)
		l.clean(g)
		l.has("zeta's event is of the second base", systemTenant, "base1", "base2")
		l.has("acme's remaining event is of the third", "acme", "over2")
		l.has("zeta's event is of the second", "zeta", "z1", "z2")

		// All events leave; what runs stays, and what was used lately.
		l.replica("base3", nil)
		l.clock.Advance(day)
		l.trim(time.Minute)
		l.clean(g)
		l.has("the last of the events is gone", systemTenant, "base2", "base3")
		l.clock.Advance(unusedFor + day)
		l.clean(g)
		l.has("only what runs is left", systemTenant, "base2")
		l.has("only what runs is left", "acme", "over2")
		l.has("only what runs is left", "zeta", "z2")
	})
}

// A replica that runs an old configuration keeps it: it marks it every day, and writes it again if it is removed all the same.
func TestOldReplicaKeepsItsGeneration(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		old := l.replica("old", map[string]string{"acme": "over-old"})
		g := l.replica("new", map[string]string{"acme": "over-new"})
		for range 30 {
			l.clock.Advance(day)
			l.receive("acme", l.clock.Now().String())
			l.trim(time.Hour)
			if err := errors.Join(old.refreshGenerations(t.Context()), g.refreshGenerations(t.Context())); err != nil {
				t.Fatal(err)
			}
			l.clean(g)
		}
		l.has("both run", systemTenant, "new", "old")
		l.has("both run", "acme", "over-new", "over-old")
		// One that slept for long finds its configuration removed.
		l.clock.Advance(30 * day)
		l.trim(time.Hour)
		l.clean(g)
		l.has("one sleeps", systemTenant, "new")
		if err := old.refreshGenerations(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.has("it wakes", systemTenant, "new", "old")
		l.has("it wakes", "acme", "over-new", "over-old")
		l.clean(g)
		l.has("it is awake", systemTenant, "new", "old")
	})
}

// racing is a store in which a replica begins to use a configuration while that is removed.
type racing struct {
	state.Store
	before func(kind string)
}

func (r *racing) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	if before := r.before; before != nil {
		before(kind)
	}
	return r.Store.Delete(ctx, tenant, kind, name, version)
}

// A replica that starts with a configuration while another one removes it has it in the end, wherever the two meet.
func TestGenerationUsedWhileRemoved(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		for _, at := range []string{kindGeneration, kindGenerationUsed} {
			name := "old-" + at
			l.replica(name, nil)
			l.clock.Advance(unusedFor + 3*day)
			g := l.replica("new", nil)
			used := false
			g.store = &racing{Store: l.store, before: func(kind string) {
				if kind == at && !used {
					used = true
					l.replica(name, nil)
				}
			}}
			l.clean(g)
			l.has("used while it was removed", systemTenant, "new", name)
			g.store = l.store
			l.clock.Advance(unusedFor + 3*day)
			if err := g.refreshGenerations(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.clean(g)
			l.has("no longer used", systemTenant, "new")
		}
	})
}

// The bounds of the whole hold, whatever refers to the configurations: the longest unused go first, and of all tenants the
// largest pay. What this process runs stays.
func TestGenerationsAreBounded(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		running := l.replica("base", map[string]string{"big": "g0"})
		l.receive("big", "an event that may refer to all of them")
		keep := func(tenant string, n, bytes int) {
			for i := range n {
				of := tenantGeneration{tenant, fmt.Sprintf("g%d", i+1)}
				if _, err := running.stored.keep(t.Context(), of, []byte(strings.Repeat("x", bytes))); err != nil {
					t.Fatal(err)
				}
			}
		}
		keep("big", 40, 1000)
		keep("small", 3, 1000)
		count := func(tenant string) int {
			kept, err := l.store.List(t.Context(), tenant, kindGeneration)
			if err != nil {
				t.Fatal(err)
			}
			return len(kept)
		}
		c := &cleaning{store: l.store, now: l.clock.Now(), all: 13_100, running: func(of tenantGeneration) bool { return of.generation == "g0" }}
		if _, err := c.owner(t.Context(), "big", generationBounds{30, 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if n := count("big"); n != 30 {
			t.Errorf("%d are left of 41, at most 30 are kept", n)
		}
		if _, err := c.owner(t.Context(), "big", generationBounds{1000, 20_500}); err != nil {
			t.Fatal(err)
		}
		if n := count("big"); n != 21 {
			t.Errorf("%d are left, want 20 of 1,000 bytes and the running one", n)
		}
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if big, small := count("big"), count("small"); big != 11 || small != 3 {
			t.Errorf("%d and %d are left, want 10 and the running one of the larger tenant, and all of the smaller", big, small)
		}
		kept, err := l.store.List(t.Context(), "big", kindGeneration)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range kept {
			if len(s.Name) == 3 && s.Name < "g31" || s.Name == "g5" {
				t.Errorf("%s is left, which is not among the newest", s.Name)
			}
		}
	})
}

// One replica cleans at a time.
func TestOneReplicaCleans(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		l.replica("old", nil)
		l.clock.Advance(unusedFor + 3*day)
		a, b := l.replica("new", nil), l.replica("new", nil)
		if _, err := l.store.Lease(t.Context(), cleanLease, "another", time.Hour); err != nil {
			t.Fatal(err)
		}
		l.clean(a)
		l.has("another one cleans", systemTenant, "new", "old")
		if _, err := l.store.Lease(t.Context(), cleanLease, "another", 0); err != nil {
			t.Fatal(err)
		}
		l.clean(b)
		l.has("it is its turn", systemTenant, "new")
	})
}

// Configurations that former versions stored have no mark: they get one at the start, and end like others.
func TestFormerGenerationsEnd(t *testing.T) {
	t.Parallel()
	libraries(t, func(l *library) {
		l.receive("acme", "a")
		for name, text := range map[string]string{"kept": keptText(t), "emptied": config.Emptied, "whole": "rules: []"} {
			if _, err := l.store.Put(t.Context(), systemTenant, kindGeneration, name, []byte(text), 0); err != nil {
				t.Fatal(err)
			}
		}
		g := l.replica("new", nil)
		if _, err := g.adoptOldTexts(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.has("at the start", systemTenant, "emptied", "kept", "new", "whole")
		l.clock.Advance(unusedFor + 3*day)
		l.clean(g)
		l.has("while an event may refer to them", systemTenant, "emptied", "kept", "new", "whole")
		l.receive("acme", "b")
		l.trim(day)
		l.clean(g)
		l.has("afterwards", systemTenant, "new")
	})
}

func keptText(t *testing.T) string { return string(keptOf(t, 1, 1)) }

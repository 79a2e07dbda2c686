package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// keptStore gives out what was kept, counts how often, and lets nobody go on before gate is closed.
type keptStore struct {
	state.Settings
	kept []byte
	gate chan struct{}

	mu          sync.Mutex
	asked       int
	now, atOnce int
}

func (s *keptStore) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	s.mu.Lock()
	s.asked++
	s.now++
	s.atOnce = max(s.atOnce, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case <-s.gate:
	case <-ctx.Done():
		return state.Setting{}, ctx.Err()
	}
	if tenant != systemTenant || kind != kindGeneration || name == "gone" {
		return state.Setting{}, state.ErrNotFound
	}
	return state.Setting{Value: s.kept}, nil
}

// keptOf is what is kept of a configuration in which each tenant has so many rules.
func keptOf(t *testing.T, tenants, rules int) []byte {
	t.Helper()
	dir := t.TempDir()
	for i := range tenants {
		var b strings.Builder
		fmt.Fprintf(&b, "tenant: t%d\nconnections: {crm: {hubspot: {token: pat}}}\nrules:\n", i)
		for j := range rules {
			fmt.Fprintf(&b, "  - {name: r%d, when: nps_score <= %d, send: [crm]}\n", j, j%11)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(config.Options{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	return c.Kept
}

// Many that ask for one configuration wait for one load, and loads of many tenants are few at once.
func TestGenerationsAreLoadedOnce(t *testing.T) {
	t.Parallel()
	store := &keptStore{kept: keptOf(t, 8, 3), gate: make(chan struct{})}
	g := newGenerations(store)
	const each = 20
	var asking sync.WaitGroup
	plans := make(chan *decide.Plan, 8*each)
	begun := make(chan struct{}, 8*each)
	for i := range 8 * each {
		asking.Go(func() {
			begun <- struct{}{}
			p, err := g.plan(t.Context(), fmt.Sprintf("t%d", i%8), "old")
			if err != nil {
				t.Error(err)
			}
			plans <- p
		})
	}
	for range 8 * each {
		<-begun
	}
	close(store.gate)
	asking.Wait()
	close(plans)
	different := map[*decide.Plan]bool{}
	for p := range plans {
		different[p] = true
		if len(p.Config.Rules) != 3 {
			t.Errorf("%d rules, want the tenant's own 3", len(p.Config.Rules))
		}
	}
	if store.asked != 8 || len(different) != 8 || store.atOnce > maxLoads {
		t.Errorf("%d loads, %d at once, %d plans; want 8, at most %d, 8", store.asked, store.atOnce, len(different), maxLoads)
	}
}

// Who gives up is let go at once, and the load goes on for others. A failure is not remembered.
func TestGenerationsGivenUp(t *testing.T) {
	t.Parallel()
	store := &keptStore{kept: keptOf(t, 1, 1), gate: make(chan struct{})}
	g := newGenerations(store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // the one that loads, and one that waits for it
		if _, err := g.plan(ctx, "t0", "old"); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
	}
	close(store.gate)
	if p, err := g.plan(t.Context(), "t0", "old"); err != nil || len(p.Config.Rules) != 1 || store.asked != 1 {
		t.Errorf("%v, %v, %d loads", p, err, store.asked)
	}
	for range 2 {
		if _, err := g.plan(t.Context(), "t0", "gone"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("gone: %v", err)
		}
	}
	if store.asked != 3 {
		t.Errorf("%d loads: a failure is remembered", store.asked)
	}
}

// What is remembered is bounded by plans and by rules; the one asked for last stays.
func TestGenerationsAreForgotten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rules, want int }{{1, maxPlans}, {maxRules / 4, 4}, {maxRules + 1, 1}} {
		store := &keptStore{kept: keptOf(t, 1, c.rules), gate: make(chan struct{})}
		close(store.gate)
		g := newGenerations(store)
		ask := func(generation string) {
			if _, err := g.plan(t.Context(), "t0", generation); err != nil {
				t.Fatal(err)
			}
		}
		for i := range maxPlans + 5 {
			ask(fmt.Sprint(i))
			if i > 0 && c.want > 2 {
				ask(fmt.Sprint(i - 1)) // the newest two stay
			}
		}
		if len(g.plans) != c.want || g.recent.Len() != c.want || g.rules != c.want*c.rules {
			t.Errorf("%d rules each: %d plans with %d rules are remembered, want %d", c.rules, len(g.plans), g.rules, c.want)
		}
		if store.asked != maxPlans+5 {
			t.Errorf("%d loads of %d configurations", store.asked, maxPlans+5)
		}
	}
}

// A reload lets the configuration before it go. Whoever still uses that one keeps it, and nobody else.
func TestReloadLetsGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.life.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	gone := make(chan struct{})
	runtime.AddCleanup(g.plan.Load(), func(int) { close(gone) }, 0)
	s.write(9)
	g.reload(t.Context(), false, false)
	s.until("the plan before is let go", func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
}

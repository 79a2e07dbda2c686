package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// counting counts the calls of a store by name, but for leases, of which a slow test has more.
type counting struct {
	state.Store
	mu    sync.Mutex
	calls map[string]int
}

func (c *counting) count(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[call]++
}

func (c *counting) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

func (c *counting) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	c.count("put")
	return c.Store.Put(ctx, tenant, kind, name, value, version)
}

func (c *counting) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	c.count("get")
	return c.Store.Get(ctx, tenant, kind, name)
}

func (c *counting) List(ctx context.Context, tenant, kind string) ([]state.Setting, error) {
	c.count("list")
	return c.Store.List(ctx, tenant, kind)
}

func (c *counting) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	c.count("delete")
	return c.Store.Delete(ctx, tenant, kind, name, version)
}

func (c *counting) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	c.count("keep")
	return c.Store.Keep(ctx, tenant, list, item, most, ttl)
}

func (c *counting) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	c.count("write all")
	return c.Store.WriteAll(ctx, b)
}

func hooksOf(n, round int) []Change {
	changes := make([]Change, n)
	for i := range changes {
		changes[i] = Change{Name: fmt.Sprint("webhook/w", i), Spec: fmt.Appendf(nil,
			`{"url": "https://a.example.com/%d", "events": ["response.completed"], "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}`, round)}
	}
	return changes
}

// The changes of a tenant cost one write, one notice and one application, however many there are, and are compiled once.
func TestChangesAreMadeTogether(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 200} {
		store := &counting{Store: local(t)}
		b := newBook(t, store)
		b.Limits = nil
		var told [][]audit.Line
		b.Audit.Added = func(_ context.Context, _ string, lines []audit.Line) { told = append(told, lines) }
		a := newApplied(t)
		work(t, store.Store, clock.System(), a)
		for round := range 2 {
			plan, err := b.Plan(t.Context(), "acme", hooksOf(n, round), byTest)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.current(t.Context(), plan); err != nil || got != plan.checked {
				t.Errorf("it is compiled again: %v", err)
			}
			store.take()
			results, err := b.Do(t.Context(), plan)
			if err != nil || len(results) != n {
				t.Fatal(err)
			}
			if got, want := store.take(), (map[string]int{"list": 1, "write all": 1}); !maps.Equal(got, want) {
				t.Errorf("%d documents cost %v, want %v", n, got, want)
			}
			if len(told) != round+1 || len(told[round]) != n || told[round][n-1].Version != results[n-1].Entry.Version {
				t.Errorf("%d acts are told, and not one more with %d lines", len(told), n)
			}
			until(t, "they are applied", func() bool {
				a.mu.Lock()
				defer a.mu.Unlock()
				return len(a.specs["acme"]) == n && a.times["acme"] == round+1
			})
		}
		lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
		if err != nil || len(lines) != 2*n {
			t.Fatalf("%d lines of the audit, %v", len(lines), err)
		}
		all, err := b.documents(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines[:n] {
			if r := all[line.Of]; r == nil || r.Version != line.Version || line.Did != "webhook.update" || line.Before == nil || line.After == nil {
				t.Fatalf("line %d is %+v, the document %+v", i, line, r)
			}
		}
	}
}

// A plan is checked again if the tenant's documents, or the files, are not those that it was checked with.
func TestPlanIsCheckedAgain(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	if _, err := b.one(t, Change{Name: "webhook/w0", Spec: []byte(someHook)}, byTest); err != nil {
		t.Fatal(err)
	}
	first, err := b.Plan(t.Context(), "acme", hooksOf(1, 1), byTest)
	if err != nil {
		t.Fatal(err)
	}
	locked := byTest
	locked.Owner, locked.Lock = "ci", true
	if _, err := b.one(t, Change{Name: "webhook/w0", Spec: []byte(someHook)}, locked); err != nil {
		t.Fatal(err)
	}
	owned := new(OwnedError)
	if _, err := b.Do(t.Context(), first); !errors.As(err, &owned) {
		t.Errorf("the document was locked meanwhile: %v", err)
	}
	second, err := b.Plan(t.Context(), "acme", hooksOf(1, 1), locked)
	if err != nil {
		t.Fatal(err)
	}
	other := &config.Config{}
	b.Base = func() *config.Config { return other }
	if again, err := b.current(t.Context(), second); err != nil || again == second.checked {
		t.Errorf("not checked with the new files: %v", err)
	}
}

// Documents that are in use are not compiled again to learn what a change of them breaks.
func TestOverlayInUse(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	results, err := b.Apply(t.Context(), "acme", hooksOf(2, 0), byTest)
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.documents(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	inUse := config.Overlay(b.Base(), "acme", listed(all))
	b.Overlay = func(string) *config.TenantConfig { return inUse }
	if _, o := b.compiled("acme", all); o != inUse {
		t.Error("compiled again")
	}
	if _, err := b.one(t, Change{Name: "webhook/w1", Delete: true, If: &results[1].Entry.Version}, byTest); err != nil {
		t.Fatal(err)
	}
	if all, err = b.documents(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if _, o := b.compiled("acme", all); o == inUse {
		t.Error("the overlay in use has a document that was deleted")
	}
}

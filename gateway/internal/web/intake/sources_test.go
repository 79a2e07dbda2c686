package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/stats"
)

func sourceOf(tenant, name string) *config.Source {
	return &config.Source{Item: config.Item{Tenant: tenant, Name: name}, Enabled: true, Receiver: &source.Source{}}
}

func overlayOf(tenant string, names ...string) *config.TenantConfig {
	o := &config.TenantConfig{Tenant: tenant}
	for _, name := range names {
		o.Sources = append(o.Sources, sourceOf(tenant, name))
	}
	return o
}

func newDoor(t testing.TB, c *config.Config, overlays ...*config.TenantConfig) (*Door, *atomic.Pointer[decide.Plan]) {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	plan := &atomic.Pointer[decide.Plan]{}
	plan.Store(decide.New(c, overlays...))
	return New(Options{
		Store: store, Plan: plan.Load, Stats: stats.New(stats.Options{Store: store, Clock: clock.System(), Version: "test"}),
		Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Context: context.Background(),
	}), plan
}

// TestChangeBuildsOneTenant: a change of one tenant's overlay builds the sources of this tenant, and those of nobody else.
func TestChangeBuildsOneTenant(t *testing.T) {
	t.Parallel()
	c := &config.Config{Sources: []*config.Source{sourceOf("default", "forms"), sourceOf("a", "file")}}
	d, plan := newDoor(t, c, overlayOf("a", "forms"), overlayOf("b", "forms"))
	if d.find("a", "forms") == nil || d.find("a", "file") == nil || d.find("b", "file") != nil || d.find("nobody", "forms") != nil {
		t.Fatal("a source is missing, or of another tenant")
	}
	ofDefault, a, b, file := d.find("default", "forms"), d.find("a", "forms"), d.find("b", "forms"), d.find("a", "file")
	for range 3 {
		plan.Store(plan.Load().With(overlayOf("a", "forms")))
		now := d.find("a", "forms")
		if now == a || now.limits != a.limits || now.missed != a.missed || now.refusals != a.refusals || now.share != file.share {
			t.Error("the source was not built anew, or lost what outlasts a change")
		}
		a = now
		if d.find("default", "forms") != ofDefault || d.find("b", "forms") != b || d.find("a", "file") != file {
			t.Error("a source of somebody else was built anew")
		}
	}
	moved := &config.Config{Sources: []*config.Source{sourceOf("a", "forms")}} // now a file has it
	plan.Store(decide.New(moved, &config.TenantConfig{Tenant: "a", Documents: []config.CompiledDocument{{State: config.Shadowed}}}))
	if now := d.find("a", "forms"); now == nil || now.limits != a.limits {
		t.Error("a source that moved into a file lost its limits")
	}
	if d.find("b", "forms") != nil {
		t.Error("a source is there whose overlay has ended")
	}
	if err := d.Remember(t.Context(), "b"); err != nil || d.overlays.Load().Len() != 1 {
		t.Errorf("the sources of an overlay that has ended are kept: %v", err)
	}
}

// TestFindAllocatesNothing: neither a source of the base nor of an overlay costs an allocation, by its name or by its path.
func TestFindAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations of the process
	c := &config.Config{Sources: []*config.Source{sourceOf("default", "forms")}}
	d, _ := newDoor(t, c, overlayOf("a", "forms"), overlayOf("b", "forms"))
	ofBase, ofOverlay := []byte("/in/forms"), []byte("/t/a/in/forms")
	d.find("a", "forms")
	n := testing.AllocsPerRun(100, func() {
		if d.find("default", "forms") == nil || d.find("a", "forms") == nil || d.find("a", "none") != nil || d.find("c", "forms") != nil {
			t.Fatal("not found")
		}
		if !d.Takes(ofBase, true) || !d.Takes(ofOverlay, true) || d.Counters("a", "forms") != d.find("a", "forms").counts {
			t.Fatal("not found")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFindWhileOverlaysChange looks for sources while overlays and the base are swapped.
func TestFindWhileOverlaysChange(t *testing.T) {
	t.Parallel()
	base := func(i int) *config.Config {
		return &config.Config{Generation: fmt.Sprint(i), Sources: []*config.Source{sourceOf("default", "forms")}}
	}
	d, plan := newDoor(t, base(0), overlayOf("a", "forms"), overlayOf("b", "forms"))
	other := d.find("b", "forms")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, tenant := range []string{"default", "a", "b"} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if e := d.find(tenant, "forms"); e == nil || e.tenant != tenant {
					t.Errorf("%s: %+v", tenant, e)
					return
				}
			}
		})
	}
	for i := range 2000 {
		plan.Store(plan.Load().With(overlayOf("a", "forms")))
		if i%100 == 0 {
			p := plan.Load()
			plan.Store(decide.New(base(i), p.Overlay("a"), p.Overlay("b")))
		}
	}
	close(stop)
	readers.Wait()
	if d.find("b", "forms") != other {
		t.Error("the sources of a tenant that did not change were built anew")
	}
}

// BenchmarkFindAfterChange finds a source of one tenant after another tenant's overlay changed.
func BenchmarkFindAfterChange(b *testing.B) {
	var all []*config.TenantConfig
	for i := range 1000 {
		all = append(all, overlayOf(fmt.Sprint("t", i), "forms"))
	}
	d, plan := newDoor(b, &config.Config{}, all...)
	d.find("t1", "forms")
	changed := overlayOf("t5", "forms")
	b.ReportAllocs()
	var took time.Duration
	for b.Loop() {
		plan.Store(plan.Load().With(changed))
		began := time.Now()
		d.find("t1", "forms")
		took += time.Since(began)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/find")
}

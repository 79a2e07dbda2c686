package try

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// ticking is a clock on which every look takes a while.
type ticking struct {
	*clock.Manual
	step, passed time.Duration
}

func (c *ticking) Elapsed() time.Duration {
	c.passed += c.step
	return c.passed
}

func mustTry(t *testing.T, tryer *Tryer, ask Ask) *view.Tried {
	t.Helper()
	got, err := tryer.Try(context.Background(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBounds: a trial stops when its work, the size of its events or its search is used up, and says so and how far it got.
func TestBounds(t *testing.T) {
	t.Parallel()
	tryer, ask := newTryer(t, 60, 2)
	if got := mustTry(t, tryer, ask); got.Asked != 60 || got.Stopped != "" || !got.SearchedBackTo.Equal(now) {
		t.Errorf("asked %d, stopped %q, back to %v", got.Asked, got.Stopped, got.SearchedBackTo)
	}
	slow := *tryer
	slow.Clock = &ticking{Manual: clock.NewManual(now), step: 20 * time.Millisecond}
	if got := mustTry(t, &slow, ask); got.Asked == 0 || got.Asked == 60 || got.Stopped != "time" || got.SearchedBackTo.IsZero() {
		t.Errorf("slow: asked %d, stopped %q, back to %v", got.Asked, got.Stopped, got.SearchedBackTo)
	} else if d := got.Difference; d.Now != d.Added || d.Now != 2*matching(got.Asked) {
		t.Errorf("what was not asked is counted: %+v of %d", d, got.Asked)
	}
	large := *tryer
	large.Store = resized{tryer.Store, 1 << 20}
	if got := mustTry(t, &large, ask); got.Asked != 16 || got.Stopped != "size" {
		t.Errorf("large: asked %d, stopped %q", got.Asked, got.Stopped)
	}
	empty := *tryer
	pages := 0
	empty.Store = endless{tryer.Store, &pages}
	if got := mustTry(t, &empty, ask); got.Asked != 0 || got.Stopped != "search" || pages != maxSearches || !got.SearchedBackTo.Equal(now) {
		t.Errorf("search: asked %d, stopped %q after %d pages", got.Asked, got.Stopped, pages)
	}
	ask.Last = 7
	if got := mustTry(t, tryer, ask); got.Asked != 7 || got.Stopped != "" {
		t.Errorf("asked %d, stopped %q", got.Asked, got.Stopped)
	}
}

// matching is how many of the newest n of 60 events have a score of at most 4.
func matching(n int) (m int) {
	for i := 59; i > 59-n; i-- {
		if i%10 <= 4 {
			m++
		}
	}
	return m
}

// resized is a store whose events have a size.
type resized struct {
	state.Reader
	size int
}

func (r resized) Events(ctx context.Context, tenant string, q state.EventQuery) (*state.Page[*state.Record], error) {
	page, err := r.Reader.Events(ctx, tenant, q)
	if err == nil {
		for _, record := range page.Items {
			record.Size = r.size
		}
	}
	return page, err
}

// endless is a store in which a search finds nothing.
type endless struct {
	state.Reader
	pages *int
}

func (e endless) Events(context.Context, string, state.EventQuery) (*state.Page[*state.Record], error) {
	*e.pages++
	return &state.Page[*state.Record]{Next: "more", SearchedBackTo: now}, nil
}

// TestDifference: what a draft adds, removes, changes and leaves alone, and what of it cannot be sent.
func TestDifference(t *testing.T) {
	t.Parallel()
	tryer, _ := newTryer(t, 20, 0) // two of each score
	rule := func(name, spec string) settings.Change {
		return settings.Change{Name: "rule/" + name, Spec: []byte(spec)}
	}
	write := func(changes ...settings.Change) {
		t.Helper()
		for i := range changes {
			value := fmt.Sprintf(`{"v": 1, "doc": %s, "meta": {}}`, changes[i].Spec)
			if _, err := tryer.Store.(state.Store).Put(context.Background(), "default", state.KindDocument, changes[i].Name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(rule("low", `{"when": "nps_score <= 1", "send": [{"alarms": {"text": "low"}}]}`),
		rule("all", `{"send": [{"alarms": {"text": "all"}}]}`))
	for _, c := range []struct {
		name    string
		changes []settings.Change
		want    view.Difference
	}{
		{"as it is", []settings.Change{rule("low", `{"send": [{"alarms": {"text": "low"}}], "when": "nps_score <= 1"}`)}, view.Difference{Before: 4, Now: 4}},
		{"wider", []settings.Change{rule("low", `{"when": "nps_score <= 4", "send": [{"alarms": {"text": "low"}}]}`)}, view.Difference{Before: 4, Now: 10, Added: 6}},
		{"narrower", []settings.Change{rule("low", `{"when": "nps_score <= 0", "send": [{"alarms": {"text": "low"}}]}`)}, view.Difference{Before: 4, Now: 2, Removed: 2}},
		{"other", []settings.Change{rule("low", `{"when": "nps_score <= 2", "send": [{"alarms": {"text": "LOW"}}]}`)}, view.Difference{Before: 4, Now: 6, Added: 2, Changed: 4}},
		{"gone", []settings.Change{{Name: "rule/low", Delete: true}}, view.Difference{Before: 4, Removed: 4}},
		{"off", []settings.Change{rule("low", `{"when": "nps_score <= 1", "send": [{"alarms": {"text": "low"}}], "enabled": false}`)}, view.Difference{Before: 4, Removed: 4}},
		{"late", []settings.Change{rule("low", `{"when": "nps_score <= 1", "send": [{"alarms": {"text": "low"}}], "delay": "1h"}`)}, view.Difference{Before: 4, Now: 4, Changed: 4}},
	} {
		got := mustTry(t, tryer, Ask{Tenant: "default", Draft: c.changes, Last: 500, Difference: true, Requests: true})
		d := *got.Difference
		samples := d.Samples
		d.Samples, d.Skipped, d.Rejected, d.Failed = nil, nil, nil, nil
		if fmt.Sprint(d) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, d, c.want)
		}
		for _, s := range samples {
			if s.Rule != "low" || s.Why == "" {
				t.Errorf("%s: sample %+v", c.name, s)
			}
		}
	}
	var refused *settings.FaultsError
	if _, err := tryer.Try(context.Background(), Ask{Tenant: "default", Draft: []settings.Change{rule("low", `{"when": "nps_scor"}`)}, Last: 1}); !errors.As(err, &refused) {
		t.Errorf("a faulty draft: %v", err)
	}
}

// TestGate: one trial of a caller and two of a tenant run or wait, and whoever waits gets the turn of the one that ends.
func TestGate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	g := newGate(clock.NewManual(now), 1, 2)
	leave, err := g.Enter(ctx, "a", "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Enter(ctx, "a", "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("the same caller: %v", err)
	}
	entered := make(chan func())
	for _, tenant := range []string{"a", "b"} {
		go func() {
			leave, err := g.Enter(ctx, tenant, "y")
			if err != nil {
				t.Error(err)
			}
			entered <- leave
		}()
	}
	leave()
	(<-entered)()
	(<-entered)()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	g.running <- struct{}{}
	if _, err := g.Enter(gone, "a", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("without a turn: %v", err)
	}
	if len(g.callers)+len(g.tenants) != 0 {
		t.Errorf("left behind: %v, %v", g.callers, g.tenants)
	}
}

// TestLongGate: what takes minutes has one turn of each tenant, for which those of others do not wait.
func TestLongGate(t *testing.T) {
	t.Parallel()
	g := NewLongGate(clock.NewManual(now))
	for _, tenant := range []string{"a", "b", "c", "d"} {
		leave, err := g.Enter(t.Context(), tenant, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	if _, err := g.Enter(t.Context(), "a", "another"); !errors.Is(err, ErrBusy) {
		t.Errorf("another one of a tenant: %v", err)
	}
}

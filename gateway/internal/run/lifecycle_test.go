package run

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events records what happens to parts, in order.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) add(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, text)
}

// part records everything that happens to it. It fails with err once fail is closed.
func (e *events) part(name string, fail <-chan struct{}, err error) part {
	return part{
		name: name,
		run: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				e.add("ended " + name)
				return nil
			case <-fail:
				return err
			}
		},
		drain: func() { e.add("drained " + name) },
		close: func(ctx context.Context) error {
			e.add("closed " + name)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return nil
		},
	}
}

// Every part is drained before any ends; then the stages end in the reverse order, each one wholly.
func TestLifecycleStopsInReverse(t *testing.T) {
	t.Parallel()
	e := &events{}
	l := newLifecycle()
	l.add(e.part("store", nil, nil))
	l.add(e.part("upkeep", nil, nil))
	l.add(e.part("requests", nil, nil))
	ctx, cancel := context.WithCancel(t.Context())
	l.start(ctx)
	l.start(ctx)
	cancel() // stops nothing, and leaves a stop its time
	for range 2 {
		if err := l.stop(ctx); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"drained requests", "drained upkeep", "drained store",
		"ended requests", "closed requests", "ended upkeep", "closed upkeep", "ended store", "closed store",
	}
	if diff := cmp.Diff(want, e.all); diff != "" {
		t.Error(diff)
	}
	l.start(ctx) // after the stop
	if len(e.all) != len(want) {
		t.Errorf("started again: %q", e.all)
	}
}

// A part that fails is told of at once; the others stop as ever, and its error is what stop returns, each time.
func TestLifecycleTellsFailures(t *testing.T) {
	t.Parallel()
	e := &events{}
	l := newLifecycle()
	failed, fail := errors.New("out of order"), make(chan struct{})
	l.add(e.part("store", nil, nil))
	l.add(e.part("deliveries", fail, failed), e.part("requests", nil, nil))
	l.start(t.Context())
	select {
	case <-l.failure():
		t.Fatal("failed before anything did")
	default:
	}
	close(fail)
	<-l.failure()
	for range 2 {
		if err := l.stop(t.Context()); !errors.Is(err, failed) || err.Error() != "deliveries: out of order" {
			t.Errorf("stopped with %v", err)
		}
	}
	if !slices.Contains(e.all, "closed deliveries") || !slices.Contains(e.all, "ended requests") || e.all[len(e.all)-1] != "closed store" {
		t.Errorf("stopped as %q", e.all)
	}
}

// What never ran is closed all the same.
func TestLifecycleClosesWhatNeverRan(t *testing.T) {
	t.Parallel()
	e := &events{}
	l := newLifecycle()
	l.add(e.part("store", nil, nil))
	l.add(e.part("sender", nil, nil))
	if err := l.stop(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"drained sender", "drained store", "closed sender", "closed store"}, e.all); diff != "" {
		t.Error(diff)
	}
	l.start(t.Context()) // too late
	if len(e.all) != 4 {
		t.Errorf("ran after the stop: %q", e.all)
	}
}

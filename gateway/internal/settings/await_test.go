package settings

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// Await returns when what was written before it is applied, without the pause for further changes, and calls at the same time are one
// application.
func TestAwait(t *testing.T) {
	t.Parallel()
	store := local(t)
	w := newWriter(t, store)
	a := newApplied(t)
	a.gate = make(chan struct{})
	now := clock.NewManual(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)) // no pause ends
	worker := work(t, store, now, a)
	v := put(t, w, "acme", "a", `{"n":1}`, 0)
	await := func(tenants ...string) chan bool {
		done := make(chan bool, 1)
		go func() { done <- worker.Await(t.Context(), tenants...) }()
		return done
	}
	first := await("acme")
	<-a.tell // the first version is read, and not applied yet
	put(t, w, "acme", "a", `{"n":2}`, v)
	var all []chan bool
	for range 10 {
		all = append(all, await("acme"))
	}
	until(t, "all ask", func() bool {
		worker.mu.Lock()
		defer worker.mu.Unlock()
		return worker.tenants["acme"].asked == 11
	})
	select {
	case <-first:
		t.Error("it did not wait for the application")
	default:
	}
	close(a.gate)
	for _, done := range append(all, first) {
		if !<-done {
			t.Error("it is not in use")
		}
	}
	if !a.has("acme", map[string]string{"webhook/a": `{"n":2}`}) || a.times["acme"] != 2 {
		t.Errorf("%v, applied %d times", a.specs, a.times["acme"])
	}
	put(t, w, "zeta", "a", `{}`, 0)
	if !<-await("acme", "zeta") || !a.has("zeta", map[string]string{"webhook/a": `{}`}) {
		t.Errorf("of several tenants: %v", a.specs)
	}

	a.mu.Lock()
	a.failing["acme"] = errors.New("broken")
	a.mu.Unlock()
	drained(a)
	put(t, w, "acme", "b", `{}`, 0)
	failed := await("acme")
	<-a.tell
	for ended := false; !ended; { // a timer may not be set yet
		now.Advance(awaitFor)
		select {
		case is := <-failed:
			if ended = true; is {
				t.Error("what failed counts as in use")
			}
		case <-now.Set():
		}
	}
}

func drained(a *applied) {
	for {
		select {
		case <-a.tell:
		default:
			return
		}
	}
}

// A change through a Book says whether this process uses it, and so does reading it.
func TestBookAwaits(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	var inUse *config.TenantConfig
	works, waits := true, 0
	b.Overlay = func(string) *config.TenantConfig { return inUse }
	b.Await = func(ctx context.Context, tenants ...string) bool {
		waits++
		if works {
			all, err := b.documents(ctx, tenants[0])
			if err != nil {
				t.Error(err)
			}
			inUse = config.Overlay(b.Base(), tenants[0], listed(all))
		}
		return works
	}
	change := func(c Change, pending bool, wait int) {
		t.Helper()
		waits = 0
		r, err := b.one(t, c, byTest)
		if err != nil || r.Entry.Pending != pending || waits != wait {
			t.Errorf("%s %+v: pending %v after %d waits, %v", r.Would, c, r.Entry.Pending, waits, err)
		}
		if e, err := b.Get(t.Context(), "acme", c.Name); !c.Delete && (err != nil || e.Pending != pending) {
			t.Errorf("read: %+v, %v", e, err)
		}
	}
	timeout := func(value string) Change {
		return Change{Name: "webhook/a", Spec: []byte(`{"url": "https://a.example.com/", "signature": "none", "timeout": "` + value + `"}`)}
	}
	change(timeout("5s"), false, 1)
	change(timeout("5s"), false, 0)
	works = false
	change(timeout("6s"), true, 1)
	change(timeout("6s"), true, 1) // it is stored, and not in use yet
	change(Change{Name: "webhook/a", Delete: true}, true, 1)
	works = true
	change(timeout("5s"), false, 1)
	change(Change{Name: "webhook/a", Delete: true}, false, 1)
}

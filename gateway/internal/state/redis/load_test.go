package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const acme = "acme"

// gate opens a store, which is closed when the test ends.
func gate(t testing.TB, url string, change ...func(*Options)) *store {
	t.Helper()
	o := Options{URL: url}
	for _, c := range change {
		c(&o)
	}
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func made(t testing.TB, key string) *event.Event {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	e, err := event.New(event.Header{
		ID: event.ID(acme, "app", key), Tenant: acme, Source: "app", SourceKind: "api", Type: "response.completed",
		SurveyID: "s1", ResponseID: "r-" + key, Time: now, Received: now, DedupeKey: key, Verified: "token",
	}, &event.Data{Survey: event.Survey{ID: "s1"}, Response: event.Response{ID: "r-" + key}},
		event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func accept(t testing.TB, s *store, keys ...string) []*event.Event {
	t.Helper()
	var all []*event.Event
	for _, k := range keys {
		all = append(all, made(t, k))
	}
	if _, err := s.Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return all
}

func hold(t testing.TB, s *store, n int) []state.Claimed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var all []state.Claimed
	for len(all) < n {
		some, err := s.Claim(ctx, n-len(all), 0)
		if err != nil {
			t.Fatalf("claimed %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

func keysOf(all []state.Claimed) []string {
	var keys []string
	for _, c := range all {
		keys = append(keys, c.Event.DedupeKey)
	}
	return keys
}

func decided(c state.Claimed, deliveries ...state.Delivery) state.Outcome {
	return state.Outcome{Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Generation: "g", At: c.Event.Received, Deliveries: deliveries}
}

func owing(c state.Claimed, st state.DeliveryState, due time.Time) state.Delivery {
	return state.Delivery{
		ID: "dl_" + c.Event.ID + "_aaaaaaaaaaaaa", Tenant: acme, EventID: c.Event.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
		Step: "crm", Destination: "crm", Connector: "hubspot", State: st, Due: due,
	}
}

func commit(t testing.TB, s *store, outcomes ...state.Outcome) {
	t.Helper()
	done, err := s.Commit(t.Context(), &state.Commit{Events: outcomes})
	if err != nil {
		t.Fatal(err)
	}
	for i, held := range done.Events {
		if !held {
			t.Fatalf("the fence of %s was lost", outcomes[i].EventID)
		}
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// load appends, claims and commits from several goroutines until it is stopped, and returns what was accepted, and when, and
// what was committed. After an error it tries again, as the gateway does.
func load(t testing.TB, s *store, prefix string) (stop func() (accepted map[string]time.Time, committed map[string]bool)) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	accepted, committed := map[string]time.Time{}, map[string]bool{}
	var wg sync.WaitGroup
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	var n atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				key := fmt.Sprintf("%s%06d", prefix, n.Add(1))
				if _, err := s.Append(ctx, []*event.Event{made(t, key)}); err != nil {
					pause()
					continue
				}
				mu.Lock()
				accepted[key] = time.Now()
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			some, err := s.Claim(ctx, 64, 0)
			if err != nil {
				pause()
				continue
			}
			var all []state.Outcome
			for _, c := range some {
				all = append(all, decided(c, owing(c, state.Delivered, time.Time{})))
			}
			for ctx.Err() == nil {
				done, err := s.Commit(ctx, &state.Commit{Events: all})
				if err != nil {
					pause()
					continue
				}
				mu.Lock()
				for i, c := range some {
					if done.Events[i] {
						committed[c.Event.DedupeKey] = true
					}
				}
				mu.Unlock()
				break
			}
		}
	})
	return func() (map[string]time.Time, map[string]bool) {
		cancel()
		wg.Wait()
		return accepted, committed
	}
}

// finish claims and commits what is left, and returns the accepted events that were never claimed.
func finish(t testing.TB, s *store, accepted map[string]time.Time) (lost []string) {
	t.Helper()
	// Whoever was stopped held some: they are given again, as if the answers to their claims had been lost.
	sh := s.shards[0]
	sh.mu.Lock()
	sh.lostClaim, sh.claimed = true, map[uint64]int{}
	sh.mu.Unlock()
	until(t, "nothing is pending", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h := s.Health(t.Context()); h.Err == nil && h.Pending <= 0 {
			return true
		}
		some, err := s.Claim(ctx, 256, 0)
		if err != nil {
			return false
		}
		var all []state.Outcome
		for _, c := range some {
			all = append(all, decided(c))
		}
		_, err = s.Commit(t.Context(), &state.Commit{Events: all})
		return err == nil && false
	})
	for key := range accepted {
		r, err := s.Event(t.Context(), acme, event.ID(acme, "app", key))
		if errors.Is(err, state.ErrNotFound) {
			lost = append(lost, key)
		} else if err != nil || r.Outcome == nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	counted(t, s)
	return lost
}

// accepts more than this, so that the fault comes under load.
func underLoad(t testing.TB, s *store) {
	t.Helper()
	until(t, "there is load", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return s.Health(ctx).Events > 300
	})
}

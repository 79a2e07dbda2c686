package redis

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// All texts have the same hash, as two chosen texts may have: each process reads each text as it was written, also after another
// process has written others.
func TestTextsOfOneHash(t *testing.T) {
	t.Parallel()
	srv := start(t)
	same := func(text string, further int) string {
		if further < 4 { // those of four texts are taken
			return fmt.Sprintf("same-%d", further)
		}
		return shortReference(text, further)
	}
	a, b := gate(t, srv.url()), gate(t, srv.url())
	a.names.hash, b.names.hash = same, same
	owes := func(s *store, key string, n int) state.Delivery {
		t.Helper()
		accept(t, s, key)
		c := hold(t, s, 1)[0]
		d := owing(c, state.Waiting, time.Time{})
		d.Origin.Name, d.Step, d.Destination = fmt.Sprint("rule", n), fmt.Sprint("step", n), fmt.Sprint("dest", n)
		o := decided(c, d)
		o.Generation = fmt.Sprint("generation", n)
		o.Rules = []state.RuleOutcome{{Origin: d.Origin}}
		commit(t, s, o)
		return d
	}
	var all []state.Delivery
	for n := range 4 {
		all = append(all, owes([]*store{a, b}[n%2], fmt.Sprint("e", n), n))
	}
	due, _, err := b.ClaimDue(t.Context(), state.ClaimDue{Max: 10, Lease: time.Minute})
	if err != nil || len(due) != len(all) {
		t.Fatalf("%d due, %v", len(due), err)
	}
	for _, d := range due { // what is written anew, and what comes too late
		d.Delivery.State = state.Dead
		d.Delivery.Log = []state.Attempt{{N: 1, At: time.Now(), Verdict: "rejected", Status: 400}}
		for want := range 2 {
			done, err := b.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: d.Delivery, Lease: d.Lease}}})
			if err != nil || done.Due[0] != (want == 0) {
				t.Fatalf("settled %v, %v", done, err)
			}
		}
	}
	if done, err := a.Schedule(t.Context(), acme, []state.Delivery{{ID: all[0].ID}}); err != nil || !done[0] {
		t.Fatalf("scheduled %v, %v", done, err)
	}
	for _, s := range []*store{a, b, gate(t, srv.url())} {
		for n, want := range all {
			d, err := s.Delivery(t.Context(), acme, want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d.Origin != want.Origin || d.Step != want.Step || d.Destination != want.Destination || len(d.Log) != 2 {
				t.Errorf("%s reads as %+v", want.Step, d)
			}
			r, err := s.Event(t.Context(), acme, want.EventID)
			if err != nil {
				t.Fatal(err)
			}
			if g := r.Outcome.Generation; g != fmt.Sprint("generation", n) || r.Outcome.Rules[0].Origin != want.Origin {
				t.Errorf("%s: generation %s, rule %v", want.Step, g, r.Outcome.Rules[0].Origin)
			}
		}
	}
}

// This version and a former one read each other's records, as both make the same references.
func TestReferencesOfAFormerVersion(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a")
	c := hold(t, s, 1)[0]
	d := owing(c, state.Waiting, time.Time{})
	// The former version wrote whatever it had to say, also over what was there.
	for _, text := range []string{"g", shape(&d)} {
		sum := sha256.Sum256([]byte(text))
		srv.do("HSET", s.meta+"names", string(sum[:6]), text)
	}
	commit(t, s, decided(c, d))
	if n := asInt(srv.do("HLEN", s.meta+"names")); n != 2 {
		t.Errorf("%d names, want the two that were there", n)
	}
	got, err := gate(t, srv.url()).Delivery(t.Context(), acme, d.ID)
	if err != nil || got.Step != d.Step || got.Origin != d.Origin {
		t.Fatalf("%+v, %v", got, err)
	}
}

// An emptied Redis loses the names of every replica, also of one that continues to write records with them until it notices.
func TestNamesLostWithTheStore(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	owes := func(s *store, step string) string {
		t.Helper()
		accept(t, s, step)
		c := hold(t, s, 1)[0]
		d := owing(c, state.Waiting, time.Now().Add(time.Hour))
		d.Step = step
		commit(t, s, decided(c, d))
		return d.ID
	}
	owes(a, "of a")
	owes(b, "of b")
	srv.do("FLUSHALL")
	owed := []string{owes(a, "of a"), owes(b, "of b")}
	until(t, "both have noticed", func() bool { return saysEmptied(t, a) && saysEmptied(t, b) })
	later := gate(t, srv.url())
	for _, id := range owed {
		if _, err := later.Delivery(t.Context(), acme, id); err != nil {
			t.Error(err)
		}
	}
}

// A failover, or a restart without the newest writes, may lose names that this process continues to refer to: it writes them
// again, so that every process can read its later records.
func TestNamesLostByAFailover(t *testing.T) {
	t.Parallel()
	srv := start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := gate(t, srv.url())
	owes := func(key string) state.Delivery {
		t.Helper()
		accept(t, s, key)
		c := hold(t, s, 1)[0]
		d := owing(c, state.Waiting, time.Now().Add(time.Hour))
		commit(t, s, decided(c, d))
		return d
	}
	before := owes("a")
	if err := s.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.do("DEL", "surveygate:{meta}:names")
	srv.kill()
	srv.again()
	until(t, "it goes on by itself", func() bool { return s.look(t.Context()) == nil })
	after := owes("b")
	for _, want := range []state.Delivery{before, after} {
		if d, err := gate(t, srv.url()).Delivery(t.Context(), acme, want.ID); err != nil || d.Destination != want.Destination {
			t.Errorf("%s reads as %+v, %v", want.ID, d, err)
		}
	}
}

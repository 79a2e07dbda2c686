package redis

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// saysEmptied reports whether a store warns that it lost everything.
func saysEmptied(t *testing.T, s state.Store) bool {
	t.Helper()
	return slices.ContainsFunc(s.Health(t.Context()).Warnings, func(w string) bool { return strings.Contains(w, "was found empty") })
}

// Redis is emptied while replicas run: each of them warns, and so does one that starts later. A new store does not warn, nor
// does one that lost only its consumer group.
func TestEmptiedWhileRunning(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "one")
	srv.do("XGROUP", "DESTROY", "surveygate:{0}:events", "gateway")
	same(t, "held", len(hold(t, a, 1)), 1)
	if saysEmptied(t, a) || saysEmptied(t, b) {
		t.Fatal("warned of a store that keeps everything")
	}
	key := slices.Clone(a.key)
	srv.do("FLUSHALL")
	for _, s := range []*store{a, b} {
		select {
		case <-s.Emptied():
		case <-t.Context().Done():
			t.Fatal("not noticed")
		}
		if !saysEmptied(t, s) {
			t.Error("a running replica does not warn")
		}
	}
	if later := gate(t, srv.url()); !saysEmptied(t, later) || !slices.Equal(later.key, key) {
		t.Error("a replica that starts later does not warn, or has another key of respondents")
	}
	accept(t, a, "two")
	same(t, "claimed", keysOf(hold(t, a, 1)), []string{"two"})
}

// The last changes of settings are lost with the settings, and are those of what is written afterwards.
func TestEmptiedLastChanges(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	for _, tenant := range []string{acme, "zeta"} {
		if _, err := s.Put(t.Context(), tenant, "setting", "a", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	srv.do("FLUSHALL")
	<-s.Emptied()
	last, err := s.LastChanges(t.Context(), "setting")
	if err != nil || len(last) != 0 {
		t.Fatalf("%v, %v", last, err)
	}
	v, err := s.Put(t.Context(), acme, "setting", "a", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if last, err = s.LastChanges(t.Context(), "setting"); err != nil {
		t.Fatal(err)
	}
	same(t, "last changes", last, []state.LastChange{{Tenant: acme, Version: v}})
}

// Redis is emptied while no replica runs: the note in the data folder tells the next start.
func TestEmptiedWhileStopped(t *testing.T) {
	t.Parallel()
	srv := start(t)
	note := filepath.Join(t.TempDir(), "redis-store.json")
	noted := func(o *Options) { o.Note = note }
	s := gate(t, srv.url(), noted)
	if saysEmptied(t, s) {
		t.Error("a new store is said to have been emptied")
	}
	ended := func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ended()
	if s = gate(t, srv.url(), noted); saysEmptied(t, s) {
		t.Error("an ordinary restart is said to be one on an emptied store")
	}
	ended()
	srv.do("FLUSHALL")
	if s = gate(t, srv.url(), noted); !saysEmptied(t, s) {
		t.Error("a start on an emptied store does not warn")
	}
	ended()
	if s = gate(t, srv.url(), noted); !saysEmptied(t, s) {
		t.Error("the warning did not outlive a restart")
	}
	// Another place in this Redis is another store: it is new, not emptied.
	if other := gate(t, srv.url(), noted, func(o *Options) { o.Prefix = "other" }); saysEmptied(t, other) {
		t.Error("a store of another prefix is said to have been emptied")
	}
}

package redis

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// A Redis that lost data, all of it or the last writes, gives no version a second time: watchers and readers who compare versions would
// take another value for the one they know.
func TestVersionsAfterLoss(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s, other := gate(t, srv.url()), gate(t, srv.url())
	put := func(value string, version uint64) uint64 {
		t.Helper()
		v, err := other.Put(t.Context(), acme, "setting", "a", []byte(value), version)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	changes, err := s.Watch(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	told := func() {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(time.Minute):
			t.Fatal("the watcher is not told")
		}
	}
	keys := []string{"version", "changed", settingKey(acme, "setting"), lastKey("setting")}
	first := put("one", 0)
	told()
	var saved []any
	for _, key := range keys {
		saved = append(saved, srv.do("DUMP", s.meta+key))
	}
	lost := put("two", first)
	told()
	for i, key := range keys { // as a Redis does that comes back without its last writes
		srv.do("RESTORE", s.meta+key, 0, saved[i], "REPLACE")
	}
	again := put("three", first)
	if again <= lost {
		t.Errorf("the version %d follows on the lost %d", again, lost)
	}
	told()
	srv.do("FLUSHALL")
	<-other.Emptied()
	if v := put("four", 0); v <= again {
		t.Errorf("the version %d follows on the lost %d", v, again)
	}
	told()
}

// What was lost can be put back once, and not after it was written and deleted meanwhile.
func TestPutBack(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	v, err := s.Put(t.Context(), acme, "setting", "a", []byte("lost"), 0)
	if err != nil {
		t.Fatal(err)
	}
	srv.do("FLUSHALL")
	<-s.Emptied()
	for i, want := range []error{nil, state.ErrConflict} {
		if err := s.PutBack(t.Context(), acme, "setting", "a", []byte("lost")); !errors.Is(err, want) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	kept, err := s.Get(t.Context(), acme, "setting", "a")
	if err != nil || string(kept.Value) != "lost" || kept.Version <= v {
		t.Fatalf("%+v, %v", kept, err)
	}
	if err := s.Delete(t.Context(), acme, "setting", "a", kept.Version); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBack(t.Context(), acme, "setting", "a", []byte("lost")); !errors.Is(err, state.ErrConflict) {
		t.Errorf("after the deletion: %v", err)
	}
}

// What watchers missed is bounded: those that missed more are told of everything, whatever the size of versions.
func TestForgottenChanges(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	s.recent = 2
	for i := range 4 {
		if _, err := s.Put(t.Context(), acme, "setting", string(rune('a'+i)), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	forgotten, err := s.client.Get(t.Context(), s.meta+"forgotten").Uint64()
	kept, errKept := s.Get(t.Context(), acme, "setting", "b")
	if err != nil || errKept != nil || forgotten != kept.Version {
		t.Errorf("forgotten up to %d, not %d: %v, %v", forgotten, kept.Version, err, errKept)
	}
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

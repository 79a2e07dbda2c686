package embedded

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

// TestChurn: destinations that come and go leave no key and no entry of a map.
func TestChurn(t *testing.T) {
	t.Parallel()
	h := &harness{t: t, dir: t.TempDir(), disk: vfs.NewCrashableMem(), clock: clock.NewManual(statetest.Begin)}
	if err := h.disk.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.open()
	t.Cleanup(func() { _ = h.store.Close() })
	statetest.Churn(t, h, "first-", 100)
	before := held(t, h.store)
	statetest.Churn(t, h, "second-", statetest.Few(2_000, 300))
	if diff := cmp.Diff(before, held(t, h.store)); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	h.Reopen()
	after := held(t, h.store)
	maps.DeleteFunc(after, func(name string, _ int) bool { return name == "tenants in the queue" })
	maps.DeleteFunc(before, func(name string, _ int) bool { return name == "tenants in the queue" })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after a restart: -before +after:\n%s", diff)
	}
}

// held counts what a store holds: keys by table, and entries of its maps.
func held(t *testing.T, s *store) map[string]int {
	t.Helper()
	n := map[string]int{}
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n[fmt.Sprint("keys of table ", it.Key()[0])]++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	s.due.mu.Lock()
	defer s.due.mu.Unlock()
	n["destinations"], n["tenants in the queue"], n["leases"] = len(s.due.dests), len(s.due.tenant), len(s.due.leases)
	n["future"], n["ready"] = len(s.due.future), len(s.due.ready)
	return n
}

// TestEmptyListsLeave: a list whose items have expired leaves no key, and begins anew.
func TestEmptyListsLeave(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(statetest.Begin)
	s, err := open(Options{Dir: t.TempDir(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	keep := func(list, item string) {
		if err := s.Keep(t.Context(), "acme", list, []byte(item), 10, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	expire := func() {
		c.Advance(2 * time.Hour)
		if _, err := s.Trim(t.Context(), state.Retention{}); err != nil {
			t.Fatal(err)
		}
	}
	expire() // it writes what every store has
	before := held(t, s)
	for i := range 100 {
		keep(fmt.Sprint("rejected/", i), "item")
	}
	expire()
	if diff := cmp.Diff(before, held(t, s)); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	keep("rejected/1", "new")
	if got, err := s.Kept(t.Context(), "acme", "rejected/1", 0, -1); err != nil || len(got) != 1 || string(got[0]) != "new" {
		t.Errorf("%q, %v", got, err)
	}
}

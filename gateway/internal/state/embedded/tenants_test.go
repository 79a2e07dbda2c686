package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// comparing compares the usage that the store counts with its records.
type comparing struct{ diff string }

func (op *comparing) stage(t *tx) error {
	fresh := tenantUses{byName: map[string]*tenantUse{}}
	c := &t.s.w.counters
	must(fresh.count(t.s.db, c.first, func(key []byte) error { return fmt.Errorf("%q leads nowhere", key) }))
	var share, shareBytes, events int64
	for _, u := range fresh.byName {
		fresh.idBytes += u.idBytes
		share, shareBytes, events = share+u.share, shareBytes+u.shareBytes, events+u.bytes-u.shareBytes
		for front, table := range map[*front]byte{&u.shareFront: tabShare, &u.idFront: tabRemovedID} {
			f, err := frontOf(t.s.db, table, u.name)
			must(err)
			*front = f
		}
	}
	op.diff = cmp.Diff(fresh, t.s.w.tenants, cmp.AllowUnexported(tenantUses{}, tenantUse{}, front{}), cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".changed" || p.Last().String() == ".dirty"
	}, cmp.Ignore()))
	op.diff += cmp.Diff([]int64{share, shareBytes, events}, []int64{c.share, c.shareBytes, c.bytes})
	op.diff += compareCounts(t.s) + compareLists(t)
	return nil
}

// compareCounts compares the bytes and names of statistics that the store counts with its records.
func compareCounts(s *store) string {
	type use struct {
		step   state.StatStep
		period int64
		tenant string
	}
	there, said := map[use]int64{}, map[use]int64{}
	var sum int64
	must(scan(s.db, []byte{tabCount}, func(rest, value []byte) error {
		step, period, tail, _ := cutStep(rest)
		tenant, _, _ := cutText(tail)
		there[use{step, period, tenant}] += int64(1 + len(rest) + len(value) + countOverhead)
		sum += int64(1 + len(rest) + len(value) + countOverhead)
		return nil
	}))
	must(scan(s.db, []byte{tabCountUse}, func(rest, value []byte) error {
		step, period, tail, _ := cutStep(rest)
		tenant, _, _ := cutText(tail)
		said[use{step, period, tenant}] = readNumber(value)
		return nil
	}))
	names, numbers := map[string]int64{}, map[string]int64{}
	must(scan(s.db, []byte{tabCountName}, func(rest, value []byte) error {
		tenant, tail, _ := cutText(rest)
		if key := fmt.Sprintf("%q %c", tenant, tail[0]); len(tail) == 1 {
			numbers[key] = readNumber(value)
		} else {
			names[key]++
		}
		return nil
	}))
	return cmp.Diff(there, said, cmp.AllowUnexported(use{})) + cmp.Diff(sum, s.countBytes.Load()) + cmp.Diff(names, numbers)
}

func counted(t *testing.T, s *store) {
	t.Helper()
	op := &comparing{}
	if err := s.do(context.Background(), &call{op: op, alone: true}); err != nil {
		if !errors.Is(err, state.ErrClosed) {
			t.Fatal(err)
		}
		return
	}
	if op.diff != "" {
		t.Errorf("what tenants have (-there is, +counted):\n%s", op.diff)
	}
}

// eventsOf makes events of a tenant.
func eventsOf(t *testing.T, tenant string, n int) []*event.Event {
	t.Helper()
	all := benchEvents(t, 0, n)
	for i, e := range all {
		h := e.Header
		h.Tenant, h.ID = tenant, event.ID(tenant, "app", h.DedupeKey)
		var err error
		if all[i], err = event.New(h, &event.Data{Response: event.Response{ID: h.ResponseID}}, e.Raw); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// decide appends and commits events.
func decide(t *testing.T, s *store, events []*event.Event) {
	t.Helper()
	appendAll(t, s, events)
	for n := 0; n < len(events); {
		claimed, err := s.Claim(t.Context(), 256, 0)
		if err != nil {
			t.Fatal(err)
		}
		n += len(claimed)
		c := &state.Commit{}
		for _, x := range claimed {
			c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, At: x.Event.Received})
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func trimAll(t *testing.T, s *store, r state.Retention) (all state.Trimmed) {
	t.Helper()
	for {
		done, err := s.Trim(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if done.Nothing() {
			return all
		}
		all.Add(done)
	}
}

// downgrade turns a closed folder into that of a former version: usage is not counted by tenant, and the ids of removed events
// are in one list.
func downgrade(t *testing.T, dir string, more func(*pebble.DB)) {
	t.Helper()
	db, err := pebble.Open(filepath.Join(dir, "events"), &pebble.Options{Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	value, closer, err := db.Get(metaCounters)
	must(err)
	var c counters
	_, err = c.read(value)
	must(errors.Join(err, closer.Close()))
	must(scan(db, []byte{tabRemovedID}, func(rest, value []byte) error {
		tenant, at, _ := cutText(rest)
		g, err := readRemovedID(value)
		must(err)
		former := appendID(state.AppendText(appendInt(nil, g.at), tenant), g.id)
		c.dedupeCount++
		c.dedupeBytes += formerBytes(former)
		return db.Set(append([]byte{tabDedupe}, at...), former, pebble.NoSync)
	}))
	c.dedupe = 1
	must(db.DeleteRange([]byte{tabRemovedID}, []byte{tabRemovedID + 1}, pebble.NoSync))
	must(db.DeleteRange([]byte{tabTenant}, []byte{tabTenant + 1}, pebble.NoSync))
	if more != nil {
		more(db)
	}
	whole := c.append(nil)
	must(db.Set(metaCounters, whole[:len(whole)-len(appendInt(appendInt(nil, c.share), c.shareBytes))], pebble.Sync))
	must(db.Close())
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func reopen(t *testing.T, s *store, between func(dir string)) *store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	between(s.opts.Dir)
	next, err := open(s.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = next.Close() })
	counted(t, next)
	return next
}

// A folder of a former version: the first start counts the usage of tenants, and moves the ids of removed events to their
// tenants, so that one tenant does not push out the ids of another.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := benchStore(t)
	gone, theirs := eventsOf(t, "quiet", 20), eventsOf(t, "loud", 2000)
	decide(t, s, gone)
	decide(t, s, theirs[:1500])
	trimAll(t, s, state.Retention{Events: state.Bound{Bytes: 1}})
	mine := eventsOf(t, "quiet", 60)[20:]
	decide(t, s, mine)
	decide(t, s, theirs[1500:])
	s = reopen(t, s, func(dir string) { downgrade(t, dir, nil) })
	if n := s.w.counters.dedupeCount; n != 1520 {
		t.Fatalf("%d ids are in the former list", n)
	}
	bound := s.Health(t.Context()).Bytes / 5
	r := state.Retention{Events: state.Bound{Bytes: bound}, Dedupe: state.Bound{Bytes: 100 * 200}}
	done := trimAll(t, s, r)
	if done.Moved < 1520+len(mine) || done.Dedupe < 1000 {
		t.Errorf("trimmed %+v", done)
	}
	check := func() {
		t.Helper()
		counted(t, s)
		results, err := s.Append(t.Context(), append(slices.Clone(gone), mine...))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if !r.Duplicate || (r.Position == 0) != (i < len(gone)) {
				t.Fatalf("event %d of the quiet: %+v", i, r)
			}
		}
		if h := s.Health(t.Context()); h.Bytes > bound {
			t.Errorf("%d bytes are kept, the bound is %d", h.Bytes, bound)
		}
	}
	check()
	if s.w.counters.dedupeCount != 0 {
		t.Errorf("%d ids are left in the former list", s.w.counters.dedupeCount)
	}

	// The former version ran once more, and removed some events of shares.
	s = reopen(t, s, func(dir string) {
		downgrade(t, dir, func(db *pebble.DB) {
			must(db.Delete(posKey(nil, tabKept, 1521), pebble.NoSync))
		})
	})
	if u := s.w.tenants.byName["quiet"]; u.share != int64(len(mine)-1) {
		t.Errorf("%d events are in the share, want %d", u.share, len(mine)-1)
	}
	trimAll(t, s, r)
	mine = mine[1:]
	check()
}

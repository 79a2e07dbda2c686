package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
	"github.com/surveygate/surveygate/rules/event"
)

// fillStore makes a store of two tenants with every kind of record that a repair copies, and closes it.
func fillStore(t *testing.T, dir string, n int, flush bool) (events []*event.Event) {
	t.Helper()
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	past := eventsOf(t, "red", n)
	decide(t, s, past[:20])
	trimAll(t, s, state.Retention{Events: state.Bound{Bytes: 1}}) // ids of removed events
	blue := eventsOf(t, "blue", n)
	for i := range n - 20 {
		events = append(events, past[20+i], blue[i])
	}
	appendAll(t, s, events)
	now := time.Now()
	for decided := 0; decided < len(events)-10; {
		claimed, err := s.Claim(ctx, 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		decided += len(claimed)
		c := &state.Commit{}
		for i, x := range claimed {
			o := state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Generation: fmt.Sprint("g", decided%3), At: now}
			if i == 9 {
				o.Dead = "no rule could be run"
			}
			for k, to := range []state.DeliveryState{state.Delivered, state.Waiting, state.Dead} {
				d := state.Delivery{
					ID: fmt.Sprintf("dl_%s_%013d", x.Event.ID, k), Origin: state.Origin{Kind: state.Rule, Name: "r"}, Step: "s",
					Destination: fmt.Sprint("d", (i+k)%3), Connector: "slack", State: to,
				}
				if to != state.Waiting {
					d.Attempts, d.Log = 1, []state.Attempt{{N: 1, At: now, Verdict: map[bool]string{true: "delivered", false: "rejected"}[to == state.Delivered]}}
				} else if i%2 == 0 {
					d.Due = now.Add(time.Hour)
				}
				o.Deliveries = append(o.Deliveries, d)
			}
			c.Events = append(c.Events, o)
		}
		if _, err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	due, _, err := s.ClaimDue(ctx, state.ClaimDue{Max: 20, Lease: time.Minute})
	if err != nil || len(due) != 20 {
		t.Fatal(len(due), err)
	}
	c := &state.Commit{}
	for i, x := range due {
		d := x.Delivery
		d.Attempts, d.State = 1, state.Delivered
		d.Log = []state.Attempt{{N: 1, At: now, Verdict: "delivered"}}
		if i%2 == 0 {
			d.State, d.Due, d.Log[0].Verdict = state.Waiting, now.Add(2*time.Hour), "retry"
		}
		c.Due = append(c.Due, state.Settled{Delivery: d, Lease: x.Lease})
	}
	if _, err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	trimAll(t, s, state.Retention{Events: state.Bound{Bytes: 30_000}}) // some move into shares
	for i := range 5 {
		if _, err := s.Put(ctx, "red", "kind", fmt.Sprint("name", i), []byte("value"), 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Keep(ctx, "red", "list", fmt.Append(nil, "item", i), 3, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		s.Hold(ctx, "blue", "d1", state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: now}, nil),
		errorOf(s.AddCounts(ctx, []state.Count{{Tenant: "red", Kind: state.DestinationStats, Name: "d0", At: now, Counts: [state.MaxCounters]int64{3}}})),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Once(ctx, "blue", []state.OnceKey{{Key: "k", Owner: "o"}}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lease(ctx, "reports", "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	if flush {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return events
}

// contents returns all records of a closed store.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	db, err := pebble.Open(filepath.Join(dir, "events"), &pebble.Options{ReadOnly: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	err = errors.Join(between(db, nil, nil, func(key, value []byte) error {
		text := fmt.Sprintf("%q", value)
		switch {
		case bytes.Equal(key, metaTime):
			return nil // it changes by itself
		case bytes.Equal(key, metaCounters):
			c := &counters{}
			if _, err := c.read(value); err != nil {
				return err
			}
			c.low, c.claimedFrom, c.claimedTo = 0, 0, 0 // marks of claims: a repair resets them
			text = fmt.Sprintf("%q", c.append(nil))
		}
		all[fmt.Sprintf("%s %q", tableNames[key[0]], key)] = text
		return nil
	}), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRepairWhole: rebuilding an undamaged store gives the same store, record by record, including indexes, lists and counts.
func TestRepairWhole(t *testing.T) {
	t.Parallel()
	for _, flush := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "store")
		fillStore(t, dir, 60, flush)
		if _, err := Repair(dir, false, nil); !errors.Is(err, ErrWhole) {
			t.Fatalf("got %v", err)
		}
		files := filesOf(t, dir)
		before := contents(t, dir)
		r, err := Repair(dir, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Damage)+len(r.LostEvents)+len(r.LeftOut) > 0 {
			t.Errorf("report: %+v", r)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("(-before, +after):\n%s", diff)
		}
		if diff := cmp.Diff(files, filesOf(t, r.Quarantine)); diff != "" {
			t.Errorf("the quarantine differs:\n%s", diff)
		}
	}
}

// damage is a way to damage a closed store.
type damage struct {
	name  string
	flush bool
	hurt  func(t *testing.T, folder string)
	loses bool
}

// flip changes bytes in the largest file of a kind.
func flip(pattern string, at func(size int) int, n int) func(*testing.T, string) {
	return func(t *testing.T, folder string) {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(all) == 0 {
			t.Fatal(all, err)
		}
		var largest string
		var content []byte
		for _, path := range all {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > len(content) {
				largest, content = path, text
			}
		}
		from := at(len(content))
		for i := range n {
			content[from+i] ^= 0xff
		}
		if err := os.WriteFile(largest, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRepairDamaged: undamaged records are unchanged, the counts are right, lost events are reported and are accepted when they
// are sent again, and the quarantine has the original files.
func TestRepairDamaged(t *testing.T) {
	t.Parallel()
	n := statetest.Few(1500, 600)
	for _, d := range []damage{
		{"first block of a table", true, flip("*.sst", func(int) int { return 2000 }, 8), true},
		{"a block in a table", true, flip("*.sst", func(size int) int { return size / 4 }, 64), true},
		{"two stretches of a table", true, func(t *testing.T, folder string) {
			flip("*.sst", func(size int) int { return size / 5 }, 64)(t, folder)
			flip("*.sst", func(size int) int { return size * 2 / 3 }, 64)(t, folder)
		}, true},
		{"a log in its middle", false, flip("*.log", func(size int) int { return size / 2 }, 64), true},
		{"the counters", true, func(t *testing.T, folder string) {
			db, err := pebble.Open(folder, &pebble.Options{Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set(metaCounters, []byte{9}, pebble.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
		}, false},
	}[:statetest.Few(5, 2)] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			events := fillStore(t, dir, n, d.flush)
			before := contents(t, dir)
			d.hurt(t, filepath.Join(dir, "events"))
			files := filesOf(t, dir)
			r, err := Repair(dir, !d.loses || !d.flush, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d events, %d pending, lost %v of %v, left out %v, damage %q", r.Events, len(events), r.Pending, r.LostEvents, r.LostByTenant, r.LeftOut, r.Damage)
			if len(r.Damage) == 0 {
				t.Error("no damage is told")
			}
			if diff := cmp.Diff(files, filesOf(t, r.Quarantine)); diff != "" {
				t.Error("the quarantine differs")
			}
			after := contents(t, dir)
			changed := 0
			for key, value := range after {
				if former, ok := before[key]; !ok || former != value {
					changed++
					table, _, _ := strings.Cut(key, " ")
					if d.name == "the counters" || table == "history" || table == "events" || table == "settings" {
						t.Errorf("%s was %s, is %s", key, former, value)
					}
				}
			}
			if missing := len(before) - len(after); missing > len(before)/2 {
				t.Errorf("%d of %d records are missing", missing, len(before))
			}
			if d.name == "the counters" && len(before) != len(after) {
				t.Errorf("%d records, were %d", len(after), len(before))
			}
			readRepaired(t, dir, events, r, d.loses)
		})
	}
}

// readRepaired opens a repaired store, and checks that the counted records are there, and that every event of a range is either
// found, or accepted when it is sent again.
func readRepaired(t *testing.T, dir string, events []*event.Event, r *Repaired, loses bool) {
	t.Helper()
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	counted(t, s)
	countedLists(t, s)
	results, err := s.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for i, x := range results {
		if !x.Duplicate {
			fresh++
			continue
		}
		if x.Position == 0 {
			continue // retention had removed it before
		}
		got, err := s.Event(t.Context(), events[i].Tenant, events[i].ID)
		if err != nil || !bytes.Equal(got.Event.Raw.Body, events[i].Raw.Body) {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if loses != (fresh > 0) && r.Pending == 0 || fresh > len(events)/2 {
		t.Errorf("%d events are lost", fresh)
	}
	pending := map[string]bool{}
	for len(pending) < r.Pending+fresh {
		claimed, err := s.Claim(t.Context(), 256, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &state.Commit{}
		for _, x := range claimed {
			if pending[x.Event.ID] {
				t.Fatalf("%s is claimed twice", x.Event.ID)
			}
			pending[x.Event.ID] = true
			c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID})
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if h := s.Health(t.Context()); h.Pending != 0 || h.Err != nil {
		t.Errorf("health: %+v", h)
	}
	for _, tenant := range []string{"red", "blue"} {
		for q := (state.DeliveryQuery{Limit: 200}); ; {
			page, err := s.Deliveries(t.Context(), tenant, q)
			if err != nil {
				t.Fatal(err)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
	}
	trimAll(t, s, state.Retention{Events: state.Bound{Bytes: 1}, Waiting: state.WaitingBound{Count: 1}, History: state.HistoryBound{PerDestination: 1}})
	counted(t, s)
	countedLists(t, s)
}

// countedLists compares the counts of destinations with their lists.
func countedLists(t *testing.T, s *store) {
	t.Helper()
	want := map[string]destCounts{}
	for _, table := range []byte{tabWaiting, tabDead, tabHistory, tabFailures} {
		must(scan(s.db, []byte{table}, func(rest, _ []byte) error {
			tenant, tail, _ := cutText(rest)
			name, _, _ := cutText(tail)
			c := want[tenant+"/"+name]
			switch table {
			case tabWaiting:
				c.waiting++
			case tabDead:
				c.dead++
			case tabHistory:
				c.history++
			case tabFailures:
				c.failures++
			}
			want[tenant+"/"+name] = c
			return nil
		}))
	}
	got := map[string]destCounts{}
	for _, d := range s.due.destinations("*") {
		c := d.counts
		c.waitingBytes, c.deadBytes = 0, 0
		if c != (destCounts{}) {
			got[d.tenant+"/"+d.name] = c
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(destCounts{})); diff != "" {
		t.Errorf("lists of destinations (-there is, +counted):\n%s", diff)
	}
}

// errorOf returns the error of a call that also returns something else.
func errorOf[T any](_ T, err error) error { return err }

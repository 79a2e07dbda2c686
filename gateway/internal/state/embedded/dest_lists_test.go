package embedded

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// send commits a delivery of each of some rules to a destination.
func send(t *testing.T, s *store, from int, dest string, rules ...string) {
	t.Helper()
	if _, err := s.Append(t.Context(), benchEvents(t, from, len(rules))); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(rules); {
		some, err := s.Claim(t.Context(), len(rules)-i, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &state.Commit{}
		for _, x := range some {
			c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Deliveries: []state.Delivery{{
				ID: "dl_" + x.Event.ID + benchSuffix, Tenant: x.Event.Tenant, EventID: x.Event.ID, Step: dest, Destination: dest,
				Origin: state.Origin{Kind: state.Rule, Name: rules[i]}, Connector: "webhook", State: state.Delivered,
				Log: []state.Attempt{{N: 1, At: time.Now(), Verdict: "delivered", Status: 200}},
			}}})
			i++
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// rowsOf returns how many rows a rule has, and how many entries were read for them.
func rowsOf(t *testing.T, s *store, rule string) (rows int, entries int64) {
	t.Helper()
	before := s.reads.entries.Load()
	page, err := s.Deliveries(t.Context(), "default", state.DeliveryQuery{Rule: rule, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Items), s.reads.entries.Load() - before
}

// formerDests leaves the records of destinations as a former version writes them.
func formerDests(t *testing.T, dir string, more func(*pebble.DB)) {
	t.Helper()
	db, err := pebble.Open(filepath.Join(dir, "events"), &pebble.Options{Logger: quiet{}})
	must(err)
	must(scan(db, []byte{tabDest}, func(rest, value []byte) error {
		counts, unknownTo, err := readDest(value)
		if must(err); unknownTo == unlooked {
			return nil
		}
		whole := appendDest(nil, &counts, unknownTo)
		return db.Set(append([]byte{tabDest}, rest...), whole[:len(whole)-len(appendInt(nil, max(unknownTo, 0)))], pebble.Sync)
	}))
	more(db)
	must(db.Close())
}

// What a former version wrote has no record of its rule: pages read it for every rule, and pass over what was written since.
func TestRulesOfAFormerVersion(t *testing.T) {
	t.Parallel()
	s := benchStore(t)
	send(t, s, 0, "crm", "vip", "all", "all", "all")
	send(t, s, 10, "mail", "all", "all")
	s = reopen(t, s, func(dir string) {
		formerDests(t, dir, func(db *pebble.DB) { must(db.DeleteRange([]byte{tabRule}, []byte{tabRule + 1}, pebble.Sync)) })
	})
	expect := func(what, rule string, rows int, most int64) {
		t.Helper()
		for range 2 {
			if got, entries := rowsOf(t, s, rule); got != rows || entries > most {
				t.Errorf("%s: %d rows of %s with %d entries, want %d with %d at most", what, got, rule, entries, rows, most)
			}
		}
	}
	expect("an old store", "vip", 1, 6)
	send(t, s, 20, "crm", "new", "new", "new", "new", "new", "new", "new", "new")
	send(t, s, 30, "mail", "vip")
	expect("since", "vip", 2, 7)
	expect("since", "new", 8, 14)
	expect("since", "none", 0, 6)
	send(t, s, 40, "chat", "new")
	s = reopen(t, s, func(string) {})
	expect("after a start", "vip", 2, 7)

	// The former version runs once more, and has a new rule.
	send(t, s, 50, "crm", "gone", "gone")
	s = reopen(t, s, func(dir string) {
		formerDests(t, dir, func(db *pebble.DB) {
			must(db.Delete(appendText(destPrefix(nil, tabRule, "default", "crm"), "gone"), pebble.Sync))
		})
	})
	expect("after the former version", "gone", 2, 18)
	expect("after the former version", "vip", 2, 18)
}

// A destination of more rules than are kept is read for every rule.
func TestDestinationOfManyRules(t *testing.T) {
	t.Parallel()
	s := benchStore(t)
	var rules []string
	for i := range maxDestRules + 10 {
		rules = append(rules, fmt.Sprint("r", i))
	}
	send(t, s, 0, "crm", rules...)
	for range 2 {
		for _, rule := range []string{"r0", "r999", "r1005"} {
			if rows, _ := rowsOf(t, s, rule); rows != 1 {
				t.Errorf("%s has %d rows", rule, rows)
			}
		}
		if n := len(s.due.find("default", "crm").rules.names); n != maxDestRules {
			t.Errorf("%d rules are kept", n)
		}
		s = reopen(t, s, func(string) {})
	}
}

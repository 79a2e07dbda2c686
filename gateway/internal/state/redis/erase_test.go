package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
	"github.com/surveygate/surveygate/rules/event"
)

// After Erase no DUMP of any key has a byte of what was erased, and after BGREWRITEAOF no file has one: neither of events of any
// size, beside others in one node of the stream, nor of history.
func TestErasedBytesLeaveRedis(t *testing.T) {
	t.Parallel()
	srv := start(t, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--rdbcompression", "no")
	s, err := open(Options{URL: srv.url()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	word := []byte("Kq9vXw2ZpRt")
	now := time.Now()
	var erased []string
	others := 0
	accept := func(i int, mine bool, pad int) {
		t.Helper()
		name := fmt.Sprintf("other%d", i)
		if mine {
			name = string(word)
		}
		h := event.Header{
			Tenant: "acme", Source: "app", SourceKind: "api", Type: event.TypeResponseCompleted, SurveyID: "s1", ResponseID: fmt.Sprint("r", i),
			Time: now, Received: now, DedupeKey: fmt.Sprint(i), Verified: "token",
		}
		ev, err := event.New(h, &event.Data{Respondent: event.Respondent{Email: name + "@x.io"}, Response: event.Response{Feedback: name + strings.Repeat("y", pad)}},
			event.Raw{Body: []byte(name)})
		ok(err)
		_, err = s.Append(ctx, []*event.Event{ev})
		ok(err)
		claimed, err := s.Claim(ctx, 1, 0)
		ok(err)
		var all []state.Delivery
		for k, st := range []state.DeliveryState{state.Dead, state.Delivered, state.Waiting} {
			d := state.Delivery{
				ID: state.JoinDeliveryID(ev.ID, fmt.Sprintf("crmaaaaaaaaa%d", k)), Tenant: "acme", EventID: ev.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
				Step: "crm", Destination: "crm", Connector: "webhook", State: st, Reason: "no: " + name, Ref: name, Attempts: 1,
				Log: []state.Attempt{{N: 1, At: now, Verdict: "rejected", Status: 422, Reason: name, Request: []byte(name), Response: []byte(name + strings.Repeat("z", pad/2))}},
			}
			if st == state.Waiting {
				d.Due = now.Add(time.Hour)
			}
			all = append(all, d)
		}
		done, err := s.Commit(ctx, &state.Commit{Events: []state.Outcome{{
			Position: claimed[0].Position, Tenant: "acme", EventID: ev.ID, Deliveries: all, At: now,
			Rules: []state.RuleOutcome{{Origin: state.Origin{Kind: state.Rule, Name: "bad"}, Err: name}},
		}}})
		ok(err)
		if !done.Events[0] {
			t.Fatal("not committed")
		}
		if mine {
			erased = append(erased, ev.ID)
		} else {
			others++
		}
	}
	for i := range 300 {
		accept(i, i%17 == 0 || i >= 140 && i < 150, []int{0, 0, 3000, 10, 9000, 500}[i%6])
	}
	if dumped(t, srv, word) == "" || written(t, srv, word) == "" {
		t.Fatal("it was never there")
	}
	for at := range (len(erased) + 9) / 10 {
		some := erased[at*10 : min(len(erased), at*10+10)]
		results, err := s.Erase(ctx, "acme", some)
		ok(err)
		for _, r := range results {
			if !r.Found || r.Busy != "" || r.Attempts != 3 {
				t.Fatalf("%+v", r)
			}
		}
	}
	if key := dumped(t, srv, word); key != "" {
		t.Errorf("the DUMP of %s has it", key)
	}
	srv.do("BGREWRITEAOF")
	until(t, "the file is written anew", func() bool {
		info := fmt.Sprint(srv.do("INFO", "persistence"))
		return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
	})
	if path := written(t, srv, word); path != "" {
		t.Errorf("%s has it", path)
	}
	left := 0
	ok(s.Range(ctx, "acme", 0, func(r *state.Record) error {
		if !r.Event.IsErased() {
			left++
			if !strings.HasPrefix(string(r.Event.Raw.Body), "other") || len(r.Outcome.Deliveries) != 3 {
				t.Errorf("a neighbour is %s", r.Event.EnvelopeWithRaw())
			}
		}
		return nil
	}))
	if left != others {
		t.Errorf("%d events of others are left of %d", left, others)
	}
	page, err := s.Deliveries(ctx, "acme", state.DeliveryQuery{Failed: true, Limit: 200})
	ok(err)
	for _, d := range page.Items {
		if own := strings.HasPrefix(string(d.Log[0].Request), "other"); own == (d.Reason == state.ErasedReason) {
			t.Errorf("an attempt is %+v", d.Log[0])
		}
	}
	counted(t, s)
}

// dumped returns a key whose DUMP has a text; empty: none has.
func dumped(t *testing.T, srv *server, text []byte) string {
	t.Helper()
	c := srv.client()
	defer c.Close()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		dump, err := c.Dump(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(dump, string(text)) {
			return key
		}
	}
	return ""
}

// written returns a file of the server that has a text; empty: none has.
func written(t *testing.T, srv *server, text []byte) (found string) {
	t.Helper()
	err := filepath.WalkDir(srv.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// After the group was lost, the pending events are counted without those that erasing took out of the stream.
func TestPendingIsRightAfterErasingAndALostGroup(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s, err := open(Options{URL: srv.url()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	accept := func(keys ...string) (ids []string) {
		t.Helper()
		for _, key := range keys {
			ev, err := event.New(event.Header{
				Tenant: "acme", Source: "app", Type: event.TypeResponseCompleted, Received: time.Now(), DedupeKey: key, Verified: "token",
			}, nil, event.Raw{Body: []byte(strings.Repeat("x", 1500))})
			ok(err)
			_, err = s.Append(ctx, []*event.Event{ev})
			ok(err)
			ids = append(ids, ev.ID)
		}
		return ids
	}
	commit := func(n int) {
		t.Helper()
		for n > 0 {
			claimed, err := s.Claim(ctx, n, 0)
			ok(err)
			c := &state.Commit{}
			for _, one := range claimed {
				c.Events = append(c.Events, state.Outcome{Position: one.Position, Tenant: "acme", EventID: one.Event.ID, At: time.Now()})
			}
			_, err = s.Commit(ctx, c)
			ok(err)
			n -= len(claimed)
		}
	}
	ids := accept("a", "b", "c", "d", "e", "f", "g", "h")
	commit(8)
	for _, id := range []string{ids[2], ids[7]} {
		results, err := s.Erase(ctx, "acme", []string{id})
		ok(err)
		if results[0].Busy != "" {
			t.Fatalf("%+v", results[0])
		}
	}
	accept("i", "j")
	srv.do("XGROUP", "DESTROY", s.shards[0].base+"events", group)
	claimed, err := s.Claim(ctx, 10, 0)
	ok(err)
	if len(claimed) != 2 {
		t.Errorf("claimed %d", len(claimed))
	}
	if h := s.Health(ctx); h.Pending != 2 || h.Events != 10 {
		t.Errorf("%d pending, %d events", h.Pending, h.Events)
	}
}

// Erasing, retention by age and by bytes, shares and revisions in any order leave no counter, list or key behind.
func TestErasingAmongRetention(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for seed := range uint64(statetest.Few(3, 1)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			now := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
			s, err := open(Options{URL: srv.url(), Prefix: fmt.Sprint("r", seed), Clock: now})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx := context.Background()
			ok := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			tenants := []string{"acme", "loud"}
			events, erased := map[string]*event.Event{}, map[string]bool{}
			var ids []string
			accept := func(tenant string) {
				t.Helper()
				key := fmt.Sprint("k", len(ids))
				ev, err := event.New(event.Header{
					Tenant: tenant, Source: "app", Type: event.TypeResponseCompleted, ResponseID: "r" + key, Received: now.Now(), DedupeKey: key, Verified: "token",
				}, &event.Data{Respondent: event.Respondent{Email: key + "@x.io"}}, event.Raw{Body: []byte(strings.Repeat("x", random.IntN(3000)))})
				ok(err)
				_, err = s.Append(ctx, []*event.Event{ev})
				ok(err)
				claimed, err := s.Claim(ctx, 1, 0)
				ok(err)
				o := state.Outcome{Position: claimed[0].Position, Tenant: tenant, EventID: ev.ID, At: now.Now()}
				if random.IntN(4) == 0 {
					o.Deliveries = append(o.Deliveries, state.Delivery{
						ID: state.JoinDeliveryID(ev.ID, "crmaaaaaaaaaa"), Tenant: tenant, EventID: ev.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
						Step: "crm", Destination: "crm", Connector: "webhook", State: state.Dead, Reason: "no", Attempts: 1,
						Log: []state.Attempt{{N: 1, At: now.Now(), Verdict: "rejected", Request: []byte("x")}},
					})
				}
				_, err = s.Commit(ctx, &state.Commit{Events: []state.Outcome{o}})
				ok(err)
				ids, events[ev.ID] = append(ids, ev.ID), ev
			}
			for range 120 {
				now.Advance(time.Duration(random.IntN(60)) * time.Second)
				switch random.IntN(6) {
				case 0, 1, 2:
					tenant := tenants[min(random.IntN(4), 1)]
					for range 1 + random.IntN(6) {
						accept(tenant)
					}
				case 3:
					if len(ids) == 0 {
						continue
					}
					ev := events[ids[len(ids)-1-random.IntN(min(len(ids), 60))]]
					res, err := s.Erase(ctx, ev.Tenant, []string{ev.ID})
					ok(err)
					if res[0].Busy != "" {
						t.Fatalf("%+v", res[0])
					}
					erased[ev.ID] = true
				case 4:
					if len(ids) == 0 {
						continue
					}
					ev := events[ids[len(ids)-1-random.IntN(min(len(ids), 30))]]
					next, err := event.Revise(ev, ev)
					ok(err)
					if err := s.Revise(ctx, ev.Tenant, &state.Revision{Event: next, At: now.Now()}); err == nil {
						events[ev.ID] = next
						if erased[ev.ID] {
							t.Fatal("an erased event was revised")
						}
					} else if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrNotFound) {
						t.Fatal(err)
					}
				case 5:
					r := state.Retention{Events: state.Bound{Age: time.Duration(10+random.IntN(60)) * time.Minute}, Dedupe: state.Bound{Age: time.Hour}}
					if random.IntN(2) == 0 {
						r.Events.Bytes = int64(20_000 + random.IntN(100_000))
					}
					for range 50 {
						done, err := s.Trim(ctx, r)
						ok(err)
						if !done.More {
							break
						}
					}
				}
				counted(t, s)
			}
			left := int64(0)
			for _, tenant := range tenants {
				ok(s.Range(ctx, tenant, 0, func(r *state.Record) error {
					left++
					if r.Event.IsErased() != erased[r.Event.ID] || !erased[r.Event.ID] && !bytes.Equal(r.Event.Envelope(), events[r.Event.ID].Envelope()) {
						t.Errorf("an event is %s", r.Event.Envelope())
					}
					return nil
				}))
			}
			if h := s.Health(ctx); h.Events != left {
				t.Errorf("%d events are counted, and %d are there", h.Events, left)
			}
			now.Advance(48 * time.Hour)
			for range 100 {
				done, err := s.Trim(ctx, state.Retention{
					Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: time.Hour}, Dead: state.Bound{Age: time.Hour}, History: state.HistoryBound{Age: time.Hour},
				})
				ok(err)
				if done.Nothing() {
					break
				}
			}
			for _, pattern := range []string{"kept*", "loose*", "share:*", "revised:*", "terms:*"} {
				if keys := s.client.Keys(ctx, s.shards[0].base+pattern).Val(); len(keys) > 0 {
					t.Errorf("left is %v", keys)
				}
			}
			if h := s.Health(ctx); h.Events != 0 || h.Bytes != 0 {
				t.Errorf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
			}
		})
	}
}

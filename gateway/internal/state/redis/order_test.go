package redis

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// sent commits one delivery to each of some destinations, and returns their names.
func sent(t *testing.T, s *store, key string, st state.DeliveryState, dests ...string) {
	t.Helper()
	var events []*event.Event
	for i := range dests {
		events = append(events, made(t, fmt.Sprint(key, i)))
	}
	appendAll(t, s, events)
	for i := 0; i < len(dests); {
		some, err := s.Claim(t.Context(), len(dests)-i, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &state.Commit{}
		for _, x := range some {
			d := benchDelivery(x.Event, 0, st, time.Now())
			d.Destination = dests[i]
			c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Deliveries: []state.Delivery{d}})
			i++
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// shown returns the destinations of all rows, in pages of three, newest first.
func shown(t *testing.T, s *store, q state.DeliveryQuery) (dests []string) {
	t.Helper()
	for q.Limit = 3; ; {
		page, err := s.Deliveries(t.Context(), acme, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Items {
			dests = append(dests, d.Destination)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return dests
		}
	}
}

// asFormer does what a replica of a former version would do: it commits and does not keep the orders.
func asFormer(srv *server, s *store, do func()) {
	keys := map[string]string{}
	for _, kind := range listLetters {
		key := s.shards[0].base + "order:acme:" + string(kind)
		keys[key] = asText(srv.do("DUMP", key))
	}
	do()
	for key, was := range keys {
		srv.do("DEL", key)
		if was != "" {
			srv.do("RESTORE", key, 0, was)
		}
	}
}

func namesFrom(from, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("d%03d", from+i))
	}
	return all
}

// What a former version wrote is in no order: before the upgrade, beside this version, and between two replicas of this one.
func TestListsHaveWhatAFormerVersionWrote(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	base := s.shards[0].base
	var want []string
	check := func(what string) {
		t.Helper()
		for range 2 {
			same(t, what, shown(t, s, state.DeliveryQuery{}), want)
		}
		same(t, what+", failed", shown(t, s, state.DeliveryQuery{State: state.Delivered}), want)
	}
	send := func(key string, dests ...string) {
		t.Helper()
		for i, d := range dests { // each at a time of its own
			sent(t, s, key+fmt.Sprint(i), state.Delivered, d)
			want = append([]string{d}, want...)
		}
	}
	asFormer(srv, s, func() { send("before", namesFrom(0, 10)...) })
	check("an old store")
	if srv.do("SISMEMBER", base+"ordered", acme) != int64(1) {
		t.Fatal("the orders are not noted as complete")
	}

	srv.do("ZADD", base+"holders", micros(time.Now().Add(time.Hour)), "former")
	asFormer(srv, s, func() { send("beside", namesFrom(3, 4)...) })
	check("beside a former version")
	if err := s.beat(t.Context(), s.shards[0]); err != nil {
		t.Fatal(err)
	}
	asFormer(srv, s, func() { send("again", namesFrom(5, 3)...) })
	check("beside a former version")
	if srv.do("EXISTS", base+"ordered") != int64(0) {
		t.Fatal("the orders are noted as complete while a former version lives")
	}
	srv.do("ZREM", base+"holders", "former")
	check("after it")

	// It lived while no replica of this version did.
	send("now", "d001")
	check("now")
	asFormer(srv, s, func() { send("alone", namesFrom(2, 3)...) })
	srv.do("HINCRBY", base+"meta", "ordersign", -4_000_000)
	if err := s.beat(t.Context(), s.shards[0]); err != nil {
		t.Fatal(err)
	}
	check("after the former version ran alone")
	if srv.do("SISMEMBER", base+"ordered", acme) != int64(1) {
		t.Fatal("the orders are not noted as complete again")
	}
	if n := srv.do("ZCARD", base+"order:acme:h"); n != int64(10) {
		t.Errorf("%v destinations are in the order, want 10", n)
	}
}

// An order that ceased to be complete while it was made is not noted as complete.
func TestOrdersMadeInVain(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	sh := s.shards[0]
	sent(t, s, "k", state.Delivered, "crm")
	srv.do("HINCRBY", sh.base+"meta", "disordered", 1)
	if err := s.makeOrders(t.Context(), sh, acme, "0"); err != nil {
		t.Fatal(err)
	}
	if srv.do("EXISTS", sh.base+"ordered") != int64(0) {
		t.Error("it is")
	}
}

// Retention sets the times in the orders to what the lists have, and removes destinations whose lists are empty.
func TestTrimCorrectsOrders(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	base := s.shards[0].base
	sent(t, s, "a", state.Dead, "crm", "mail")
	page, err := s.Deliveries(t.Context(), acme, state.DeliveryQuery{State: state.Dead, Destination: "crm"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), acme, page.Items[0].ID); err != nil {
		t.Fatal(err)
	}
	srv.do("ZADD", base+"order:acme:h", 4e15, "mail")
	trimAll(t, s, state.Retention{History: state.HistoryBound{Age: time.Hour}})
	if got := srv.do("ZRANGE", base+"order:acme:X", 0, -1); !slices.Equal(asTexts(got), []string{"mail"}) {
		t.Errorf("dead letters have %v", got)
	}
	if at := number(asText(srv.do("ZSCORE", base+"order:acme:h", "mail"))); at > uint64(time.Now().UnixMicro()) {
		t.Errorf("the newest entry is of %d", at)
	}
	trimAll(t, s, state.Retention{History: state.HistoryBound{Age: time.Microsecond}, Dead: state.Bound{Age: time.Microsecond}})
	for _, kind := range listLetters {
		if n := srv.do("EXISTS", base+"order:acme:"+string(kind)); n != int64(0) {
			t.Errorf("list %c has an order without destinations", kind)
		}
	}
}

func asTexts(v any) (all []string) {
	for _, x := range asList(v) {
		all = append(all, asText(x))
	}
	return all
}

// A destination that moves to the front of its order while a page reads it does not hide its older rows.
func TestPageWhileDestinationsMove(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	all := namesFrom(0, 3*orderStep)
	sent(t, s, "a", state.Delivered, all...)
	m := &merge{s: s, tenant: acme, q: &state.DeliveryQuery{Limit: 200}, until: maxMicro, top: place{at: maxMicro}, wanted: 200, kinds: []byte("h")}
	if err := m.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	oldest := asTexts(srv.do("ZRANGE", s.shards[0].base+"order:acme:h", 0, 9))
	sent(t, s, "b", state.Delivered, oldest...)
	seen := map[string]int{}
	last := m.top
	for {
		l, err := m.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l == nil {
			break
		}
		if l.items[0].compare(last) >= 0 {
			t.Fatal("an entry is newer than the one before it")
		}
		seen[l.dest]++
		last, m.top = l.items[0].place, l.items[0].place
		l.items = l.items[1:]
		if len(l.items) > 0 {
			heap.Fix(&m.open, 0)
		} else {
			heap.Pop(&m.open)
			if err := m.fill(t.Context(), []*listed{l}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, d := range all {
		if seen[token(acme, d)] == 0 {
			t.Errorf("%s is not on the page", d)
		}
	}
}

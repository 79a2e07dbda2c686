package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// pages reads all pages of events, each with at most limit items.
func (s *suite) pages(q state.EventQuery, between func()) (keys []string) {
	s.Helper()
	records := s.recordPages(q, between)
	for _, r := range records {
		keys = append(keys, r.Event.DedupeKey)
	}
	if q.Bare = true; between == nil && q.Check() == nil && len(records) <= 100 {
		s.sameBare(q, records)
	}
	return keys
}

func (s *suite) recordPages(q state.EventQuery, between func()) (records []*state.Record) {
	s.Helper()
	for range 1000 {
		page, err := s.store().Events(s.ctx, acme, q)
		s.ok(err)
		if q.Limit > 0 && len(page.Items) > q.Limit {
			s.Fatalf("%d items on a page of %d", len(page.Items), q.Limit)
		}
		records = append(records, page.Items...)
		if page.Next == "" {
			return records
		}
		if between != nil {
			between()
		}
		q.Cursor = page.Next
	}
	s.Fatal("the list does not end")
	return nil
}

// sameBare checks that a Bare query has the same events as the records of the whole one.
func (s *suite) sameBare(q state.EventQuery, want []*state.Record) {
	s.Helper()
	got := s.recordPages(q, nil)
	if len(got) != len(want) {
		s.Fatalf("%d bare events, want %d", len(got), len(want))
	}
	for i, r := range got {
		s.same("bare event", string(r.Event.EnvelopeWithRaw()), string(want[i].Event.EnvelopeWithRaw()))
		if r.Position != want[i].Position || r.Size != want[i].Size || r.Outcome != nil || r.Former != nil || r.Claims != 0 {
			s.Fatalf("bare record %+v, want position %d and size %d alone", r, want[i].Position, want[i].Size)
		}
	}
}

func (s *suite) deliveryPages(q state.DeliveryQuery, between func()) (ids []string) {
	s.Helper()
	for range 1000 {
		page, err := s.store().Deliveries(s.ctx, acme, q)
		s.ok(err)
		if q.Limit > 0 && len(page.Items) > q.Limit {
			s.Fatalf("%d items on a page of %d", len(page.Items), q.Limit)
		}
		for _, d := range page.Items {
			ids = append(ids, d.ID)
		}
		if page.Next == "" {
			return ids
		}
		if between != nil {
			between()
		}
		q.Cursor = page.Next
	}
	s.Fatal("the list does not end")
	return nil
}

func reversed(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Reverse(keys)
	return keys
}

var eventLists = []test{
	{name: "newest first, page by page", run: func(s *suite) {
		keys := numbered(25)
		s.acceptInTurn(keys...)
		for _, limit := range []int{0, 1, 7, 25, 26} {
			s.same(fmt.Sprint("pages of ", limit), s.pages(state.EventQuery{Limit: limit}, nil), reversed(keys))
		}
	}},
	{name: "newest first among those of one time", ordered: true, run: func(s *suite) {
		keys := numbered(25)
		s.accept(keys...)
		for _, limit := range []int{0, 7} {
			s.same(fmt.Sprint("pages of ", limit), s.pages(state.EventQuery{Limit: limit}, nil), reversed(keys))
		}
	}},
	{name: "each event once, however many were received at one time", run: func(s *suite) {
		keys := numbered(60)
		s.accept(keys...)
		for _, limit := range []int{1, 7, 60} {
			s.sameSet(fmt.Sprint("pages of ", limit), s.pages(state.EventQuery{Limit: limit}, nil), keys)
		}
	}},
	{name: "cursors stay valid while events come", run: func(s *suite) {
		keys := numbered(12)
		s.acceptInTurn(keys...)
		n := 0
		got := s.pages(state.EventQuery{Limit: 5}, func() { n++; s.accept(fmt.Sprint("new", n)) })
		s.same("pages", got, reversed(keys))
	}},
	{name: "selected by type, source, survey and time", run: func(s *suite) {
		add := func(key string, change func(*event.Header, *event.Data)) {
			s.append(s.event(acme, key, change))
			s.h.Advance(time.Hour)
		}
		add("plain", func(*event.Header, *event.Data) {})
		add("partial", func(h *event.Header, _ *event.Data) { h.Type = "response.partial" })
		add("other source", func(h *event.Header, _ *event.Data) { h.Source = "pollqr" })
		add("other survey", func(h *event.Header, d *event.Data) { h.SurveyID, d.Survey.ID = "s2", "s2" })
		for want, q := range map[string]state.EventQuery{
			"partial":      {Type: "response.partial"},
			"other source": {Source: "pollqr"},
			"other survey": {Survey: "s2"},
			"plain":        {Until: Begin.Add(time.Minute)},
		} {
			s.same(want, s.pages(q, nil), []string{want})
		}
		s.same("a span", s.pages(state.EventQuery{Since: Begin.Add(time.Hour), Until: Begin.Add(3 * time.Hour)}, nil), []string{"other source", "partial"})
		s.same("nothing", s.pages(state.EventQuery{Survey: "s3"}, nil), []string{})
	}},
	{name: "bare, in pages that are bounded in bytes", run: func(s *suite) {
		keys := numbered(12)
		for _, key := range keys {
			e := s.event(acme, key)
			e.Raw.Body = bytes.Repeat([]byte{'x'}, 1<<20)
			s.append(e)
			s.h.Advance(time.Second)
		}
		q := state.EventQuery{Bare: true, Limit: state.MaxBare}
		page, err := s.store().Events(s.ctx, acme, q)
		s.ok(err)
		if len(page.Items) != 8 || page.Next == "" || !page.SearchedBackTo.IsZero() {
			s.Fatalf("%d events of 1 MiB on the first page, next %q, searched back to %v", len(page.Items), page.Next, page.SearchedBackTo)
		}
		s.same("all", s.pages(q, nil), reversed(keys))
	}},
	{name: "a bare query that selects by outcomes is refused", run: func(s *suite) {
		matched := true
		for _, q := range []state.EventQuery{{Dead: true}, {Rule: "r"}, {Matched: &matched}} {
			q.Bare = true
			if _, err := s.store().Events(s.ctx, acme, q); !errors.Is(err, state.ErrInvalid) {
				s.Errorf("%+v: %v, want ErrInvalid", q, err)
			}
		}
	}},
	{name: "found far back, behind more than one page scans", run: func(s *suite) {
		s.accept("old")
		s.h.Advance(time.Hour)
		keys := numbered(Few(6000, 2500))
		for some := range slices.Chunk(keys, 500) {
			s.accept(some...)
		}
		page, err := s.store().Events(s.ctx, acme, state.EventQuery{Until: Begin.Add(time.Minute), Type: "response.completed"})
		s.ok(err)
		if len(page.Items) != 1 || page.Items[0].Event.DedupeKey != "old" || page.Next != "" {
			s.Fatalf("%d found, searched back to %v", len(page.Items), page.SearchedBackTo)
		}
	}},
	{name: "a page of a scan is bounded, and reports how far back it searched", run: func(s *suite) {
		s.append(s.event(acme, "rare", func(h *event.Header, _ *event.Data) { h.Type = "response.partial" }))
		s.h.Advance(time.Second)
		for some := range slices.Chunk(numbered(Few(6000, 2500)), 500) {
			s.accept(some...)
		}
		page, err := s.store().Events(s.ctx, acme, state.EventQuery{Type: "response.partial"})
		s.ok(err)
		pages := 1
		for ; page.Next != ""; pages++ {
			if len(page.Items) == 0 && page.SearchedBackTo.IsZero() {
				s.Fatal("an empty page does not say how far it looked")
			}
			page, err = s.store().Events(s.ctx, acme, state.EventQuery{Type: "response.partial", Cursor: page.Next})
			s.ok(err)
		}
		if len(page.Items) != 1 || pages > 5 {
			s.Fatalf("%d found on page %d", len(page.Items), pages)
		}
	}},
	{name: "by response", run: func(s *suite) {
		s.accept("a", "b")
		s.append(s.event(acme, "a2", func(h *event.Header, d *event.Data) { h.ResponseID, d.Response.ID = "r-a", "r-a" }))
		s.same("found", s.pages(state.EventQuery{Response: "r-a"}, nil), []string{"a2", "a"})
		s.same("not found", s.pages(state.EventQuery{Response: "r-"}, nil), []string{})
	}},
	{name: "by response id, of every source and survey, and narrowed to one response", run: func(s *suite) {
		for _, e := range []struct{ source, survey string }{{"limesurvey", "1"}, {"limesurvey", "2"}, {"wufoo", "1"}, {"limesurvey", "1"}} {
			s.append(s.event(acme, s.h.Now().Sub(Begin).String()+" "+e.source+" "+e.survey, func(h *event.Header, d *event.Data) {
				h.Source, h.SurveyID, h.ResponseID, d.Survey.ID, d.Response.ID = e.source, e.survey, "1", e.survey, "1"
			}))
			s.h.Advance(time.Second)
		}
		s.accept("another id")
		all := []string{"3s limesurvey 1", "2s wufoo 1", "1s limesurvey 2", "0s limesurvey 1"}
		s.same("the id", s.pages(state.EventQuery{Response: "1", Limit: 3}, nil), all)
		s.same("a source", s.pages(state.EventQuery{Response: "1", Source: "limesurvey", Limit: 1}, nil), []string{all[0], all[2], all[3]})
		s.same("a response", s.pages(state.EventQuery{Response: "1", Source: "limesurvey", Survey: "1", Limit: 1}, nil), []string{all[0], all[3]})
		s.same("another source's", s.pages(state.EventQuery{Response: "1", Source: "wufoo", Survey: "2"}, nil), []string{})
	}},
	{name: "by respondent, as a person writes it", run: func(s *suite) {
		s.append(
			s.event(acme, "mail", func(_ *event.Header, d *event.Data) { d.Respondent.Email = "Jo.Do@Example.com" }),
			s.event(acme, "phone", func(_ *event.Header, d *event.Data) { d.Respondent.Phone = "+4930123" }),
			s.event(acme, "ours", func(_ *event.Header, d *event.Data) { d.Respondent.ExternalID = "C-17" }),
			s.event(acme, "nobody"),
		)
		for name, want := range map[string][]string{
			"jo.do@example.com": {"mail"}, " JO.DO@EXAMPLE.COM ": {"mail"}, "+4930123": {"phone"}, "c-17": {"ours"}, "jo": {},
		} {
			s.same(name, s.pages(state.EventQuery{Respondent: name}, nil), want)
		}
		s.same("and by response", s.pages(state.EventQuery{Respondent: "C-17", Response: "r-mail"}, nil), []string{})
	}},
	{name: "by what was decided", run: func(s *suite) {
		decide := func(key string, dead string, rules ...state.RuleOutcome) {
			s.accept(key)
			o := outcome(s.claim(1)[0])
			o.Dead, o.Rules = dead, rules
			s.commit(o)
			s.h.Advance(time.Second)
		}
		rule := func(name, fault string) state.RuleOutcome {
			return state.RuleOutcome{Origin: state.Origin{Kind: state.Rule, Name: name}, Err: fault}
		}
		decide("vip", "", rule("vip", ""))
		decide("both", "", rule("vip", ""), state.RuleOutcome{Origin: state.Origin{Kind: state.Webhook, Name: "hook"}})
		decide("none", "")
		decide("failed", "", rule("vip", "panic: no"))
		decide("dead", "cannot be read", rule("vip", ""))
		s.accept("pending")
		yes, no := true, false
		for _, c := range []struct {
			q    state.EventQuery
			want []string
		}{
			{state.EventQuery{Rule: "vip"}, []string{"both", "vip"}},
			{state.EventQuery{Rule: "hook"}, []string{"both"}},
			{state.EventQuery{Rule: "hook", Matched: &yes}, []string{"both"}},
			{state.EventQuery{Rule: "hook", Matched: &no}, []string{"failed", "none", "vip"}},
			{state.EventQuery{Matched: &yes}, []string{"both", "vip"}},
			{state.EventQuery{Matched: &no}, []string{"failed", "none"}},
			{state.EventQuery{Matched: &no, Response: "r-none"}, []string{"none"}},
			{state.EventQuery{Matched: &no, Response: "r-vip"}, nil},
			{state.EventQuery{Rule: "nobody"}, nil},
		} {
			for _, limit := range []int{0, 1} {
				c.q.Limit = limit
				s.same(fmt.Sprintf("%+v", c.q), s.pages(c.q, nil), c.want)
			}
		}
	}},
	{name: "a page of a search through outcomes is bounded, and reports how far back it searched", run: func(s *suite) {
		rare := s.accept("rare")[0]
		o := outcome(s.claim(1)[0])
		o.Rules = []state.RuleOutcome{{Origin: state.Origin{Kind: state.Rule, Name: "rare"}}}
		s.commit(o)
		s.h.Advance(time.Second)
		for some := range slices.Chunk(numbered(state.MaxOutcomes+100), 500) {
			s.accept(some...)
		}
		first, err := s.store().Events(s.ctx, acme, state.EventQuery{Rule: "rare"})
		s.ok(err)
		if len(first.Items) != 0 || first.Next == "" || first.SearchedBackTo.IsZero() {
			s.Fatalf("%d found, next %q, searched back to %v", len(first.Items), first.Next, first.SearchedBackTo)
		}
		second, err := s.store().Events(s.ctx, acme, state.EventQuery{Rule: "rare", Cursor: first.Next})
		s.ok(err)
		if len(second.Items) != 1 || second.Items[0].Event.ID != rare.ID || second.Next != "" {
			s.Fatalf("%d found, next %q", len(second.Items), second.Next)
		}
	}},
	{name: "the cursor of another list is refused", run: func(s *suite) {
		s.finished("a", "crm", state.Delivered)
		s.finished("b", "crm", state.Delivered)
		events, err := s.store().Events(s.ctx, acme, state.EventQuery{Limit: 1})
		s.ok(err)
		deliveries, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{Limit: 1})
		s.ok(err)
		if _, err := s.store().Events(s.ctx, acme, state.EventQuery{Cursor: deliveries.Next}); deliveries.Next == "" || !errors.Is(err, state.ErrCursor) {
			s.Errorf("events with the cursor %q of deliveries: %v", deliveries.Next, err)
		}
		if _, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{Cursor: events.Next}); events.Next == "" || !errors.Is(err, state.ErrCursor) {
			s.Errorf("deliveries with the cursor %q of events: %v", events.Next, err)
		}
		if _, err := s.store().Events(s.ctx, acme, state.EventQuery{Cursor: "nonsense!"}); !errors.Is(err, state.ErrCursor) {
			s.Errorf("events: %v", err)
		}
		if _, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{Cursor: "nonsense!"}); !errors.Is(err, state.ErrCursor) {
			s.Errorf("deliveries: %v", err)
		}
	}},
	{name: "range goes in order, as it was when it was called", ordered: true, run: func(s *suite) {
		keys := numbered(10)
		s.accept(keys...)
		var got []string
		var from uint64
		s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error {
			got = append(got, r.Event.DedupeKey)
			if len(got) == 1 {
				s.accept("came later")
			}
			if len(got) == 4 {
				from = r.Position
			}
			return nil
		}))
		s.same("all", got, keys)
		got = nil
		stop := errors.New("stop")
		err := s.store().Range(s.ctx, acme, from, func(r *state.Record) error {
			if got = append(got, r.Event.DedupeKey); len(got) == 2 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			s.Fatalf("got %v", err)
		}
		s.same("from a position", got, keys[3:5])
	}},
	{name: "range goes through all events, each at a higher position", run: func(s *suite) {
		keys := numbered(200)
		s.accept(keys...)
		var got []string
		var last, middle uint64
		s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error {
			if got = append(got, r.Event.DedupeKey); r.Position <= last {
				s.Fatalf("position %d after %d", r.Position, last)
			}
			if last = r.Position; len(got) == 100 {
				middle = last
			}
			return nil
		}))
		s.sameSet("all", got, keys)
		var rest []string
		s.ok(s.store().Range(s.ctx, acme, middle, func(r *state.Record) error {
			rest = append(rest, r.Event.DedupeKey)
			return nil
		}))
		s.same("from a position", rest, got[99:])
	}},
	{name: "range may use the store, also while it is closed", run: func(s *suite) {
		s.accept("a", "b")
		st := s.store()
		n := 0
		err := st.Range(s.ctx, acme, 0, func(r *state.Record) error {
			if n++; n == 1 {
				closed := make(chan struct{})
				go func() { defer close(closed); s.h.Reopen() }()
				s.Cleanup(func() { <-closed })
			}
			_, err := st.Event(s.ctx, acme, r.Event.ID)
			return err
		})
		if err != nil && !errors.Is(err, state.ErrClosed) {
			s.Fatalf("got %v", err)
		}
	}},
	{name: "unknown ids are not found", run: func(s *suite) {
		if _, err := s.store().Event(s.ctx, acme, "none"); !errors.Is(err, state.ErrNotFound) {
			s.Errorf("event: %v", err)
		}
		for _, id := range []string{"none", "dl_none_aaaaaaaaaaaaa", "dl__"} {
			if _, err := s.store().Delivery(s.ctx, acme, id); !errors.Is(err, state.ErrNotFound) {
				s.Errorf("delivery %s: %v", id, err)
			}
		}
	}},
}

var deliveryLists = []test{
	{name: "by state, each delivery once", run: func(s *suite) {
		now := s.h.Now()
		delivered := s.finished("a", "crm", state.Delivered, tried(1, now, "delivered", 200))
		s.h.Advance(time.Second)
		skipped := s.finished("b", "crm", state.Skipped)
		s.h.Advance(time.Second)
		dead := s.finished("c", "mail", state.Dead, tried(1, now, "rejected", 400))
		s.h.Advance(time.Second)
		waits := s.waiting("d", now.Add(time.Hour), "crm")
		s.h.Advance(time.Second)
		retried := s.waiting("e", s.h.Now(), "mail")
		for n := 1; n <= 3; n++ {
			d := s.oneDue()
			tried(n, s.h.Now(), "retry", 500)(&d.Delivery)
			d.Delivery.Due = s.h.Now().Add(time.Second)
			if n == 3 {
				d.Delivery.State = state.Delivered
				d.Delivery.Log = nil
				tried(3, s.h.Now(), "delivered", 200)(&d.Delivery)
			}
			s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
			s.h.Advance(time.Second)
		}
		for what, want := range map[string]struct {
			q   state.DeliveryQuery
			ids []string
		}{
			"all":       {state.DeliveryQuery{}, []string{id(retried, "mail"), id(waits, "crm"), id(dead, "mail"), id(skipped, "crm"), id(delivered, "crm")}},
			"delivered": {state.DeliveryQuery{State: state.Delivered}, []string{id(retried, "mail"), id(delivered, "crm")}},
			"skipped":   {state.DeliveryQuery{State: state.Skipped}, []string{id(skipped, "crm")}},
			"dead":      {state.DeliveryQuery{State: state.Dead}, []string{id(dead, "mail")}},
			"waiting":   {state.DeliveryQuery{State: state.Waiting}, []string{id(waits, "crm")}},
			"failed":    {state.DeliveryQuery{Failed: true}, []string{id(retried, "mail"), id(dead, "mail")}},
			"recovered": {state.DeliveryQuery{Failed: true, State: state.Delivered}, []string{id(retried, "mail")}},
			"of crm":    {state.DeliveryQuery{Destination: "crm"}, []string{id(waits, "crm"), id(skipped, "crm"), id(delivered, "crm")}},
			"of a rule": {state.DeliveryQuery{Rule: "rule-mail"}, []string{id(retried, "mail"), id(dead, "mail")}},
			"of event":  {state.DeliveryQuery{EventID: dead.ID}, []string{id(dead, "mail")}},
			"in a span": {state.DeliveryQuery{Since: Begin.Add(time.Second), Until: Begin.Add(3 * time.Second)}, []string{id(dead, "mail"), id(skipped, "crm")}},
			"nothing":   {state.DeliveryQuery{Destination: "none"}, []string{}},
		} {
			s.same(what, s.deliveryPages(want.q, nil), want.ids)
			want.q.Limit = 1
			s.same(what+", one by one", s.deliveryPages(want.q, nil), want.ids)
		}
		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{State: state.Delivered, Destination: "mail"})
		s.ok(err)
		s.same("attempts in the list", len(page.Items[0].Log), 3)
	}},
	{name: "by the last attempt, and by the event", run: func(s *suite) {
		now := s.h.Now()
		add := func(key string, st state.DeliveryState, eventType, source string, log ...func(*state.Delivery)) string {
			ev := s.event(acme, key, func(h *event.Header, _ *event.Data) { h.Type, h.Source = eventType, source })
			s.append(ev)
			s.commit(outcome(s.claim(1)[0], s.owe(ev, "crm", st, log...)))
			s.h.Advance(time.Second)
			return id(ev, "crm")
		}
		ok := add("ok", state.Delivered, "response.completed", "pollqr", tried(1, now, "retry", 503), tried(2, now, "delivered", 200))
		refused := add("refused", state.Dead, "response.completed", "poltio", tried(1, now, "rejected", 404))
		down := add("down", state.Waiting, "response.partial", "pollqr", tried(1, now, "retry", 503))
		silent := add("silent", state.Dead, "response.partial", "poltio", tried(1, now, "rejected", 404), tried(2, now, "retry", 0))
		untried := add("untried", state.Skipped, "response.updated", "pollqr")
		for what, want := range map[string]struct {
			q   state.DeliveryQuery
			ids []string
		}{
			"404":            {state.DeliveryQuery{Status: "404"}, []string{refused}},
			"4xx":            {state.DeliveryQuery{Status: "4xx"}, []string{refused}},
			"5xx":            {state.DeliveryQuery{Status: "5xx"}, []string{down}},
			"no answer":      {state.DeliveryQuery{Status: "0"}, []string{silent}},
			"retry":          {state.DeliveryQuery{Verdict: "retry"}, []string{silent, down}},
			"retry, 5xx":     {state.DeliveryQuery{Verdict: "retry", Status: "5xx"}, []string{down}},
			"dead, retry":    {state.DeliveryQuery{Verdict: "retry", State: state.Dead}, []string{silent}},
			"failed, 2xx":    {state.DeliveryQuery{Failed: true, Status: "2xx"}, []string{ok}},
			"of a type":      {state.DeliveryQuery{Type: "response.partial"}, []string{silent, down}},
			"of a source":    {state.DeliveryQuery{Source: "pollqr"}, []string{untried, down, ok}},
			"of both":        {state.DeliveryQuery{Source: "pollqr", Type: "response.completed"}, []string{ok}},
			"status, source": {state.DeliveryQuery{Source: "poltio", Status: "4xx"}, []string{refused}},
			"none":           {state.DeliveryQuery{Type: "response.completed", Verdict: "retry"}, []string{}},
		} {
			s.same(what, s.deliveryPages(want.q, nil), want.ids)
			want.q.Limit = 1
			s.same(what+", one by one", s.deliveryPages(want.q, nil), want.ids)
		}
		of, _, _ := state.SplitDeliveryID(silent)
		s.same("of an event", s.deliveryPages(state.DeliveryQuery{EventID: of, Status: "0"}, nil), []string{silent})
		s.same("of an event, another type", s.deliveryPages(state.DeliveryQuery{EventID: of, Type: "response.completed"}, nil), []string{})
	}},
	{name: "a search by the event is bounded, and says how far it got", run: func(s *suite) {
		rare := s.event(acme, "rare", func(h *event.Header, _ *event.Data) { h.Type = "response.partial" })
		s.append(rare)
		s.commit(outcome(s.claim(1)[0], s.owe(rare, "crm", state.Delivered)))
		s.h.Advance(time.Second)
		s.oweMany("other", 1250, state.Delivered)
		q, pages := state.DeliveryQuery{Type: "response.partial"}, 0
		for {
			page, err := s.store().Deliveries(s.ctx, acme, q)
			s.ok(err)
			if pages++; page.Next == "" {
				s.same("found at last", len(page.Items), 1)
				break
			}
			if len(page.Items) > 0 || page.SearchedBackTo.IsZero() {
				s.Fatalf("%d found, searched back to %v", len(page.Items), page.SearchedBackTo)
			}
			q.Cursor = page.Next
		}
		s.same("pages", pages, 3)
	}},
	{name: "cursors stay valid while deliveries come", run: func(s *suite) {
		var want []string
		for _, k := range numbered(12) {
			want = append(want, id(s.finished(k, "crm", state.Delivered), "crm"))
			s.h.Advance(time.Second)
		}
		n := 0
		got := s.deliveryPages(state.DeliveryQuery{Limit: 5}, func() { n++; s.finished(fmt.Sprint("new", n), "mail", state.Delivered) })
		s.same("pages", got, reversed(want))
	}},
	{name: "over many destinations in order of time", run: func(s *suite) {
		var want []string
		for i, k := range numbered(40) {
			dest := fmt.Sprint("d", i*7%10)
			want = append(want, id(s.finished(k, dest, state.Delivered), dest))
			s.h.Advance(time.Second)
		}
		s.same("list", s.deliveryPages(state.DeliveryQuery{Limit: 9}, nil), reversed(want))
	}},
	{name: "failures are kept longer than successes", run: func(s *suite) {
		failed := s.finished("bad", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		for _, k := range numbered(30) {
			s.h.Advance(time.Second)
			s.finished(k, "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		}
		s.trim(state.Retention{History: state.HistoryBound{PerDestination: 10}})
		s.same("failed", s.deliveryPages(state.DeliveryQuery{Failed: true}, nil), []string{id(failed, "crm")})
		s.same("delivered", len(s.deliveryPages(state.DeliveryQuery{State: state.Delivered}, nil)), 10)
	}},
}

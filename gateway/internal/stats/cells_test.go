package stats

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// counted makes a count of the minute of start.
func counted(kind state.StatKind, tenant, name string, counts map[int]int64) state.Count {
	c := state.Count{Tenant: tenant, Kind: kind, Name: name, At: start.Truncate(time.Minute)}
	for i, n := range counts {
		c.Counts[i] = n
	}
	return c
}

// flushed returns what the next write writes.
func flushed(t *testing.T, s *Stats, st *store) []state.Count {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case all := <-st.written:
		return all
	default:
		return nil
	}
}

func TestRunWrites(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, c := newStats(st)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	<-c.Set()
	s.Source("acme", "pollqr").Accepted(2, start)
	s.Source("acme", "pollqr").Accepted(1, start.Add(time.Minute))
	c.Advance(flushLook)
	one := counted(state.SourceStats, "acme", "pollqr", map[int]int64{state.EventsAccepted: 2})
	two := counted(state.SourceStats, "acme", "pollqr", map[int]int64{state.EventsAccepted: 1})
	two.At = two.At.Add(time.Minute)
	total := func(c state.Count) state.Count { c.Name = ""; return c }
	if diff := cmp.Diff([]state.Count{total(one), total(two), one, two}, <-st.written); diff != "" {
		t.Error(diff)
	}
	// What follows is written after ten seconds, and what follows a quiet time at once.
	<-c.Set()
	accepted := func(seconds int) {
		t.Helper()
		s.Source("acme", "pollqr").Accepted(1, start)
		for range seconds - 1 {
			c.Advance(flushLook)
			<-c.Set()
			select {
			case <-st.written:
				t.Fatal("statistics are written too early")
			default:
			}
		}
		c.Advance(flushLook)
		if got := <-st.written; len(got) != 2 || got[0].Counts[state.EventsAccepted] != 1 {
			t.Errorf("%+v", got)
		}
		<-c.Set()
	}
	accepted(10)
	c.Advance(flushEvery)
	<-c.Set()
	accepted(1)
	cancel()
	<-ended
}

func TestDestinationCounts(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	crm := to("acme", "crm")
	s.Attempt(crm, connectors.Delivered, state.Answered, 3*time.Millisecond, start)
	s.Attempt(crm, connectors.Retry, state.NoAnswer, time.Minute, start) // in no percentile
	s.Attempt(crm, connectors.Retry, state.Answered, 3*time.Millisecond, start)
	s.Attempt(crm, connectors.Rejected, state.Answered, 5*time.Millisecond, start)
	s.Attempt(crm, connectors.Rejected, state.NotSent, 0, start) // cannot be built
	s.Attempt(crm, connectors.Revoked, state.Answered, 5*time.Millisecond, start)
	s.Attempt(crm, connectors.Skipping, state.Answered, 5*time.Millisecond, start)
	s.Attempt(crm, connectors.Continue, state.Answered, 5*time.Millisecond, start)
	test := to("acme", "crm")
	test.Origin.Kind = state.Test
	s.Attempt(test, connectors.Rejected, state.Answered, 5*time.Millisecond, start)
	for _, d := range []*state.Delivery{crm, test} {
		for _, each := range []state.DeliveryState{state.Delivered, state.Delivered, state.Dead, state.Skipped, state.Dropped, state.Waiting} {
			ended := *d
			ended.State, ended.Updated = each, start
			s.Ended(&ended, start.Add(-time.Second))
		}
	}
	s.Overdue("acme", "crm", 3)
	want := counted(state.DestinationStats, "acme", "crm", map[int]int64{
		state.AttemptsDelivered: 1, state.AttemptsRetry: 2, state.AttemptsRejected: 1, state.AttemptsRevoked: 1, state.AttemptsTimeout: 1,
		state.EndedDelivered: 2, state.EndedDead: 4, state.EndedSkipped: 1, state.EndedDropped: 1,
	})
	want.Took = state.Latencies{{Bucket: state.Bucket(3 * time.Millisecond), N: 2}, {Bucket: state.Bucket(5 * time.Millisecond), N: 2}}
	want.Age = state.Latencies{{Bucket: state.Bucket(time.Second), N: 2}}
	total := want
	total.Name = ""
	if diff := cmp.Diff([]state.Count{total, want}, flushed(t, s, st)); diff != "" {
		t.Error(diff)
	}
}

func TestSourceCounts(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	source := s.Source("acme", "pollqr")
	source.Accepted(3, start)
	source.Duplicate(2, start)
	source.Invalid(1, start)
	source.Unavailable(7, start)
	want := map[int]int64{state.EventsAccepted: 3, state.EventsDuplicate: 2, state.EventsInvalid: 1, state.RequestsUnavailable: 1}
	for i := range state.RefusalReasons {
		source.Refused(state.Refusal(i), start)
		want[state.RequestsRefused+i] = 1
	}
	if diff := cmp.Diff(counted(state.SourceStats, "acme", "pollqr", want), flushed(t, s, st)[1]); diff != "" {
		t.Error(diff)
	}
}

func parse(t testing.TB, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "acme", Source: "pollqr", Received: start})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func ruleSet(t testing.TB, tenant string, when map[string]string) *rules.Set {
	t.Helper()
	var all []*rules.Rule
	for name, text := range when {
		c, err := expression.CompileCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &rules.Rule{Tenant: tenant, Name: name, Events: []string{event.TypeResponseCompleted}, When: c})
	}
	return rules.NewSet(all)
}

// What a rule said of an event is matched, unknown, erred, or else no: also where the event was never shown to it.
func TestRuleCounts(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	base := ruleSet(t, "*", map[string]string{"low": "nps_score <= 6", "elsewhere": `survey.id == "s2"`})
	own := ruleSet(t, "acme", map[string]string{"sick": "nps_score <= 6", "vague": "csat_score <= 2"})
	sets := []*rules.Set{base, own}
	rule := func(name, err string) state.RuleOutcome {
		return state.RuleOutcome{Origin: state.Origin{Kind: state.Rule, Name: name}, Err: err}
	}
	low := parse(t, `{"type":"response.completed","id":"1","survey":{"id":"s1"},"nps_score":3}`)
	s.Decided(low, sets, []state.RuleOutcome{rule("low", ""), rule("sick", "panic")}, []string{"vague"}, start)
	high := parse(t, `{"type":"response.completed","id":"2","survey":{"id":"s1"},"nps_score":9,"csat_score":4.5}`)
	s.Decided(high, sets, nil, nil, start)
	other := parse(t, `{"type":"response.partial","id":"3","survey":{"id":"s1"},"nps_score":9}`)
	s.Decided(other, sets, nil, nil, start) // no rule accepts its type
	got := flushed(t, s, st)
	want := []state.Count{
		counted(state.RuleStats, "acme", "", map[int]int64{state.RuleMatched: 1, state.RuleErred: 1, state.RuleUnknown: 1, state.RuleNo: 5}),
		counted(state.RuleStats, "acme", "elsewhere", map[int]int64{state.RuleNo: 2}),
		counted(state.RuleStats, "acme", "low", map[int]int64{state.RuleMatched: 1, state.RuleNo: 1}),
		counted(state.RuleStats, "acme", "sick", map[int]int64{state.RuleErred: 1, state.RuleNo: 1}),
		counted(state.RuleStats, "acme", "vague", map[int]int64{state.RuleUnknown: 1, state.RuleNo: 1}),
		counted(state.SurveyStats, "acme", "", map[int]int64{state.Responses: 2, state.NPSDetractors: 1, state.NPSPromoters: 1, state.CSATSum: 450, state.CSATCount: 1}),
		counted(state.SurveyStats, "acme", "pollqr/s1", map[int]int64{state.Responses: 2, state.NPSDetractors: 1, state.NPSPromoters: 1, state.CSATSum: 450, state.CSATCount: 1}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What the store does not take is written with the next, and nothing twice: neither what it took of the same write nor the totals.
func TestFailedWrites(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1), fail: state.ErrUnavailable}
	s, _ := newStats(st)
	source := s.Source("acme", "pollqr")
	source.Accepted(1, start)
	if err := s.Close(t.Context()); !errors.Is(err, state.ErrUnavailable) {
		t.Fatal(err)
	}
	source.Accepted(2, start)
	st.fail = nil
	// The total is added, the source is not.
	st.left = func(all []state.Count) []state.Count { return all[1:] }
	if err := s.Close(t.Context()); !errors.Is(err, state.ErrUnavailable) {
		t.Fatal(err)
	}
	st.left = nil
	all := <-st.written
	source.Accepted(4, start)
	all = append(all[:1], flushed(t, s, st)...)
	got := map[string]int64{}
	for _, c := range all {
		got[c.Name] += c.Counts[state.EventsAccepted]
	}
	if diff := cmp.Diff(map[string]int64{"": 7, "pollqr": 7}, got); diff != "" {
		t.Error(diff)
	}
	if again := flushed(t, s, st); again != nil {
		t.Errorf("written again: %v", again)
	}
}

// However many names and minutes there are, memory is bounded, a tenant does not take another's place, and what is lost is counted.
func TestBoundedCells(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	for i := range 2 * state.MaxStatNames {
		s.Source("flood", fmt.Sprint(i)).Accepted(1, start)
	}
	if n := s.cells.n.Load(); n != state.MaxStatNames+1 {
		t.Errorf("%d cells of one minute", n)
	}
	for minute := range 2 * maxTenantCells {
		s.cells.add(state.SourceStats, "flood", "long", state.EventsAccepted, 1, start.Add(time.Duration(minute+1)*time.Minute))
	}
	if n := s.cells.n.Load(); n != maxTenantCells {
		t.Errorf("%d cells of one tenant", n)
	}
	if lost := s.cells.lost.Load(); lost != maxTenantCells+state.MaxStatNames+1 {
		t.Errorf("%d lost", lost)
	}
	s.Source("calm", "pollqr").Accepted(1, start)
	st.fail = state.ErrUnavailable
	if err := s.Close(t.Context()); err == nil {
		t.Fatal("it was written")
	}
	for tenant := range 8 {
		for minute := range maxTenantCells {
			s.cells.add(state.SourceStats, fmt.Sprint(tenant), "long", state.EventsAccepted, 1, start.Add(time.Duration(minute)*time.Minute))
		}
	}
	if n := s.cells.n.Load(); n > maxCells {
		t.Errorf("%d cells of all tenants", n)
	}
	st.fail = nil
	names := map[string]int64{}
	for _, c := range flushed(t, s, st) {
		if c.Tenant == "flood" && c.At.Equal(start.Truncate(time.Minute)) || c.Tenant == "calm" {
			names[c.Tenant+"/"+c.Name] += c.Counts[state.EventsAccepted]
		}
	}
	if names["flood/other"] != state.MaxStatNames || names["flood/"] != 2*state.MaxStatNames || names["calm/pollqr"] != 1 {
		t.Errorf("%v", names)
	}
	if n := s.cells.n.Load(); n != 0 {
		t.Errorf("%d cells after the write", n)
	}
}

func TestHotPathAllocations(t *testing.T) {
	s, _ := newStats(&store{})
	source, crm := s.Source("default", "pollqr"), to("default", "crm")
	ended := *crm
	ended.State, ended.Updated = state.Delivered, start
	ev := parse(t, `{"type":"response.completed","id":"1","survey":{"id":"s1"},"nps_score":3}`)
	sets := []*rules.Set{ruleSet(t, "acme", map[string]string{"low": "nps_score <= 6"})}
	outcomes, unknown := []state.RuleOutcome{{Origin: state.Origin{Kind: state.Rule, Name: "low"}}}, []string{"vague"}
	const runs = 100
	events := make([]*event.Event, 1+runs) // AllocsPerRun runs once more; none of them has been decoded before
	for i := range events {
		var err error
		if events[i], err = event.Decode(ev.Envelope(), ev.Raw.Body); err != nil {
			t.Fatal(err)
		}
	}
	n := testing.AllocsPerRun(runs, func() {
		ev, events = events[0], events[1:]
		source.Accepted(1, start)
		source.Refused(state.RefusedInvalid, start)
		s.Accept(time.Millisecond)
		s.Batch("append", 7)
		s.Attempt(crm, connectors.Delivered, state.Answered, time.Millisecond, start)
		s.Ended(&ended, start)
		s.Decided(ev, sets, outcomes, unknown, start)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecided counts one decision of 1,000 rules, of which two were evaluated.
func BenchmarkDecided(b *testing.B) {
	s, _ := newStats(&store{})
	when := map[string]string{}
	for i := range 1000 {
		when[fmt.Sprint(i)] = fmt.Sprintf(`survey.id == "s%d"`, i)
	}
	sets := []*rules.Set{ruleSet(b, "acme", when)}
	ev := parse(b, `{"type":"response.completed","id":"1","survey":{"id":"s1"},"nps_score":3}`)
	outcomes, unknown := []state.RuleOutcome{{Origin: state.Origin{Kind: state.Rule, Name: "1"}}}, []string{"2"}
	b.ReportAllocs()
	for b.Loop() {
		s.Decided(ev, sets, outcomes, unknown, start)
	}
}

// TestBoundedTenant shows that a tenant leaves room for others while the store is unavailable for long.
func TestBoundedTenant(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	st.fail = state.ErrUnavailable
	busy := s.Source("busy", "in")
	for minute := range maxCells + 1 {
		busy.Accepted(1, start.Add(time.Duration(minute)*time.Minute))
		if minute%(maxTenantCells/2) == 0 {
			_ = s.Close(t.Context())
		}
	}
	if n := s.cells.n.Load(); n > 2*maxTenantCells { // each name has a total beside it
		t.Errorf("a tenant has %d cells, at most %d fit", n, 2*maxTenantCells)
	}
	s.Source("acme", "in").Accepted(1, start)
	_ = s.Close(t.Context())
	st.fail = nil
	found := false
	for _, c := range flushed(t, s, st) {
		found = found || c.Tenant == "acme" && c.Name == "in"
	}
	if !found {
		t.Error("the counts of the other tenant were lost")
	}
	if n := s.cells.n.Load(); n != 0 {
		t.Errorf("%d cells are left", n)
	}
}

// TestBoundedEventTypes shows that a tenant with very many types of events leaves room for the others of its part.
func TestBoundedEventTypes(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, _ := newStats(st)
	c, set := &s.cells, ruleSet(t, "acme", map[string]string{"all": "true"})
	p := c.part("acme")
	p.mu.Lock()
	for i := range 2 * maxTenantCells {
		c.ask(p, askedKey{set, "busy", fmt.Sprint("type", i), 0})
	}
	c.ask(p, askedKey{set, "acme", "response.completed", 0})
	p.mu.Unlock()
	if n, lost := c.n.Load(), c.lost.Load(); n != maxTenantCells+1 || lost != maxTenantCells {
		t.Errorf("%d counts in memory, %d lost", n, lost)
	}
	if p.asked[askedKey{set, "acme", "response.completed", 0}] != 1 {
		t.Error("the other tenant is not counted")
	}
	_ = flushed(t, s, st)
	if n := c.n.Load(); n != 0 {
		t.Errorf("%d cells are left", n)
	}
}

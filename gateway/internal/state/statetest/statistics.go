package statetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// count makes a count of a destination of acme: n delivered attempts of 100 ms.
func count(name string, at time.Time, n int64) state.Count {
	c := state.Count{Tenant: acme, Kind: state.DestinationStats, Name: name, At: at, Took: state.Latencies{{Bucket: state.Bucket(100 * time.Millisecond), N: n}}}
	c.Counts[state.AttemptsDelivered] = n
	return c
}

func (s *suite) addCounts(st state.Store, counts ...state.Count) {
	s.Helper()
	left, err := st.AddCounts(s.ctx, counts)
	s.ok(err)
	s.same("left", len(left), 0)
}

// counts asks for destinations unless the query has a kind.
func (s *suite) counts(tenant string, q state.CountQuery) []state.Count {
	s.Helper()
	if q.Kind == "" {
		q.Kind = state.DestinationStats
	}
	got, err := s.store().Counts(s.ctx, tenant, q)
	s.ok(err)
	return got
}

// countedNames returns the names that have a count of a kind.
func (s *suite) countedNames(tenant string, kind state.StatKind) []string {
	s.Helper()
	var names []string
	for _, c := range s.counts(tenant, state.CountQuery{Kind: kind, Step: state.ByDay, Since: s.h.Now().Add(-48 * time.Hour)}) {
		names = append(names, c.Name)
	}
	return slices.Compact(names)
}

// delivered returns how many attempts of a name were counted by a step, as far back as it is kept.
func (s *suite) delivered(name string, step state.StatStep) (n int64) {
	s.Helper()
	for _, c := range s.counts(acme, state.CountQuery{Names: []string{name}, Step: step}) {
		n += c.Counts[state.AttemptsDelivered]
	}
	return n
}

var statistics = []test{
	{name: "list the names that were counted lately, of each tenant and kind", run: func(s *suite) {
		now := s.h.Now()
		old := count("old", now, 1)
		foreign := count("foreign", now, 1)
		foreign.Tenant = "zeta"
		rule := count("rule", now, 1)
		rule.Kind = state.RuleStats
		s.addCounts(s.store(), old, count("odd \x00\xff/:*", now, 1), count("", now, 3), foreign, rule)
		s.h.Advance(72 * time.Hour)
		s.addCounts(s.store(), count("crm", s.h.Now(), 1), count("odd \x00\xff/:*", s.h.Now(), 1), count(state.OtherName, s.h.Now(), 1))
		for since, want := range map[time.Duration][]string{
			0:               {"crm", "odd \x00\xff/:*", state.OtherName},
			-72 * time.Hour: {"crm", "odd \x00\xff/:*", "old", state.OtherName},
		} {
			got, err := s.store().CountedNames(s.ctx, acme, state.DestinationStats, s.h.Now().Add(since))
			s.ok(err)
			slices.Sort(want)
			s.same(since.String(), got, want)
		}
		got, err := s.store().CountedNames(s.ctx, "nobody", state.RuleStats, now)
		s.ok(err)
		s.same("of nobody", got, []string{state.OtherName})
	}},
	{name: "are added up by minute, hour and day", run: func(s *suite) {
		now := s.h.Now()
		s.addCounts(s.store(), count("crm", now, 2), count("crm", now.Add(30*time.Second), 3), count("mail", now, 7), count("", now, 12))
		s.addCounts(s.h.Second(), count("crm", now, 10), count("crm", now.Add(time.Minute), 1))
		s.same("crm by minute", s.counts(acme, state.CountQuery{Names: []string{"crm"}, Step: state.ByMinute, Until: now.Add(time.Hour)}),
			[]state.Count{count("crm", now, 15), count("crm", now.Add(time.Minute), 1)})
		s.same("all by hour", s.counts(acme, state.CountQuery{Step: state.ByHour}), []state.Count{count("crm", now, 16), count("mail", now, 7)})
		day := now.Truncate(24 * time.Hour)
		s.same("all by day", s.counts(acme, state.CountQuery{Step: state.ByDay}), []state.Count{count("crm", day, 16), count("mail", day, 7)})
		s.same("total", s.counts(acme, state.CountQuery{Names: []string{""}, Step: state.ByDay}), []state.Count{count("", day, 12)})
		sums := []state.Count{count("crm", now, 16), count("mail", now, 7)}
		s.same("the sum of each", s.counts(acme, state.CountQuery{Step: state.ByMinute, Until: now.Add(time.Hour), Sum: true}), sums)
		for i := range sums {
			sums[i].Took, sums[i].Age = nil, nil
		}
		s.same("counters alone", s.counts(acme, state.CountQuery{Step: state.ByHour, Counters: true}), sums)
		s.same("the sum of counters", s.counts(acme, state.CountQuery{Step: state.ByMinute, Until: now.Add(time.Hour), Counters: true, Sum: true}), sums)
		s.h.Reopen()
		s.addCounts(s.store(), count("crm", now, 4))
		s.same("after a restart", s.counts(acme, state.CountQuery{Names: []string{"crm"}, Step: state.ByDay}), []state.Count{count("crm", day, 20)})
	}},
	{name: "keep all counters and latencies of each kind apart", run: func(s *suite) {
		var want []state.Count
		for i, kind := range state.StatKinds {
			c := state.Count{Tenant: acme, Kind: kind, Name: "same", At: s.h.Now()}
			for k := range c.Counts {
				c.Counts[k] = int64(1+k*i) << (3 * k)
			}
			for b := 0; b < state.LatencyBuckets; b += 1 + b*i/3 {
				c.Took = append(c.Took, state.LatencyCount{Bucket: uint8(b), N: int64(b + 1)})
			}
			c.Age = state.Latencies{{Bucket: 0, N: 1}, {Bucket: state.LatencyBuckets - 1, N: 1 << 40}}
			want = append(want, c)
		}
		s.addCounts(s.store(), want...)
		for i, kind := range state.StatKinds {
			s.same(string(kind), s.counts(acme, state.CountQuery{Kind: kind, Step: state.ByHour}), want[i:i+1])
		}
	}},
	{name: "of two stores at once are added up", run: func(s *suite) {
		const calls, names = 20, 7
		var wg sync.WaitGroup
		for _, st := range []state.Store{s.store(), s.h.Second(), s.store()} {
			wg.Go(func() {
				for call := range calls {
					var all []state.Count
					for i := range names {
						c := count(fmt.Sprint("d", i), s.h.Now(), 1)
						c.Age = state.Latencies{{Bucket: uint8(6 * call), N: int64(call + 1)}} // the cell grows with each call
						all = append(all, c, count("", s.h.Now(), 1))
					}
					for len(all) > 0 { // what other stores kept back is added again
						all, _ = st.AddCounts(s.ctx, all)
						if s.ctx.Err() != nil {
							return
						}
					}
				}
			})
		}
		wg.Wait()
		for _, step := range state.StatSteps {
			s.same("d3", s.delivered("d3", step), int64(3*calls))
			s.same("total", s.delivered("", step), int64(3*calls*names))
			var want state.Latencies
			for call := range calls {
				want = append(want, state.LatencyCount{Bucket: uint8(6 * call), N: int64(3 * (call + 1))})
			}
			s.same("ages", s.counts(acme, state.CountQuery{Names: []string{"d3"}, Step: step})[0].Age, want)
		}
	}},
	{name: "many at once", run: func(s *suite) {
		var all []state.Count
		for i := range 1000 {
			all = append(all, count(fmt.Sprint("d", i), s.h.Now(), 1))
		}
		s.addCounts(s.store(), all...)
		got := s.counts(acme, state.CountQuery{Step: state.ByMinute, Since: s.h.Now()})
		s.same("counts", len(got), 1000)
		s.same("sorted", slices.IsSortedFunc(got, func(a, b state.Count) int { return strings.Compare(a.Name, b.Name) }), true)
	}},
	{name: "a query selects by time and name", run: func(s *suite) {
		now := s.h.Now() // noon
		for i := range 4 * 60 {
			s.addCounts(s.store(), count("crm", now.Add(-time.Duration(i)*time.Minute), 1))
		}
		q := state.CountQuery{Names: []string{"mail", "crm", "crm"}, Step: state.ByMinute}
		at := func(d time.Duration) time.Time { return now.Add(d) }
		for _, x := range []struct {
			since, until time.Time
			first        time.Time
			n            int
		}{
			{time.Time{}, time.Time{}, at(-239 * time.Minute), 240},
			{at(-90 * time.Minute), at(-30 * time.Minute), at(-90 * time.Minute), 60},
			{at(-2 * time.Hour), at(-time.Hour), at(-2 * time.Hour), 60},
			{at(-90*time.Minute + time.Second), at(-30*time.Minute + time.Second), at(-89 * time.Minute), 60},
			{at(-time.Minute), at(-time.Minute), at(0), 0},
			{at(0), at(-time.Hour), at(0), 0},
			{at(0), time.Time{}, at(0), 1},
			{at(time.Minute), time.Time{}, at(0), 0},
		} {
			q.Since, q.Until = x.since, x.until
			got := s.counts(acme, q)
			if len(got) != x.n || x.n > 0 && !got[0].At.Equal(x.first) {
				s.Errorf("since %v until %v: %d counts, want %d from %v", x.since, x.until, len(got), x.n, x.first)
			}
		}
		s.same("by hour", len(s.counts(acme, state.CountQuery{Step: state.ByHour, Since: at(-2 * time.Hour)})), 3)
		s.same("no names", s.counts(acme, state.CountQuery{Names: []string{}, Step: state.ByHour}), []state.Count{})
	}},
	{name: "borders of hours, days and months are those of UTC", run: func(s *suite) {
		border := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) // a month begins
		s.h.Advance(border.Add(time.Hour).Sub(s.h.Now()))
		zone := time.FixedZone("", 5*3600+1800)
		s.addCounts(s.store(), count("crm", border.Add(-time.Nanosecond).In(zone), 1), count("crm", border.In(zone), 2))
		for _, x := range []struct {
			step   state.StatStep
			before time.Duration
		}{{state.ByMinute, time.Minute}, {state.ByHour, time.Hour}, {state.ByDay, 24 * time.Hour}} {
			want := []state.Count{count("crm", border.Add(-x.before), 1), count("crm", border, 2)}
			s.same(string(x.step), s.counts(acme, state.CountQuery{Step: x.step}), want)
			s.same("since", s.counts(acme, state.CountQuery{Step: x.step, Since: border}), want[1:])
			s.same("until", s.counts(acme, state.CountQuery{Step: x.step, Until: border}), want[:1])
		}
	}},
	{name: "leave after their time", run: func(s *suite) {
		s.addCounts(s.store(), count("crm", s.h.Now(), 1))
		kept := func(minutes, hours, days int64) {
			s.Helper()
			s.trim(state.Retention{})
			for i, want := range []int64{minutes, hours, days} {
				s.same(string(state.StatSteps[i]), s.delivered("crm", state.StatSteps[i]), want)
			}
		}
		s.h.Advance(23 * time.Hour)
		kept(1, 1, 1)
		s.h.Advance(2 * time.Hour)
		kept(0, 1, 1)
		s.h.Advance(28 * 24 * time.Hour)
		kept(0, 1, 1)
		s.h.Advance(2 * 24 * time.Hour)
		kept(0, 0, 1)
		s.h.Advance(367 * 24 * time.Hour)
		kept(0, 0, 1)
		s.h.Reopen()
		s.h.Advance(3 * 24 * time.Hour)
		kept(0, 0, 0)
		// What is older than a step is kept is not added to it.
		s.addCounts(s.store(), count("crm", s.h.Now().Add(-25*time.Hour), 1), count("crm", s.h.Now().Add(-401*24*time.Hour), 1))
		kept(0, 1, 1)
	}},
	{name: "a step of the clock loses no present count", run: func(s *suite) {
		s.addCounts(s.store(), count("crm", s.h.Now(), 1))
		s.h.Step(-time.Hour)
		s.trim(state.Retention{})
		s.addCounts(s.store(), count("crm", s.h.Now(), 1))
		s.same("by day", s.delivered("crm", state.ByDay), int64(2))
		s.same("by minute", s.delivered("crm", state.ByMinute), int64(1))
		s.h.Advance(2 * time.Hour)
		s.same("by minute later", s.delivered("crm", state.ByMinute), int64(2))
		s.h.ReopenStepped(time.Hour)
		s.same("by minute after a step forward", s.delivered("crm", state.ByMinute), int64(2))
	}},
	{name: "names may have any bytes", run: func(s *suite) {
		names := []string{
			"a", "a:b", "a/b", "a%3ab", "a\x00", "a\x00b", "\x00", "\x00\x01", "\xff\xfe", "{x}", "{", "m:1", "a:m", "*", "?", " ", "\n", "é", "A",
			strings.Repeat("x", state.MaxStatName),
		}
		slices.Sort(names)
		for _, tenant := range []string{acme, "acm", "acme:d", "acme\x00", "{acme}", "*", "d"} {
			var all []state.Count
			for i, name := range names {
				c := count(name, s.h.Now(), int64(i+1))
				c.Tenant = tenant
				all = append(all, c)
			}
			s.addCounts(s.store(), all...)
			s.same(tenant, s.counts(tenant, state.CountQuery{Step: state.ByMinute, Since: s.h.Now()}), all)
			s.same(tenant+" one", s.counts(tenant, state.CountQuery{Names: []string{"a:b"}, Step: state.ByMinute}), all[slices.Index(names, "a:b"):][:1])
		}
		s.same("no total", s.counts(acme, state.CountQuery{Names: []string{""}, Step: state.ByDay}), []state.Count{})
	}},
	{name: "of more names than a tenant may have are counted together", run: func(s *suite) {
		var all []state.Count
		for i := range state.MaxStatNames + 10 {
			c := count(fmt.Sprintf("s%04d", i), s.h.Now(), 1)
			c.Kind = state.SurveyStats
			all = append(all, c)
		}
		long := count(strings.Repeat("x", state.MaxStatName+1), s.h.Now(), 5)
		long.Kind = state.SurveyStats
		s.addCounts(s.store(), append(all, long)...)
		s.addCounts(s.h.Second(), all[state.MaxStatNames-1:]...)
		names := s.countedNames(acme, state.SurveyStats)
		s.same("names", len(names), state.MaxStatNames+1)
		s.same("other is one", slices.Contains(names, state.OtherName), true)
		got := s.counts(acme, state.CountQuery{Kind: state.SurveyStats, Names: []string{"s1999", "s2000", state.OtherName}, Step: state.ByHour})
		s.same("counts", len(got), 2)
		s.same("other", got[0].Counts[0], int64(2*10+5))
		s.same("the last name", got[1].Counts[0], int64(2))
		// Another kind and another tenant have their own.
		rule, zeta := count("r", s.h.Now(), 1), count("s", s.h.Now(), 1)
		rule.Kind, zeta.Tenant, zeta.Kind = state.RuleStats, "zeta", state.SurveyStats
		s.addCounts(s.store(), rule, zeta)
		s.same("rules", s.countedNames(acme, state.RuleStats), []string{"r"})
		s.same("another tenant's", s.countedNames("zeta", state.SurveyStats), []string{"s"})
		// A name leaves when it was not counted for as long as days are kept.
		s.h.Advance(390 * 24 * time.Hour)
		for i := range all {
			all[i].At = s.h.Now()
		}
		s.addCounts(s.store(), all[:3]...)
		s.h.Advance(20 * 24 * time.Hour)
		s.trim(state.Retention{})
		more := count("new", s.h.Now(), 1)
		more.Kind = state.SurveyStats
		s.addCounts(s.store(), more)
		s.same("names after 400 days", s.countedNames(acme, state.SurveyStats), []string{"new"})
		s.same("with those that were counted since", len(s.counts(acme, state.CountQuery{Kind: state.SurveyStats, Step: state.ByDay})), 4)
	}},
	{name: "a query is bounded", run: func(s *suite) {
		names := make([]string, state.MaxStatNames)
		for i := range names {
			names[i] = fmt.Sprint("d", i)
		}
		now := s.h.Now()
		for _, q := range []state.CountQuery{
			{Kind: state.DestinationStats, Names: names, Step: state.ByMinute},
			{Kind: state.DestinationStats, Names: names, Step: state.ByHour},
			{Kind: state.DestinationStats, Names: names, Step: state.ByMinute, Since: now.Add(-time.Hour)},
			{Kind: state.DestinationStats, Names: []string{"crm"}, Step: state.ByMinute, Until: now.Add(100 * 24 * time.Hour)},
			{Kind: state.DestinationStats, Names: slices.Concat(names, []string{"1", "2", "3"}), Step: state.ByDay, Since: now.Add(-24 * time.Hour)},
			{Kind: "odd", Step: state.ByDay},
			{Kind: state.DestinationStats, Step: "week"},
			{},
		} {
			if _, err := s.store().Counts(s.ctx, acme, q); !errors.Is(err, state.ErrInvalid) {
				s.Errorf("%s by %s of %d names: %v", q.Kind, q.Step, len(q.Names), err)
			}
		}
		s.same("within the bound", len(s.counts(acme, state.CountQuery{Names: names, Step: state.ByDay, Since: now.Add(-40 * 24 * time.Hour)})), 0)
	}},
	{name: "counts that break a rule are refused", run: func(s *suite) {
		for _, change := range []func(*state.Count){
			func(c *state.Count) { c.Tenant = "" },
			func(c *state.Count) { c.Kind = "odd" },
			func(c *state.Count) { c.At = time.Time{} },
			func(c *state.Count) { c.Counts[3] = -1 },
			func(c *state.Count) { c.Took = state.Latencies{{Bucket: state.LatencyBuckets, N: 1}} },
			func(c *state.Count) { c.Age = state.Latencies{{Bucket: 3, N: 1}, {Bucket: 2, N: 1}} },
			func(c *state.Count) { c.Age = state.Latencies{{Bucket: 3, N: -1}} },
		} {
			bad := count("crm", s.h.Now(), 1)
			change(&bad)
			left, err := s.store().AddCounts(s.ctx, []state.Count{count("crm", s.h.Now(), 1), bad})
			if !errors.Is(err, state.ErrInvalid) || len(left) != 2 {
				s.Errorf("%+v: %v, %d left", bad, err, len(left))
			}
		}
		s.same("nothing was added", s.delivered("crm", state.ByDay), int64(0))
	}},
	{name: "a closed store keeps all back", run: func(s *suite) {
		st := s.store()
		s.h.Reopen()
		left, err := st.AddCounts(s.ctx, []state.Count{count("crm", s.h.Now(), 1), count("mail", s.h.Now(), 1)})
		if !errors.Is(err, state.ErrClosed) || len(left) != 2 {
			s.Errorf("%v, %d left", err, len(left))
		}
		if _, err := st.Counts(s.ctx, acme, state.CountQuery{Kind: state.DestinationStats, Step: state.ByDay}); !errors.Is(err, state.ErrClosed) {
			s.Error(err)
		}
	}},
	{name: "over their bound the largest tenants lose the oldest minutes first", run: func(s *suite) {
		now := s.h.Now()
		fill := func(tenant string, names int) {
			var all []state.Count
			for i := range names {
				for hour := range 5 {
					for minute := range 12 {
						c := count(fmt.Sprint("d", i), now.Add(-time.Duration(hour)*time.Hour-time.Duration(5*minute)*time.Minute), 1)
						c.Tenant = tenant
						all = append(all, c)
					}
				}
			}
			s.addCounts(s.store(), all...)
		}
		oldest := func(tenant string, step state.StatStep) (n int, at time.Time) {
			got := s.counts(tenant, state.CountQuery{Names: []string{"d0"}, Step: step})
			if len(got) > 0 {
				at = got[0].At
			}
			return len(got), at
		}
		before := s.store().Health(s.ctx).Bytes
		fill("small", 1)
		small := s.store().Health(s.ctx).Bytes - before
		fill("large", 8)
		all := s.store().Health(s.ctx).Bytes - before
		if small <= 0 || all < 6*small {
			s.Fatalf("%d bytes of one tenant, %d of both", small, all)
		}
		shares, err := s.store().Shares(s.ctx)
		s.ok(err)
		s.same("the default bound is within the store", state.Retention{}.With(shares).Stats > 0, true)
		s.same("within the bound", *s.trim(state.Retention{Stats: all}), state.Trimmed{})
		cut := func(bound int64) {
			s.Helper()
			for {
				done := s.trim(state.Retention{Stats: bound})
				if done.Stats == 0 {
					break
				}
			}
			if now := s.store().Health(s.ctx).Bytes - before; now > bound {
				s.Fatalf("%d bytes, want at most %d", now, bound)
			}
		}
		smallMinutes, _ := oldest("small", state.ByMinute)
		cut(all * 2 / 3)
		n, _ := oldest("small", state.ByMinute)
		s.same("the small tenant's minutes", n, smallMinutes)
		n, at := oldest("large", state.ByMinute)
		if n == 0 || n >= smallMinutes || !at.After(now.Add(-4*time.Hour)) {
			s.Errorf("the large tenant has %d minutes from %v", n, at)
		}
		n, _ = oldest("large", state.ByHour)
		if hours, _ := oldest("small", state.ByHour); n != hours {
			s.Errorf("the large tenant has %d hours, the small one %d", n, hours)
		}
		s.h.Reopen()
		cut(1)
		for _, tenant := range []string{"small", "large"} {
			for _, step := range state.StatSteps {
				n, _ := oldest(tenant, step)
				s.same(tenant+" by "+string(step), n, 0)
			}
		}
		fill("small", 1)
		n, _ = oldest("small", state.ByMinute)
		s.same("added again", n, smallMinutes)
	}},
}

package statetest

import (
	"fmt"
	"slices"
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

func (s *suite) counts(tenant string, q state.CountQuery) []state.Count {
	s.Helper()
	if q.Kind == "" {
		q.Kind = state.DestinationStats
	}
	got, err := s.store().Counts(s.ctx, tenant, q)
	s.ok(err)
	return got
}

var statistics = []test{
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
		s.same("another tenant's", s.counts("zeta", state.CountQuery{Step: state.ByDay}), []state.Count{})
	}},
	{name: "many at once", run: func(s *suite) {
		var all []state.Count
		for i := range 1000 {
			all = append(all, count(fmt.Sprint("d", i), s.h.Now(), 1))
		}
		s.addCounts(s.store(), all...)
		got := s.counts(acme, state.CountQuery{Step: state.ByMinute, Since: s.h.Now()})
		s.same("counts", len(got), 1000)
		s.same("sorted", slices.IsSortedFunc(got, func(a, b state.Count) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}), true)
	}},
}

package notice

import (
	"context"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// counts makes counts of a source from the numbers of accepted events at times before noon.
func counts(accepted map[time.Duration]int64) (all []state.Count) {
	for ago, n := range accepted {
		c := state.Count{Tenant: "acme", Kind: state.SourceStats, Name: "pollqr", At: noon.Add(-ago)}
		c.Counts[state.EventsAccepted] = n
		all = append(all, c)
	}
	return all
}

func TestRhythm(t *testing.T) {
	t.Parallel()
	office := map[time.Duration]int64{} // two weeks of three events an hour from 9 to 17
	for day := range 14 {
		for hour := range 8 {
			at := time.Date(2025, 12, 19+day, 9+hour, 0, 0, 0, time.UTC)
			if weekday := at.Weekday(); weekday != time.Saturday && weekday != time.Sunday {
				office[noon.Sub(at)] = 3
			}
		}
	}
	hourly := map[time.Duration]int64{}
	for hour := range 10 {
		hourly[time.Duration(hour+1)*time.Hour] = 1
	}
	for _, tt := range []struct {
		name            string
		hours           map[time.Duration]int64
		median, longest time.Duration
	}{
		{"nothing is usual", map[time.Duration]int64{time.Hour: 9}, 0, 0},
		{"each hour", hourly, time.Hour, time.Hour},
		{"weekends are usual", office, 20 * time.Minute, 65 * time.Hour},
	} {
		newest, median, longest := rhythm(nil, counts(tt.hours))
		if median != tt.median || longest != tt.longest || (tt.median > 0) == newest.IsZero() {
			t.Errorf("%s: newest %v, median %v, longest %v", tt.name, newest, median, longest)
		}
	}
}

func (r *rig) count(at time.Time, counter, n int) {
	r.t.Helper()
	c := state.Count{Tenant: "acme", Kind: state.SourceStats, Name: "pollqr", At: at}
	c.Counts[counter] = int64(n)
	if _, err := r.store.AddCounts(context.Background(), []state.Count{c}); err != nil {
		r.t.Fatal(err)
	}
}

func TestSources(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		for range 20 { // one event every ten minutes
			r.count(r.clock.Now(), state.EventsAccepted, 1)
			r.clock.Advance(10 * time.Minute)
		}
		r.round()
		r.clock.Advance(40 * time.Minute)
		r.round()
		r.want("acme")
		r.clock.Advance(90 * time.Minute)
		r.round()
		r.round()
		r.want("acme", "source.silent pollqr 0")
		r.count(r.clock.Now(), state.EventsAccepted, 1)
		r.round()
		r.clock.Advance(settle)
		r.round()
		r.want("acme", "source.silent pollqr 0")

		for range 5 {
			r.count(r.clock.Now(), state.RequestsRefused+int(state.RefusedSignature), 1)
		}
		r.round()
		r.want("acme", "source.silent pollqr 0") // ten minutes have not passed
		r.clock.Advance(11 * time.Minute)
		r.round()
		r.round()
		r.want("acme", "source.silent pollqr 0", "source.rejecting pollqr 5")
		if _, all := r.notices("acme"); len(all) == 2 {
			if d := all[1].Data(); d.Notice.Reason != "signature" {
				t.Errorf("the reason is %q", d.Notice.Reason)
			}
		}
	})
}

func TestTurnsReachEverySource(t *testing.T) {
	t.Parallel()
	var all []target
	for i := range 7 {
		all = append(all, target{"t", string(rune('a' + i))})
	}
	var turn turn
	seen := map[target]int{}
	for range 7 {
		some := turn.next(all, 3)
		for _, s := range some {
			seen[s]++
		}
	}
	for _, s := range all {
		if seen[s] != 3 {
			t.Errorf("%s had %d turns of 3", s.name, seen[s])
		}
	}
	if n := len(turn.next(all[:2], 3)); n != 2 {
		t.Errorf("%d of 2", n)
	}
}

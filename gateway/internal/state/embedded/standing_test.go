package embedded

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// BenchmarkStanding reads the standing of 500 destinations with a waiting delivery each, beside 5,000 others.
func BenchmarkStanding(b *testing.B) {
	s := benchStore(b)
	events := benchEvents(b, 0, 5500)
	for some := range slices.Chunk(events, 250) {
		if _, err := s.Append(b.Context(), some); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; n < len(events); {
		claimed, err := s.Claim(b.Context(), 250, 0)
		if err != nil {
			b.Fatal(err)
		}
		c := &state.Commit{}
		for _, each := range claimed {
			o := benchOutcome(each, state.Waiting, time.Now().Add(time.Hour))
			o.Deliveries[0].Destination = fmt.Sprint("to", n)
			c.Events = append(c.Events, o)
			n++
		}
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprint("to", i*11)
	}
	b.ReportAllocs()
	for b.Loop() {
		got, err := s.Standing(b.Context(), "default", names)
		if err != nil || len(got) != 500 || got[499].Waiting != 1 || got[499].OldestWaiting.IsZero() {
			b.Fatal(len(got), err)
		}
	}
}

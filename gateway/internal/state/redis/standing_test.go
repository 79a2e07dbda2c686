package redis

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// requests counts the requests that a client sends: single commands, and pipelines.
type requests struct{ single, pipelines, piped int }

func (r *requests) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (r *requests) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		r.single++
		return next(ctx, cmd)
	}
}

func (r *requests) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		r.pipelines, r.piped = r.pipelines+1, r.piped+len(cmds)
		return next(ctx, cmds)
	}
}

// The standing of many destinations is one pipeline, with three commands for each in each shard.
func TestStandingIsOnePipeline(t *testing.T) {
	t.Parallel()
	s := gate(t, start(t).url())
	names := waitingFor(t, s, 500)
	n := &requests{}
	s.client.AddHook(n)
	got, err := s.Standing(t.Context(), "default", names)
	if err != nil || len(got) != len(names) || got[499].Waiting != 1 {
		t.Fatal(len(got), err)
	}
	if want := (requests{pipelines: 1, piped: len(s.shards) * (3*len(names) + 1)}); *n != want {
		t.Errorf("%+v, want %+v", *n, want)
	}
}

// BenchmarkStanding reads the standing of 500 destinations with a waiting delivery each.
func BenchmarkStanding(b *testing.B) {
	s := gate(b, start(b).url())
	names := waitingFor(b, s, 500)
	for name, names := range map[string][]string{"named": names, "all": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got, err := s.Standing(b.Context(), "default", names)
				if err != nil || len(got) != 500 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// waitingFor commits a waiting delivery for each of n destinations.
func waitingFor(t testing.TB, s *store, n int) (names []string) {
	t.Helper()
	for len(names) < n {
		events := benchEvents(t, len(names), 100)
		appendAll(t, s, events)
		var outcomes []state.Outcome
		for _, c := range hold(t, s, len(events)) {
			d := benchDelivery(c.Event, 0, state.Waiting, time.Now())
			d.Destination = fmt.Sprint("to", len(names))
			names = append(names, d.Destination)
			outcomes = append(outcomes, state.Outcome{
				Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Generation: "g", At: c.Event.Received,
				Rules: []state.RuleOutcome{{Origin: d.Origin}}, Deliveries: []state.Delivery{d},
			})
		}
		commit(t, s, outcomes...)
	}
	return names
}

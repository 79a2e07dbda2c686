package redis

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// requests counts what a client sends for the contexts of asked, by name of the command: neither what the store sends in the
// background meanwhile, nor what begins a connection. It is a hook.
type requests struct {
	mu        sync.Mutex
	single    int
	pipelines int
	by        map[string]int
	hashes    map[any]int // of scripts, also those for other contexts
}

type askedKey struct{}

// asked is a context whose commands are counted.
func asked(ctx context.Context) context.Context { return context.WithValue(ctx, askedKey{}, true) }

// watch counts what s sends from here on.
func watch(s *store) *requests {
	r := &requests{by: map[string]int{}, hashes: map[any]int{}}
	s.client.AddHook(r)
	return r
}

func (r *requests) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (r *requests) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		r.add(ctx, &r.single, cmd)
		return next(ctx, cmd)
	}
}

func (r *requests) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		r.add(ctx, &r.pipelines, cmds...)
		return next(ctx, cmds)
	}
}

func (r *requests) add(ctx context.Context, calls *int, cmds ...goredis.Cmder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cmd := range cmds {
		if cmd.Name() == "evalsha" {
			r.hashes[cmd.Args()[1]]++
		}
	}
	if begins := cmds[0].Name(); ctx.Value(askedKey{}) == nil || begins == "hello" || begins == "client" {
		return
	}
	*calls++
	for _, cmd := range cmds {
		r.by[cmd.Name()]++
	}
}

// scripts is the number of scripts that were called; one that Redis had to be given first counts once.
func (r *requests) scripts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by["evalsha"]
}

// ran is how often a script was called, for whatever context.
func (r *requests) ran(s *goredis.Script) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hashes[s.Hash()]
}

// sum is the number of all commands.
func (r *requests) sum() (n int) {
	for _, by := range r.by {
		n += by
	}
	return n
}

// The standing of many destinations is one pipeline, with three commands for each in each shard.
func TestStandingIsOnePipeline(t *testing.T) {
	t.Parallel()
	s := gate(t, start(t).url())
	names := waitingFor(t, s, 500)
	sent := watch(s)
	got, err := s.Standing(asked(t.Context()), "default", names)
	if err != nil || len(got) != len(names) || got[499].Waiting != 1 {
		t.Fatal(len(got), err)
	}
	if want := len(s.shards) * (3*len(names) + 1); sent.single != 0 || sent.pipelines != 1 || sent.sum() != want {
		t.Errorf("%d single commands, %d pipelines, %v, want %d commands in one pipeline", sent.single, sent.pipelines, sent.by, want)
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

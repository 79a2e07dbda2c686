package run

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// reachable counts what is still reachable of configurations that ran.
type reachable struct {
	plans        []weak.Pointer[decide.Plan]
	configs      []weak.Pointer[config.Config]
	destinations []weak.Pointer[config.Destination]
	rules        []weak.Pointer[config.Rule]
	receivers    []weak.Pointer[source.Source]
}

func (r *reachable) add(p *decide.Plan) {
	r.plans = append(r.plans, weak.Make(p))
	r.configs = append(r.configs, weak.Make(p.Config))
	for _, d := range p.Config.Destinations {
		r.destinations = append(r.destinations, weak.Make(d))
	}
	for _, rule := range p.Config.Rules {
		r.rules = append(r.rules, weak.Make(rule))
	}
	for _, s := range p.Config.Sources {
		r.receivers = append(r.receivers, weak.Make(s.Receiver))
	}
}

// count returns how many of each are reachable, after a collection: plans, configurations, destinations, rules, receivers.
func (r *reachable) count() [5]int {
	runtime.GC()
	return [5]int{alive(r.plans), alive(r.configs), alive(r.destinations), alive(r.rules), alive(r.receivers)}
}

func alive[T any](all []weak.Pointer[T]) (n int) {
	for _, p := range all {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// Ten reloads under traffic leave nothing of the ten former configurations: events were decided and delivered by each, requests
// came in through its sources, and its decisions are explained after it was replaced.
func TestReloadsLetGo(t *testing.T) {
	t.Parallel()
	const webhooks, called, sources = 200, 5, 20
	s := newSite(t)
	write := func(n int) {
		var b strings.Builder
		fmt.Fprintf(&b, "outbound: {allow_addresses: [\"127.0.0.0/8\"], allow_http: true}\nsources:\n")
		for i := range sources {
			fmt.Fprintf(&b, "  s%d: {profile: pollqr, secrets: [\"${HOOK_SECRET}\"], accept_test: 1m}\n", i)
		}
		b.WriteString("webhooks:\n")
		for i := range webhooks {
			most := n
			if i >= called {
				most = -1 - n
			}
			fmt.Fprintf(&b, "  - {name: h%d, url: %q, secrets: [\"${HOOK_SECRET}\"], events: [response.completed], when: \"nps_score <= %d\"}\n",
				i, s.hook, most)
		}
		s.writeText(b.String())
	}
	write(0)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-ended, g.life.stop(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if s.client, err = client.Dial(client.Options{Data: s.options.Data}); err != nil {
		t.Fatal(err)
	}
	defer s.client.Close()

	var former reachable
	var events []string
	for n := range 10 {
		for i := range sources {
			res, err := http.Post(fmt.Sprintf("http://%s/in/s%d", g.public.Addr(), i), "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		id := s.publish(fmt.Sprint("e", n), 0)
		s.decided(id)
		for range called {
			<-s.came
		}
		events = append(events, id)
		for _, id := range events {
			s.explained(id)
		}
		running := g.plan.Load()
		former.add(running)
		write(n + 1)
		s.until("reloaded", func() bool { return g.plan.Load() != running })
	}
	// Another event makes every lane follow.
	s.decided(s.publish("last", 0))
	var left [5]int
	s.until("all is let go", func() bool { left = former.count(); return left == [5]int{} })
	_ = left
}

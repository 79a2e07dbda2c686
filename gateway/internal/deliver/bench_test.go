package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules/event"
)

// given is a store that gives out events from memory and forgets their outcomes, so that the loop alone is measured.
type given struct {
	state.Store
	events chan []state.Claimed
	open   chan struct{} // one for each event that is not committed; no more than a lane has room for
}

func (g *given) Claim(ctx context.Context, most, _ int) ([]state.Claimed, error) {
	select {
	case batch := <-g.events:
		return batch, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *given) Commit(_ context.Context, c *state.Commit) (*state.Committed, error) {
	done := &state.Committed{Events: make([]bool, len(c.Events)), Due: make([]bool, len(c.Due))}
	for i := range c.Events {
		<-g.open
		done.Events[i] = true
	}
	return done, nil
}

// prompt is a receiver that answers at once.
type prompt struct{}

func (prompt) Send(context.Context, *connectors.Request, outbound.Attempt) outbound.Result {
	return outbound.Result{Kind: outbound.Answered, Response: &connectors.Response{Status: http.StatusOK, Header: http.Header{}, At: time.Now()}}
}

// BenchmarkLoop takes events from their claim to their commit, in batches as large as a claim and one by one, of one
// tenant and of many; one operation is one event.
func BenchmarkLoop(b *testing.B) {
	for _, tenants := range []int{1, 50} {
		for _, size := range []int{1, claimEvents} {
			b.Run(fmt.Sprintf("tenants=%d/claim=%d", tenants, size), func(b *testing.B) { benchLoop(b, tenants, size) })
		}
	}
}

func benchLoop(b *testing.B, tenants, size int) {
	store, err := embedded.Open(embedded.Options{Dir: b.TempDir(), Clock: clock.System()})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	c := &config.Config{Generation: "g1"}
	events := make([]*event.Event, tenants)
	for i := range events {
		tenant := fmt.Sprintf("t%d", i)
		d := destination("crm")
		d.Tenant, d.Product, d.Timeout, d.Concurrency = tenant, "product", time.Minute, 16
		rule := ruleTo("crm", &product{})
		rule.Tenant, rule.Match.Tenant = tenant, tenant
		rule.Steps[0].Build = map[string]connectors.Connector{tenant: &product{}}
		c.Destinations, c.Rules = append(c.Destinations, d), append(c.Rules, rule)
		events[i], err = event.ParseOne([]byte(`{"type":"response.completed","id":"e","response":{"id":"r"},"nps_score":3}`),
			event.Defaults{Tenant: tenant, Source: "api", Received: time.Unix(1767323045, 0), Verified: "token"})
		if err != nil {
			b.Fatal(err)
		}
	}
	source := &given{Store: store, events: make(chan []state.Claimed, 4), open: make(chan struct{}, laneQueue)}
	plan := decide.New(c)
	loop := New(Options{
		Store: source, Sender: prompt{}, Plan: func() *decide.Plan { return plan }, Clock: clock.System(),
		Log: slog.New(slog.DiscardHandler), Observer: nothing{}, Jitter: func() float64 { return 0 },
		FingerprintKey: []byte("key"), Drain: time.Minute,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx) }()
	b.ReportAllocs()
	b.ResetTimer()
	for from := 0; from < b.N; from += size {
		batch := make([]state.Claimed, min(size, b.N-from))
		for i := range batch {
			source.open <- struct{}{}
			batch[i] = state.Claimed{Event: events[(from+i)%tenants], Position: uint64(from + i + 1), Claims: 1}
		}
		source.events <- batch
	}
	for range cap(source.open) { // until all are committed
		source.open <- struct{}{}
	}
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

package redis

import (
	"context"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// BenchmarkMemory prints the memory that Redis needs for: an event with its index entries, its decision, a delivery in history,
// a waiting delivery, a dead letter, and a recognised ID of a removed event. It does not depend on b.N.
func BenchmarkMemory(b *testing.B) {
	n := scaled(20_000)
	srv := start(b)
	used := func() int64 { return asInt(srv.info("memory", "used_memory_dataset")) }
	per := map[string]float64{}
	for _, kind := range []state.DeliveryState{"", state.Delivered, state.Waiting, state.Dead} {
		srv.do("FLUSHALL", "SYNC")
		s := gate(b, srv.url(), func(o *Options) { o.Prefix = "memory" + string(kind) })
		events := benchEvents(b, 0, n)
		before := used()
		appendAll(b, s, events)
		appended := used()
		per["B/event"] = float64(appended-before) / float64(n)
		for done := 0; done < n; {
			some, err := s.Claim(context.Background(), 256, 0)
			if err != nil {
				b.Fatal(err)
			}
			c := &state.Commit{}
			now := time.Now()
			for i, x := range some {
				o := state.Outcome{
					Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Generation: "4f1c", At: now,
					Rules: []state.RuleOutcome{{Origin: state.Origin{Kind: state.Webhook, Name: "warehouse"}}},
				}
				if kind != "" {
					o.Deliveries = []state.Delivery{benchDelivery(x.Event, i, kind, now)}
				}
				c.Events = append(c.Events, o)
			}
			if _, err := s.Commit(context.Background(), c); err != nil {
				b.Fatal(err)
			}
			done += len(some)
		}
		took := float64(used()-appended) / float64(n)
		if kind == "" {
			per["B/decision"] = took
			if err := empty(s); err != nil {
				b.Fatal(err)
			}
			per["B/recognised-id"] = float64(used()-before) / float64(n)
		} else {
			per["B/"+string(kind)] = took - per["B/decision"]
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for name, bytes := range per {
		b.ReportMetric(bytes, name)
	}
}

// empty removes every event by retention, which keeps their IDs.
func empty(s *store) error {
	for {
		done, err := s.Trim(context.Background(), state.Retention{Events: state.Bound{Bytes: 1}, Dedupe: state.Bound{Age: time.Hour}})
		if err != nil || done.Events == 0 {
			return err
		}
	}
}

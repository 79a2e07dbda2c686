package run

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/scan"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkScanBesideTraffic asks ten rules about stored events again and again while events are published, and holds the latency of
// publishing against as long a time without. It reports medians over rounds: run it with -benchtime 7x on a machine that does nothing
// else. Bound: a p99 of publishing of 1.2 times.
func BenchmarkScanBesideTraffic(b *testing.B) {
	stored, span := 100_000, 4*time.Second
	if testing.Short() {
		stored, span = 2000, 50*time.Millisecond
	}
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		b.Run(string(engine), func(b *testing.B) {
			dir := b.TempDir()
			o := Options{
				Config: filepath.Join(dir, "surveygate.yaml"), Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0",
				Env: func(string) (string, bool) { return "", false }, Log: slog.New(slog.DiscardHandler),
			}
			text := "connections: {crm: {hubspot: {token: pat}}}\nrules:\n"
			for i := range 10 {
				text += fmt.Sprintf("  - {name: r%d, when: 'survey.id == \"s%d\" and nps_score <= 6 and has(email)', send: [{crm: {add_note: {text: low}}}]}\n", i, i+2)
			}
			text = strings.ReplaceAll(text, "{crm: {add_note: {text: low}}}", "crm")
			if err := os.WriteFile(o.Config, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			if engine == config.EngineRedis {
				o.Redis = redistest.Start(b, redistest.Durable...).URL()
			}
			g, err := open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			var some []*event.Event
			for i := range stored {
				ev, err := event.ParseOne(fmt.Appendf(nil, `{"type":"response.completed","id":"old%d","survey":{"id":"s0","title":"Checkout"},"response":{"id":"o%d","answers":[
					{"question_id":"q1","question":"How likely are you to recommend us?","value":%d},{"question_id":"q2","question":"Why?","value":"The delivery took too long."}]},
					"nps_score":%d,"email":"jo%d@example.com"}`, i, i, i%11, i%11, i), event.Defaults{Tenant: "default", Source: "api", Received: time.Now(), Verified: "token"})
				if err != nil {
					b.Fatal(err)
				}
				if some = append(some, ev); len(some) == 500 || i == stored-1 {
					if _, err := g.store.Append(b.Context(), some); err != nil {
						b.Fatal(err)
					}
					some = nil
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- g.serve(ctx) }()
			defer func() { cancel(); <-ended }()
			for pending := int64(1); pending > 0; time.Sleep(20 * time.Millisecond) {
				pending = g.store.Health(ctx).Pending
			}
			plan := g.plan.Load()
			plan = plan.Asking("default", plan.Rules("default")...)
			scanner := &scan.Scanner{Store: g.store, Clock: clock.System(), Quiet: g.stats.Quiet}
			intake := publishing(b, o)
			defer intake.stop()
			var ratios, rates []float64
			for b.Loop() {
				intake.take()
				asked, began := 0, time.Now()
				for left := span; left > 0; left = span - time.Since(began) {
					progress, err := scanner.Each(ctx, scan.Query{Tenant: "default", Most: stored, For: left}, nil, func(ev *event.Event) error {
						plan.Decide(ev, ev.Received)
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
					asked += progress.Asked
				}
				rate := float64(asked) / time.Since(began).Seconds()
				during := intake.take()
				time.Sleep(span)
				without := intake.take()
				ratio := float64(at(during, 99)) / float64(max(at(without, 99), 1))
				b.Logf("%s: %.0f events/s; p50 %s against %s, p99 %s against %s: %.2f (%d, %d)", engine, rate,
					at(during, 50), at(without, 50), at(during, 99), at(without, 99), ratio, len(during), len(without))
				ratios, rates = append(ratios, ratio), append(rates, rate)
			}
			b.ReportMetric(median(ratios), "p99-ratio")
			b.ReportMetric(median(rates), "events/s")
		})
	}
}

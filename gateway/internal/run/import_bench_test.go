package run

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// importText is an import of the documents of many tenants. round makes it another one.
func importText(tenants, hooks, round int) []byte {
	var b strings.Builder
	b.WriteString("webhooks:\n")
	for i := range tenants {
		for j := range hooks {
			fmt.Fprintf(&b, "  - {name: n%d, tenant: t%d, url: \"https://receiver.example.com/%d\", events: [response.completed], when: nps_score <= %d, delay: 1h, secrets: [%s]}\n", j, i, round, j, hookSecret)
		}
	}
	return []byte(strings.ReplaceAll(b.String(), ", delay: 1h", ""))
}

// BenchmarkImport imports 10,000 documents of 1,000 tenants into a running gateway, again and again with changes, while events are
// published; each import is held against as long a time without one. It reports medians over the imports: run it with -benchtime 5x on
// a machine that does nothing else. Bounds: 30 s, and a p99 of publishing of 1.1 times.
func BenchmarkImport(b *testing.B) {
	tenants, least := benchTenants(), 5*time.Second // least: as long at least without an import
	if testing.Short() {
		least = 0
	}
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		b.Run(string(engine), func(b *testing.B) {
			dir := b.TempDir()
			o := Options{
				Config: filepath.Join(dir, "surveygate.yaml"), Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0",
				Env: func(name string) (string, bool) { return keyOne, name == "SURVEYGATE_KEY" }, Log: slog.New(slog.DiscardHandler),
			}
			if err := os.WriteFile(o.Config, []byte("connections: {crm: {hubspot: {token: pat}}}\n"), 0o600); err != nil {
				b.Fatal(err)
			}
			if engine == config.EngineRedis {
				o.Redis = redistest.Start(b, redistest.Durable...).URL()
			}
			g, err := open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- g.serve(ctx) }()
			defer func() { cancel(); <-ended }()
			for i := range tenants {
				_, _, err := g.register.Tenants.Change(ctx, fmt.Sprintf("t%d", i), access.How{By: "test", At: time.Now()}, func(*access.Tenant) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			intake := publishing(b, o)
			defer intake.stop()
			var imports, ratios []float64
			for round := 0; b.Loop(); round++ {
				text := importText(tenants, benchHooks, round)
				c, err := client.Dial(client.Options{Data: o.Data})
				if err != nil {
					b.Fatal(err)
				}
				intake.take()
				began := time.Now()
				var done view.Import
				if err := c.Do(ctx, client.Call{Method: http.MethodPost, Path: "/v1/settings/import", Query: url.Values{"owner": {"ci"}}, Body: text, ContentType: "application/yaml", Into: &done}); err != nil {
					b.Fatal(err)
				}
				took := time.Since(began)
				during := intake.take()
				if done.Create+done.Update != tenants*benchHooks {
					b.Fatalf("%s", done.Plan)
				}
				began = time.Now()
				for g.settings.Standing().Unapplied > 0 {
					time.Sleep(10 * time.Millisecond)
				}
				applied := time.Since(began)
				intake.take()
				time.Sleep(max(took, least))
				without := intake.take()
				b.Logf("%s: import %s, applied %s later; p50 %s against %s, p99 %s against %s: %.2f (%d, %d)", engine, took, applied,
					at(during, 50), at(without, 50), at(during, 99), at(without, 99), float64(at(during, 99))/float64(at(without, 99)), len(during), len(without))
				imports = append(imports, took.Seconds())
				ratios = append(ratios, float64(at(during, 99))/float64(at(without, 99)))
				c.Close()
			}
			b.ReportMetric(median(imports), "s-import")
			b.ReportMetric(median(ratios), "p99-ratio")
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func at(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*percent/100]
}

// publishers publish events until the benchmark ends.
type publishers struct {
	stop func()
	mu   sync.Mutex
	took []time.Duration
}

// take returns how long requests took since the last call.
func (p *publishers) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	p.took = nil
	return took
}

func publishing(b *testing.B, o Options) *publishers {
	b.Helper()
	p := &publishers{}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	p.stop = func() { cancel(); working.Wait() }
	for worker := range 2 {
		c, err := client.Dial(client.Options{Data: o.Data})
		if err != nil {
			b.Fatal(err)
		}
		working.Go(func() {
			defer c.Close()
			for n := 0; ctx.Err() == nil; n++ {
				body := fmt.Sprintf(`{"id":"%d-%d","type":"response.completed","response":{"id":"r%d"}}`, worker, n, n)
				began := time.Now()
				err := c.Do(ctx, client.Call{Method: http.MethodPost, Path: "/v1/events", Body: []byte(body), ContentType: "application/json"})
				took := time.Since(began)
				if err != nil && ctx.Err() == nil {
					b.Error(err)
					return
				}
				p.mu.Lock()
				p.took = append(p.took, took)
				p.mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	return p
}

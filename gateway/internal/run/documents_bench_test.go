package run

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/redistest"
)

const benchHooks = 10

// benchTenants is how many tenants have documents; with -short fewer, as CI only sees that each benchmark runs.
func benchTenants() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

// benchSite is the options of a gateway on an engine, whose store has the documents of many tenants.
func benchSite(b *testing.B, engine config.Engine) (o Options, server *redistest.Server) {
	b.Helper()
	dir := b.TempDir()
	o = Options{
		Config: filepath.Join(dir, "surveygate.yaml"), Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0",
		Env: func(name string) (string, bool) { return keyOne, name == "SURVEYGATE_KEY" }, Log: slog.New(slog.DiscardHandler),
	}
	if err := os.WriteFile(o.Config, []byte("connections: {crm: {hubspot: {token: pat}}}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var store state.Store
	var err error
	if engine == config.EngineRedis {
		server = redistest.Start(b)
		o.Redis = server.URL()
		store, err = redis.Open(redis.Options{URL: o.Redis, Prefix: "surveygate", Holder: "seed", Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)})
	} else {
		store, err = embedded.Open(embedded.Options{Dir: filepath.Join(o.Data, "store"), Clock: clock.System()})
	}
	if err != nil {
		b.Fatal(err)
	}
	keys, err := vault.ParseKeys(keyOne, "SURVEYGATE_KEY")
	if err != nil {
		b.Fatal(err)
	}
	v := vault.New(vault.Options{Keys: keys, Store: store})
	if err := v.Prove(b.Context()); err != nil {
		b.Fatal(err)
	}
	var seeding sync.WaitGroup
	for first := range 8 {
		seeding.Go(func() {
			for i := first; i < benchTenants(); i += 8 {
				for j := range benchHooks {
					d := settings.Draft{Name: fmt.Sprintf("webhook/n%d", j), Spec: json.RawMessage(documentHook(j)), Secrets: hookSecrets}
					tenant := fmt.Sprintf("t%d", i)
					value, err := settings.Encode(v, tenant, d)
					if err == nil {
						_, err = store.Put(context.Background(), tenant, state.KindDocument, d.Name, value, 0)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	seeding.Wait()
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	return o, server
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkStartWithDocuments starts a gateway with the documents of a thousand tenants, ten each, until it takes requests.
// Bounds: 3 s to ready, 60 MiB.
func BenchmarkStartWithDocuments(b *testing.B) {
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		b.Run(string(engine), func(b *testing.B) {
			o, _ := benchSite(b, engine)
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				before := heap()
				began := time.Now()
				b.StartTimer()
				g, err := open(b.Context(), o)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if n == 0 {
					b.ReportMetric(time.Since(began).Seconds(), "s-first")
				}
				b.ReportMetric(heap()-before, "MiB")
				if all, tenants, _ := g.plan.tally.count(); all.active != benchTenants()*benchHooks || tenants != benchTenants() {
					b.Fatalf("%+v in %d tenants", all, tenants)
				}
				if err := g.life.stop(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkDocumentChange applies a change of one webhook of a tenant of ten, among a thousand tenants: read, compile, store the
// generation, swap. Bound: 5 ms.
func BenchmarkDocumentChange(b *testing.B) {
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		b.Run(string(engine), func(b *testing.B) {
			o, _ := benchSite(b, engine)
			g, err := open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = g.life.stop(context.Background()) }()
			kept, err := g.store.List(b.Context(), "t7", state.KindDocument)
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; b.Loop(); n++ {
				documents := make([]config.Document, len(kept))
				for i, setting := range kept {
					documents[i] = settings.Decode(g.vault, "t7", setting)
				}
				documents[n%len(documents)].Spec = []byte(documentHook(n%10 - n))
				if err := g.applyDocuments(b.Context(), "t7", documents); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDocumentToReplica is the time from a write on one replica until the plan of another one has it, of two on one Redis,
// with and without messages between them. Bounds: p50 100 ms, p99 1 s.
func BenchmarkDocumentToReplica(b *testing.B) {
	for _, cut := range []bool{false, true} {
		b.Run(map[bool]string{false: "messages", true: "cut"}[cut], func(b *testing.B) {
			o, server := benchSite(b, config.EngineRedis)
			var all []*gateway
			for i := range 2 {
				each := o
				each.Data = filepath.Join(b.TempDir(), fmt.Sprint(i))
				g, err := open(b.Context(), each)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- g.serve(ctx) }()
				defer func() { cancel(); <-ended }()
				all = append(all, g)
			}
			w := all[0].writer()
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				tenant := fmt.Sprintf("t%d", n%benchTenants())
				kept, err := all[0].store.Get(b.Context(), tenant, state.KindDocument, "webhook/n0")
				if err != nil {
					b.Fatal(err)
				}
				if cut {
					server.Do("CLIENT", "KILL", "TYPE", "pubsub")
				}
				began := time.Now()
				version, err := w.Put(b.Context(), tenant, settings.Draft{Name: "webhook/n0", Spec: json.RawMessage(documentHook(-n)), Secrets: hookSecrets}, kept.Version)
				if err != nil {
					b.Fatal(err)
				}
				for all[1].plan.Load().DocumentVersion(tenant, "webhook/n0") < version {
					time.Sleep(time.Millisecond)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "ms-p99")
		})
	}
}

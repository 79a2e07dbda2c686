package config_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
)

// tenWebhooks are the documents of a tenant with ten webhooks.
func tenWebhooks(tenant int) []config.Document {
	all := make([]config.Document, 10)
	for i := range all {
		spec, err := json.Marshal(settings{
			"url": fmt.Sprintf("https://hook.example.com/tenant-%d/%d", tenant, i), "events": []string{"response.completed"},
			"when": fmt.Sprintf("nps_score <= %d", i), "timeout": "5s",
		})
		if err != nil {
			panic(err)
		}
		all[i] = config.Document{
			Name: fmt.Sprintf("webhook/wh_%d", i), Spec: spec, Version: uint64(i + 1),
			Secrets: map[string]connectors.Secret{"secrets.0": connectors.NewSecret(fmt.Sprintf("whsec_%032x", tenant*10+i))},
		}
	}
	return all
}

// BenchmarkOverlay compiles a tenant of ten webhooks. The bound is 2 ms.
func BenchmarkOverlay(b *testing.B) {
	base, err := config.LoadText([]byte(overlayBase))
	if err != nil {
		b.Fatal(err)
	}
	documents := tenWebhooks(1)
	if o := config.Overlay(base, "acme", documents); len(o.Rules) != 10 {
		b.Fatal(states(o))
	}
	b.ReportAllocs()
	for b.Loop() {
		config.Overlay(base, "acme", documents)
	}
}

// BenchmarkOverlayMemory reports what 1,000 tenants of ten webhooks keep in memory, with the text of their documents. The bounds are
// 4 KB a webhook and 60 MiB in all.
func BenchmarkOverlayMemory(b *testing.B) {
	base, err := config.LoadText([]byte(overlayBase))
	if err != nil {
		b.Fatal(err)
	}
	config.Overlay(base, "acme", tenWebhooks(0)) // makes what all share
	const tenants = 1000
	for b.Loop() {
		before := heap()
		all := make([]*config.TenantConfig, tenants)
		for i := range all {
			all[i] = config.Overlay(base, fmt.Sprintf("tenant-%d", i), tenWebhooks(i))
		}
		used := heap() - before
		b.ReportMetric(float64(used)/tenants/10, "B/webhook")
		b.ReportMetric(float64(used)/(1<<20), "MiB")
		runtime.KeepAlive(all)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkOverlayOfStranger compiles documents that are made to be expensive, within the bounds of documents.
func BenchmarkOverlayOfStranger(b *testing.B) {
	base, err := config.LoadText([]byte(overlayBase))
	if err != nil {
		b.Fatal(err)
	}
	fill := func(before, after string, item func(i int) string) string {
		var s strings.Builder
		s.WriteString(before)
		for i := 0; s.Len() < config.MaxDocument-len(after)-200; i++ {
			if i > 0 {
				s.WriteString(", ")
			}
			s.WriteString(item(i))
		}
		return s.String() + after
	}
	lines := func(text string) string { return strings.ReplaceAll(text, ", ", ",\n ") }
	unknown := fill(`{`, `}`, func(i int) string { return fmt.Sprintf(`"k%d": 1`, i) })
	headers := fill(`{"url": "https://hook.example.com", "signature": "none", "headers": {`, `}}`, func(i int) string { return fmt.Sprintf(`"X-%d": "value-%d"`, i, i) })
	events := fill(`{"url": "https://hook.example.com", "signature": "none", "events": [`, `]}`, func(i int) string { return fmt.Sprintf(`"e%d"`, i) })
	secrets := fill(`{"url": "https://hook.example.com", "secrets": [`, `], "rate": "x"}`, func(i int) string { return fmt.Sprintf(`"whsec_deadbeef%08x"`, i) })
	steps := fill(`{"send": [`, `]}`, func(i int) string { return fmt.Sprintf(`{"files": {"text": "x"}, "as": "s%d"}`, i) })
	words := `{"send": ["files"], "when": "nps_score < 1` + strings.Repeat(" or source == 'nobody'", 2900) + `"}`
	surveys := fill(`{"profile": "popsee", "secrets": ["0123456789abcdef"], "surveys": {`, `}}`, func(i int) string { return fmt.Sprintf(`"s%d": {"roles": {"q": "email"}}`, i) })
	for _, c := range []struct{ name, kind, spec string }{
		{"unknown", "webhook", unknown},
		{"unknown/yaml", "webhook", lines(unknown[:50_000]) + "1}"},
		{"headers", "webhook", headers},
		{"events", "webhook", events},
		{"secrets", "webhook", secrets},
		{"steps", "rule", steps},
		{"words", "rule", words},
		{"surveys", "source", surveys},
		{"text", "webhook", strings.Repeat("x ", 30000)},
		{"brackets", "webhook", strings.Repeat("[", 4000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var documents []config.Document
			for i := range 60 { // nearly as many bytes as a tenant may have
				documents = append(documents, config.Document{Name: fmt.Sprintf("%s/d%d", c.kind, i), Spec: []byte(c.spec), Version: uint64(i + 1)})
			}
			for b.Loop() {
				config.Overlay(base, "acme", documents)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/60, "ms/document")
		})
	}
}

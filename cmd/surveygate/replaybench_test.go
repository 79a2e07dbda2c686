package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkLiveBesideReplay measures how long live deliveries take from their publication to their arrival, alone and beside a replay
// of everything to the same destination: without a rate of the destination, and with one that the replay exceeds.
func BenchmarkLiveBesideReplay(b *testing.B) {
	const kept, live, every = 20_000, 300, 20 * time.Millisecond
	for _, limit := range []string{"", ", rate: 100/s"} {
		for _, rate := range []string{"none", "20/s", "500/s"} {
			b.Run(fmt.Sprintf("destination=%s/replay=%s", strings.TrimPrefix(limit, ", rate: "), rate), func(b *testing.B) {
				var mu sync.Mutex
				came := map[string]time.Time{}
				l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					text, _ := io.ReadAll(r.Body)
					if _, rest, ok := strings.Cut(string(text), `"live-`); ok {
						id, _, _ := strings.Cut(rest, `"`)
						mu.Lock()
						if came[id].IsZero() {
							came[id] = time.Now()
						}
						mu.Unlock()
					}
				})}
				go func() { _ = server.Serve(l) }()
				b.Cleanup(func() { _ = server.Close() })
				config := func(limit string) string {
					return fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: "http://%s", events: [response.completed], secrets: [%q]%s}
`, testToken, l.Addr(), benchHook, limit)
				}
				dir := b.TempDir()
				p := start(b, dir, config(""))
				client := &http.Client{Timeout: time.Minute}
				post := func(path, text string) {
					req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+p.address+path, strings.NewReader(text))
					if err != nil {
						b.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer "+testToken)
					res, err := client.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					answer, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if res.StatusCode >= 300 {
						b.Fatalf("%s: %d %s", path, res.StatusCode, answer)
					}
				}
				for from := 0; from < kept; from += 200 {
					var lines []string
					for n := range 200 {
						lines = append(lines, fmt.Sprintf(`{"type":"response.completed","id":"old-%d","nps_score":9}`, from+n))
					}
					post("/v1/events", "["+strings.Join(lines, ",")+"]")
				}
				until(b, "nothing waits", func() bool {
					req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+p.address+"/v1/deliveries?state=waiting&limit=1", nil)
					req.Header.Set("Authorization", "Bearer "+testToken)
					res, err := client.Do(req)
					if err != nil {
						return false
					}
					defer func() { _ = res.Body.Close() }()
					text, _ := io.ReadAll(res.Body)
					return strings.Contains(string(text), `"data":[]`)
				})
				if limit != "" {
					p.stop()
					p = start(b, dir, config(limit))
				}
				if rate != "none" {
					post("/v1/replays", `{"of": {"destination": "sink"}, "rate": "`+rate+`"}`)
					time.Sleep(3 * time.Second) // it has selected everything, and is on its way
				}
				b.ResetTimer()
				sent := map[string]time.Time{}
				for n := range live {
					id := fmt.Sprint(n)
					sent[id] = time.Now()
					post("/v1/events", fmt.Sprintf(`{"type":"response.completed","id":"live-%s","nps_score":9}`, id))
					time.Sleep(every)
				}
				until(b, "all live ones came", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return len(came) == live
				})
				var took []time.Duration
				for id, at := range sent {
					took = append(took, came[id].Sub(at))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[live/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[live*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

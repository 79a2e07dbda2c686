package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// BenchmarkLiveBesideReplay measures how long live deliveries take from their publication to their arrival, alone and beside a replay
// of 100,000 deliveries to the same destination: on both engines, without a rate of the destination, and with one that the replay exceeds.
func BenchmarkLiveBesideReplay(b *testing.B) {
	for _, engine := range []string{"embedded", "redis"} {
		b.Run(engine, func(b *testing.B) {
			l := newLiveBench(b, engine)
			for _, limit := range []string{"", ", rate: 100/s"} {
				l.restart(b, limit)
				for _, rate := range []string{"none", "20/s", "500/s"} {
					b.Run(fmt.Sprintf("destination=%s/replay=%s", strings.TrimPrefix(limit, ", rate: "), rate), func(b *testing.B) { l.measure(b, rate) })
				}
			}
		})
	}
}

// liveBench is a gateway that holds many deliveries.
type liveBench struct {
	dir, redis, receiver string
	p                    *process
	client               *http.Client
	round                int

	mu   sync.Mutex
	came map[string]time.Time
}

func newLiveBench(b *testing.B, engine string) *liveBench {
	kept := scaled(100_000)
	s := &liveBench{came: map[string]time.Time{}, dir: b.TempDir(), client: &http.Client{Timeout: time.Minute}}
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if _, rest, ok := strings.Cut(string(text), `"live-`); ok {
			id, _, _ := strings.Cut(rest, `"`)
			s.mu.Lock()
			if s.came[id].IsZero() {
				s.came[id] = time.Now()
			}
			s.mu.Unlock()
		}
	})}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	if s.receiver = listener.Addr().String(); engine == "redis" {
		s.redis = fmt.Sprintf("redis: %q\n", redistest.Start(b, redistest.Durable...).URL())
	}
	s.restart(b, "")
	for from := 0; from < kept; from += 500 {
		var lines []string
		for n := range 500 {
			lines = append(lines, fmt.Sprintf(`{"type":"response.completed","id":"old-%d","nps_score":9}`, from+n))
		}
		s.ask(b, http.MethodPost, "/v1/events", "["+strings.Join(lines, ",")+"]")
	}
	until(b, "nothing waits", func() bool {
		return strings.Contains(s.ask(b, http.MethodGet, "/v1/deliveries?state=waiting&limit=1", ""), `"data":[]`)
	})
	return s
}

// restart starts the gateway, again with another rate of the destination.
func (s *liveBench) restart(b *testing.B, limit string) {
	if s.p != nil {
		s.p.stop()
	}
	s.p = start(b, s.dir, s.redis+fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: "http://%s", events: [response.completed], secrets: [%q]%s}
`, testToken, s.receiver, benchHook, limit))
}

func (s *liveBench) ask(b *testing.B, method, path, text string) string {
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.p.address+path, strings.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := s.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	answer, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode >= 300 {
		b.Fatalf("%s: %d %s", path, res.StatusCode, answer)
	}
	return string(answer)
}

// measure publishes live events beside a replay at a rate, which it cancels then. It reports the medians of all iterations.
func (s *liveBench) measure(b *testing.B, rate string) {
	var job replayView
	if rate != "none" {
		answer := s.ask(b, http.MethodPost, "/v1/replays", `{"of": {"destination": "sink"}, "rate": "`+rate+`"}`)
		if err := json.Unmarshal([]byte(answer), &job); err != nil {
			b.Fatal(err)
		}
		until(b, "it is on its way", func() bool {
			_ = json.Unmarshal([]byte(s.ask(b, http.MethodGet, "/v1/replays/"+job.ID, "")), &job)
			return job.Done > 0
		})
	}
	b.ResetTimer()
	var p50, p99 []time.Duration
	for range b.N {
		took := s.publishLive(b)
		p50, p99 = append(p50, took[len(took)/2]), append(p99, took[len(took)*99/100])
	}
	b.StopTimer()
	slices.Sort(p50)
	slices.Sort(p99)
	b.ReportMetric(float64(p50[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(p99[b.N/2].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	if rate != "none" {
		_ = json.Unmarshal([]byte(s.ask(b, http.MethodPost, "/v1/replays/"+job.ID+"/cancel", "")), &job)
		until(b, "it has ended", func() bool {
			_ = json.Unmarshal([]byte(s.ask(b, http.MethodGet, "/v1/replays/"+job.ID, "")), &job)
			return job.State == "cancelled" || job.State == "done"
		})
		until(b, "nothing waits", func() bool {
			return strings.Contains(s.ask(b, http.MethodGet, "/v1/deliveries?state=waiting&limit=1", ""), `"data":[]`)
		})
	}
}

// publishLive returns how long live events take to arrive, sorted.
func (s *liveBench) publishLive(b *testing.B) (took []time.Duration) {
	const every = 20 * time.Millisecond
	s.round++
	sent := map[string]time.Time{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := range scaled(300) {
		id := fmt.Sprintf("%d-%d", s.round, n)
		sent[id] = time.Now()
		s.ask(b, http.MethodPost, "/v1/events", fmt.Sprintf(`{"type":"response.completed","id":"live-%s","nps_score":9}`, id))
		<-tick.C
	}
	until(b, "all live ones came", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id := range sent {
			if s.came[id].IsZero() {
				return false
			}
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range sent {
		took = append(took, s.came[id].Sub(at))
	}
	slices.Sort(took)
	return took
}
